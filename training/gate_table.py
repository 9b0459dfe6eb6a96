"""The gate's table, for people and for MLflow: model, metric, champion, challenger, difference, bound, verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from training.gate_rules import CHAMPION, Decision, GateRow, Outcome, Role
from training.judge import aligned

_HEADER = ["model", "metric", "champion", "challenger", "difference [95 %]", "bound", "verdict"]
_SAID = {
    Outcome.FIRST: "first: there is no champion to compare with",
    Outcome.SAME: "the champion's own recipe: nothing to compare",
    Outcome.PROMOTED: "the challenger replaces the champion",
    Outcome.STAYS: "the champion stays",
    Outcome.WORSE: "today's code does worse than the champion's, and must wait",
}


def gate_text(decisions: Sequence[Decision]) -> str:
    """Return the table, and a line for each model that says what became of its challenger."""
    rows = [_cells(row) for decision in decisions for row in decision.rows]
    table = [aligned([_HEADER, *rows])] if rows else []
    return "\n\n".join([*table, "\n".join(outcome_lines(decisions))])


def outcome_lines(decisions: Iterable[Decision]) -> list[str]:
    """Return what became of each model's challenger, and why, a line each."""
    return [f"{each.model}: {_line(each)}" for each in decisions]


def summary_lines(decisions: Sequence[Decision]) -> list[str]:
    """Return which models came to what in one line, and a line for those of which there is more to say."""
    by_outcome = {outcome: [each.model for each in decisions if each.outcome is outcome] for outcome in Outcome}
    named = [f"{outcome} {', '.join(models)}" for outcome, models in by_outcome.items() if models]
    said = [(_line(each), each.model) for each in decisions if each.why or each.champion_from]
    models_of = {line: [model for text, model in said if text == line] for line, _ in said}
    return ["; ".join(named), *(f"{', '.join(models)}: {line}" for line, models in models_of.items())]


def gate_frame(decisions: Sequence[Decision]) -> pd.DataFrame:
    """Return the table for MLflow, a row a number, with the outcome of its model."""
    rows = [
        {
            "model": row.model,
            "metric": f"{row.task}, {row.metric}",
            "role": str(row.role),
            "beside": row.beside,
            CHAMPION: row.theirs,
            "challenger": row.challenger,
            "difference": row.difference,
            "low": row.low,
            "high": row.high,
            "bound": -row.bound,
            "verdict": row.verdict,
            "outcome": str(decision.outcome),
        }
        for decision in decisions
        for row in decision.rows
    ]
    return pd.DataFrame(rows)


def _line(decision: Decision) -> str:
    said = _SAID[decision.outcome]
    why = f": {decision.why}" if decision.why else ""
    how = f" ({decision.champion_from})" if decision.champion_from else ""
    return said + why + how


def _cells(row: GateRow) -> list[str]:
    beside = "" if row.beside == CHAMPION else f" beside {row.beside}"
    role = {Role.DECIDES: " *", Role.GUARD: "", Role.BASELINE: ""}[row.role]
    return [
        row.model,
        f"{row.task}, {row.metric}{beside}{role}",
        f"{row.theirs:.4f}",
        f"{row.challenger:.4f}",
        f"{row.difference:+.4f} [{row.low:+.4f}, {row.high:+.4f}]",
        f"{-row.bound:+.4f}" if row.bound else "0",
        row.verdict,
    ]
