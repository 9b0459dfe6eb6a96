"""Whatever a table holds, its rows add up, and what is kept is what the contract allows."""

from __future__ import annotations

import csv
import io
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import DataContractError
from tests.contracts.folders import HEADER, good_lines, prepared, quarantine, write_folder

IDS = st.sampled_from(["a", "b", " ", "", "7", "ä", 'q"q', "x,y", "line\nbreak"])
TIMES = st.sampled_from(["2024-03-01", "2024-03-01T10:00Z", "2024-02-30", "", "soon", "2024-03-31 02:30:00+02:00"])
NUMBERS = st.sampled_from(["", "1", "-1", "0", "2.5", "x", "inf", "1e400"])
ROWS = st.lists(st.tuples(IDS, IDS, IDS, TIMES, NUMBERS, NUMBERS), max_size=8)
BROKEN_LINES = st.lists(st.sampled_from(["short", "a,b,c,2024-03-01,1,1,1", 'a,"b"c,p,2024-03-01,1,1']), max_size=2)


def as_csv(rows: list[tuple[str, ...]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS, broken=BROKEN_LINES, repeats=st.integers(0, 3))
def test_rows_read_are_kept_quarantined_duplicate_or_left_out(
    rows: list[tuple[str, ...]], broken: list[str], repeats: int
) -> None:
    good = good_lines(28)
    lines = [*good, *good[:repeats], *broken]
    text = HEADER + "\n" + "\n".join(lines) + "\n" + as_csv(rows)
    with tempfile.TemporaryDirectory() as made:
        folder, home = write_folder(Path(made) / "s", {"transactions.csv": text}), Path(made) / "home"
        with suppress(DataContractError):  # more than 20 % bad: the broken tables' own tests look at that
            counts = prepared(folder, home).report.counts_of("transactions")
        if not home.joinpath("quarantine").is_dir():
            return
        in_quarantine = quarantine(home, "transactions")

    assert counts.read == 28 + repeats + len(broken) + len(rows)
    assert counts.read == counts.kept + counts.quarantined + counts.duplicates + counts.left_out
    assert counts.quarantined == len(in_quarantine)
    assert counts.duplicates >= repeats
    assert in_quarantine["reason"].str.len().min() > 0 or not len(in_quarantine)
    assert set(in_quarantine["row"]) <= set(range(1, counts.read + 1))
