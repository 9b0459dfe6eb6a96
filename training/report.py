"""What is written about a judgement for people: Markdown with tables, and the pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.costs import Cost, costs_text
from training.evidence import Evidence
from training.judge import Judgement, calibration_text, table_text

REPORT_FILE = "report.md"


@dataclass(frozen=True)
class Report:
    """A judgement's tables as text, and the folder in which the report with its pictures stands."""

    text: str
    folder: Path


def write_report(folder: Path, evidence: Evidence, title: str, *, gate: str = "", costs: Sequence[Cost] = ()) -> Report:
    """Write `report.md` and the pictures under `folder`, and return the report; with the gate's table and the costs."""
    text = report_text(evidence.judgements)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        f"{name}-{file}": each for name, judged in evidence.judged.items() for file, each in judged.pictures.items()
    }
    drawn |= {f"challenge-{file}": each for file, each in evidence.challenge.pictures.items()}
    for name, picture in drawn.items():
        (folder / name).write_bytes(picture)
    parts = [
        f"# Judgement of {title}",
        f"Cutoffs: {', '.join(_cutoffs(evidence)) or 'none, the history is too short'}.",
        _block(text),
        *(["## The gate", _block(gate)] if gate else []),
        *(["## What it took", _block(costs_text(costs))] if costs else []),
        *(f"![{name}]({name})" for name in drawn),
    ]
    (folder / REPORT_FILE).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return Report(text, folder)


def report_text(judgements: list[Judgement]) -> str:
    """Return all tables and notes as plain text."""
    notes = sorted({note for judgement in judgements for note in judgement.notes})
    parts = [
        "Judged on weeks that no model had learned from "
        "(* decides; gains are ours against the baseline, 95 % intervals by customer)",
        table_text(judgements),
        "Probabilities taken at their word (a perfect model shows the floor)",
        calibration_text(judgements),
    ]
    return "\n\n".join([*parts, *(["Notes", "\n".join(f"- {note}" for note in notes)] if notes else [])])


def _cutoffs(evidence: Evidence) -> list[str]:
    return sorted({cutoff for judgement in evidence.judgements for cutoff in judgement.cutoffs})


def _block(text: str) -> str:
    return f"```\n{text}\n```"
