"""What is written about a judgement for people: Markdown with tables, and the pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from training.challenge_judging import ChallengeJudgement
from training.judge import Judgement, calibration_text, table_text
from training.judging import Judged

REPORT_FILE = "report.md"


@dataclass(frozen=True)
class Report:
    """A judgement's tables as text, and the folder in which the report with its pictures stands."""

    text: str
    folder: Path


def write_report(folder: Path, judged: Mapping[str, Judged], challenge: ChallengeJudgement, title: str) -> Report:
    """Write `report.md` and the pictures under `folder`, and return the report."""
    judgements = [*(each.judgement for each in judged.values()), challenge.judgement]
    text = report_text(judgements)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = _write_pictures(folder, judged, challenge)
    (folder / REPORT_FILE).write_text(_markdown(title, judged, judgements, pictures), encoding="utf-8")
    return Report(text, folder)


def pictures_of(folder: Path, model: str) -> list[Path]:
    """Return the pictures that a report has of a model, by name."""
    return sorted(folder.glob(f"{model}-*.png"))


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


def _write_pictures(folder: Path, judged: Mapping[str, Judged], challenge: ChallengeJudgement) -> list[str]:
    drawn = {f"{name}-{file}": figure for name, each in judged.items() for file, figure in each.figures.items()}
    drawn |= {f"challenge-{file}": figure for file, figure in challenge.figures.items()}
    for name, figure in drawn.items():
        figure.savefig(folder / name)
    return list(drawn)


def _markdown(title: str, judged: Mapping[str, Judged], judgements: list[Judgement], pictures: list[str]) -> str:
    cutoffs = sorted({cutoff for judgement in judgements for cutoff in judgement.cutoffs})
    seconds = "\n".join(
        f"| {name} | {each.fit_seconds:.1f} | {each.judge_seconds:.1f} |" for name, each in judged.items()
    )
    return (
        "\n\n".join(
            [
                f"# Judgement of {title}",
                f"Cutoffs: {', '.join(cutoffs) or 'none, the history is too short'}.",
                f"```\n{report_text(judgements)}\n```",
                f"| model | seconds to fit | seconds to judge |\n| --- | --- | --- |\n{seconds}",
                *(f"![{name}]({name})" for name in pictures),
            ]
        )
        + "\n"
    )
