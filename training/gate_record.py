"""What the gate said of a bundle, as it is kept beside it: ``reports/<version>/judgement.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.gate_rules import Decision, Outcome, decide_alone
from training.gate_table import gate_text
from training.judge import Judgement

JUDGEMENT_FILE = "judgement.json"


@dataclass(frozen=True)
class Verdict:
    """Whether a bundle passes, with a line for every number that keeps it out, or that is not ahead of its baseline."""

    passes: bool
    behind: tuple[str, ...]
    undecided: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the verdict as lines that a person can read."""
        head = "passes: no model is worse than what it replaces, or than its baseline"
        if not self.passes:
            head = "does not pass: " + "; ".join(self.behind)
        return "\n".join([head, *(f"not ahead of its baseline: {each}" for each in self.undecided)])


@dataclass(frozen=True)
class GateRecord:
    """What was found out about a bundle.

    Attributes
    ----------
    bundle, champion
        The version that was judged, and the one that served meanwhile; empty where none did.
    decisions
        What became of each model's challenger.
    results
        By model the digest of the results of what ships (training/results.py).
    registered
        By model the version that is registered in MLflow.
    judgements
        All judgements as plain values, that of the challenges as well.
    verdict
        Whether it passes.
    """

    bundle: str
    champion: str
    decisions: tuple[Decision, ...]
    verdict: Verdict
    results: Mapping[str, str] = field(default_factory=dict)
    registered: Mapping[str, str] = field(default_factory=dict)
    judgements: Sequence[Mapping[str, Any]] = ()  # Any: plain values

    @property
    def table(self) -> str:
        """Return the gate's table; empty where none was made."""
        return gate_text(self.decisions) if self.decisions else ""

    def as_dict(self) -> dict[str, Any]:  # Any: a JSON object
        """Return the record as plain values for JSON."""
        return {
            "bundle": self.bundle,
            "champion": self.champion,
            "passes": self.verdict.passes,
            "behind": list(self.verdict.behind),
            "undecided": list(self.verdict.undecided),
            "decisions": [each.as_dict() for each in self.decisions],
            "results": dict(self.results),
            "registered": dict(self.registered),
            "judgements": list(self.judgements),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> GateRecord:  # Any: a JSON object
        """Return the record that plain values hold; one from before recipes were compared has no decisions.

        KeyError, TypeError or ValueError when they hold none.
        """
        return cls(
            bundle=str(found.get("bundle", "")),
            champion=str(found.get("champion", "")),
            decisions=tuple(Decision.from_dict(each) for each in found.get("decisions", ())),
            verdict=Verdict(bool(found["passes"]), tuple(found["behind"]), tuple(found["undecided"])),
            results=dict(found.get("results", {})),
            registered=dict(found.get("registered", {})),
            judgements=tuple(found.get("judgements", ())),
        )


def verdict_of(decisions: Sequence[Decision], beside: Sequence[Judgement] = ()) -> Verdict:
    """Return the verdict on models by what the gate said, and on judgements that stand beside baselines alone."""
    every = [*decisions, *(decide_alone(each) for each in beside)]
    behind = tuple(line for each in every for line in each.behind)
    return Verdict(not behind, behind, tuple(line for each in every for line in each.undecided))


def stands(decisions: Sequence[Decision]) -> list[Decision]:
    """Return decisions about a bundle that is made already: where the champion would stay, it is worse."""
    found = []
    for each in decisions:
        is_kept = each.outcome is Outcome.STAYS
        found.append(Decision(each.model, Outcome.WORSE, each.rows, each.why, each.champion_from) if is_kept else each)
    return found


def write_record(folder: Path, record: GateRecord) -> None:
    """Write a record beside the report of its bundle, whole or not at all."""
    write_json(folder / JUDGEMENT_FILE, record.as_dict())


def read_record(folder: Path) -> GateRecord | None:
    """Return the record of a report; None where there is none, or it can't be read."""
    try:
        return GateRecord.from_dict(json.loads((folder / JUDGEMENT_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(record, indent=1, allow_nan=True), encoding="utf-8")
    draft.replace(path)
