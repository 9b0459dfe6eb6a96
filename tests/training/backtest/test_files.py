"""Kept files: whole or not there, whatever happens to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.backtest.files import read_frame, read_sealed, write_frame, write_sealed
from training.backtest.kept import KeptFindings, keep_findings, read_findings
from training.backtest.observation import OURS, Fact, Findings, Observation, Table
from training.costs import Cost

FOUND = KeptFindings(
    Findings(
        observations=(
            Observation(
                "t", "recall@10", {OURS: np.array([0.5, np.nan]), "popularity": np.array([0.1, 0.2])}, np.arange(2)
            ),
            Observation(
                "t",
                "ECE",
                {OURS: np.array([0.25])},
                np.array([3]),
                statistic="ece",
                higher_is_better=False,
                outcomes=np.array([1.0]),
                groups=np.array([7]),
                bins=15,
            ),
        ),
        facts=(Fact("t", "coverage", {OURS: 0.5}, higher_is_better=True),),
        tables=(Table("t", "shown most", ("what", "share"), (("milk", "3 %"),)),),
        notes=("no amounts in this source",),
    ),
    (Cost("fit x", 1.0, 2.0, 3.0),),
)


def test_findings_come_back_as_they_were(tmp_path: Path) -> None:
    keep_findings(tmp_path / "f", FOUND)
    found = read_findings(tmp_path / "f")
    assert found is not None
    assert found.costs == FOUND.costs
    assert found.findings.facts == list(FOUND.findings.facts)
    assert found.findings.tables == list(FOUND.findings.tables)
    assert found.findings.notes == FOUND.findings.notes
    for ours, theirs in zip(found.findings.observations, FOUND.findings.observations, strict=True):
        assert (ours.task, ours.metric, ours.statistic, ours.bins) == (
            theirs.task,
            theirs.metric,
            theirs.statistic,
            theirs.bins,
        )
        assert ours.higher_is_better == theirs.higher_is_better
        for name, values in theirs.values.items():
            np.testing.assert_array_equal(ours.values[name], values)
        for mine, given in ((ours.outcomes, theirs.outcomes), (ours.groups, theirs.groups)):
            assert (mine is None) == (given is None)
            if mine is not None and given is not None:
                np.testing.assert_array_equal(mine, given)


@pytest.mark.parametrize("kept", [0, 1, 40, 200, -1])
def test_half_a_file_is_none(tmp_path: Path, kept: int) -> None:
    keep_findings(tmp_path / "f", FOUND)
    (tmp_path / "f").write_bytes((tmp_path / "f").read_bytes()[:kept])
    assert read_findings(tmp_path / "f") is None


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    write_sealed(tmp_path / "f", b"said")
    damaged = bytearray((tmp_path / "f").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "f").write_bytes(damaged)
    assert read_sealed(tmp_path / "f") is None


def test_what_is_whole_but_of_another_form_is_none(tmp_path: Path) -> None:
    write_sealed(tmp_path / "f", b"neither arrays nor a text")
    assert read_findings(tmp_path / "f") is None


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sealed(tmp_path / "f", b"old")

    def fail(self: Path, target: Path) -> Path:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_sealed(tmp_path / "f", b"new")
    assert read_sealed(tmp_path / "f") == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


def test_frames_come_back_as_they_were(tmp_path: Path) -> None:
    frame = pd.DataFrame({"customer_row": np.arange(3, dtype=np.int32), "probability": [0.1, np.nan, 1.0]})
    write_frame(tmp_path / "f", frame)
    pd.testing.assert_frame_equal(read_frame(tmp_path / "f"), frame)
    assert read_frame(tmp_path / "none") is None
