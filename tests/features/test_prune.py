"""Pruning: the current tables and the ones before stay, older ones go with their features."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from features.prune import prune


def made(features: Path, digest: str, at: int, kinds: tuple[str, ...] = ("tables", "groups")) -> None:
    for kind in kinds:
        folder = features / kind / digest / "customers"
        folder.mkdir(parents=True)
        (folder / "one.parquet").write_bytes(b"PAR1")
        os.utime(folder.parent, (at, at))


def left(features: Path, kind: str) -> list[str]:
    return sorted(path.name for path in (features / kind).iterdir())


def test_the_current_and_the_one_before_stay(tmp_path: Path) -> None:
    for at, digest in enumerate(["oldest", "older", "before", "now"]):
        made(tmp_path, digest, 1_000 + at)

    assert prune(tmp_path, "now") == ("oldest", "older")
    assert left(tmp_path, "groups") == left(tmp_path, "tables") == ["before", "now"]
    assert (tmp_path / "groups" / "before" / "customers" / "one.parquet").exists()


def test_going_back_to_an_older_source_makes_it_the_one_before(tmp_path: Path) -> None:
    for at, digest in enumerate(["first", "second"]):
        made(tmp_path, digest, 1_000 + at)
    prune(tmp_path, "first")  # trained on again
    made(tmp_path, "third", 1_010)

    assert prune(tmp_path, "third") == ("second",)
    assert left(tmp_path, "groups") == ["first", "third"]


def test_a_second_time_nothing_goes(tmp_path: Path) -> None:
    for at, digest in enumerate(["older", "before", "now"]):
        made(tmp_path, digest, 1_000 + at)

    assert [prune(tmp_path, "now") for _ in range(2)] == [("older",), ()]


@pytest.mark.parametrize("kind", ["tables", "groups"])
def test_leftovers_of_one_kind_go_too(tmp_path: Path, kind: str) -> None:
    made(tmp_path, "left-over", 1_000, (kind,))
    made(tmp_path, "before", 1_001)
    made(tmp_path, "now", 1_002)

    assert prune(tmp_path, "now") == ("left-over",)


def test_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    for at, digest in enumerate([".building-1", "before", "now"]):
        made(tmp_path, digest, 1_000 + at)

    assert prune(tmp_path, "now") == ()
    assert left(tmp_path, "tables") == [".building-1", "before", "now"]


def test_without_features_nothing_goes(tmp_path: Path) -> None:
    assert prune(tmp_path / "none", "now") == ()
