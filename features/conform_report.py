"""What `tercet check` says: how the rows of each table add up, and what is switched off."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from features.errors import TablesError

REPORT_FILE = "report.json"
_HEADINGS = ("table", "read", "kept", "quarantined", "duplicate", "left out")


@dataclass(frozen=True)
class RowCounts:
    """How the rows of one table were dealt with; `reasons` says what was quarantined why, with row numbers."""

    table: str
    place: str
    read: int
    kept: int
    quarantined: int = 0
    duplicates: int = 0
    left_out: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def adds_up(self) -> bool:
        """Return whether rows read = kept + quarantined + exact duplicates + left out."""
        return self.read == self.kept + self.quarantined + self.duplicates + self.left_out


@dataclass(frozen=True)
class CheckReport:
    """How every table of a source was dealt with."""

    source_name: str
    counts: tuple[RowCounts, ...]
    switched_off: tuple[str, ...]
    warnings: tuple[str, ...]

    def counts_of(self, table: str) -> RowCounts:
        """Return the counts of one table; `KeyError` when the source has no such table."""
        return {each.table: each for each in self.counts}[table]

    def text(self) -> str:
        """Return the report as a person reads it: a row for each table, then reasons, warnings and what is off."""
        rows = [_HEADINGS, *(_cells(each) for each in self.counts)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
        lines = [_aligned(row, widths) for row in rows]
        lines += ["", "rows read = kept + quarantined + duplicate + left out, for every table"]
        reasons = [f"{each.place}: {reason}" for each in self.counts for reason in each.reasons]
        lines += _section("In quarantine or left out", reasons)
        lines += _section("Warnings", self.warnings)
        lines += _section("Switched off", self.switched_off)
        return "\n".join(lines)

    def save(self, folder: Path) -> None:
        """Write the report beside the tables that it tells of."""
        (folder / REPORT_FILE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the report that was saved in a folder; `TablesError` when there is none."""
        try:
            values = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
            counts = tuple(RowCounts(**{**each, "reasons": tuple(each["reasons"])}) for each in values["counts"])
            return cls(values["source_name"], counts, tuple(values["switched_off"]), tuple(values["warnings"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TablesError(f"{folder} holds no report; remove the folder and run `tercet check SOURCE`") from error


def _cells(counts: RowCounts) -> tuple[str, ...]:
    numbers = (counts.read, counts.kept, counts.quarantined, counts.duplicates, counts.left_out)
    return (counts.table, *(f"{number:,}" for number in numbers))


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    numbers = "  ".join(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return f"{row[0].ljust(widths[0])}  {numbers}"


def _section(title: str, lines: tuple[str, ...] | list[str]) -> list[str]:
    return ["", title, *(f"  - {line}" for line in lines)] if lines else []
