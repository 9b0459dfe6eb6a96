from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving.champion import write_champion
from training.home import Home
from training.retention import drop_oldest


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Five bundles with reports, `a` the oldest, and `b` the champion."""
    place = Home(tmp_path)
    for age, version in enumerate("edcba"):
        place.bundle(version).mkdir(parents=True)
        place.report(version).mkdir(parents=True)
        manifest = place.bundle(version) / "manifest.json"
        manifest.write_text("{}")
        os.utime(manifest, (1000 - age, 1000 - age))
    write_champion(tmp_path, "b")
    return place


def left(place: Home) -> list[str]:
    return sorted(each.name for each in place.bundles.iterdir())


def test_the_oldest_go_with_their_reports_and_the_champion_stays(home: Home) -> None:
    assert drop_oldest(home, 2) == ("c", "a")
    assert left(home) == ["b", "d", "e"] == sorted(each.name for each in (home.folder / "reports").iterdir())


def test_what_has_just_served_stays(home: Home) -> None:
    assert drop_oldest(home, 1, but=("a", "gone")) == ("d", "c")
    assert left(home) == ["a", "b", "e"]


def test_nothing_goes_while_there_are_few_or_none(home: Home, tmp_path: Path) -> None:
    assert drop_oldest(home, 5) == ()
    assert drop_oldest(Home(tmp_path / "empty"), 1) == ()
    (home.bundles / ".being-written").mkdir()
    assert drop_oldest(home, 4) == ("a",)
    assert ".being-written" in left(home)
