"""`make simulate` on the synthetic shop, small: from the source to the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from training import campaigns
from training.campaigns import Plan, simulate
from training.intervals import Interval
from training.simulation.campaign import Outcome
from training.simulation.evidence import Evidence
from training.simulation.staging import ShopSize
from training.simulation.suite import verdict

pytestmark = pytest.mark.timeout(1200)  # the training in `found` counts towards the first test

PLAN = Plan(campaigns=24, size=ShopSize(customers=340, weeks=20, offers=6), trials=1, jobs=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("simulated")


@pytest.fixture(scope="module")
def found(home: Path) -> Evidence:
    return simulate("synthetic:customers=150,weeks=30,seed=7", home, PLAN, lambda _: None)


def halved(outcome: Outcome) -> Outcome:
    value, half = outcome.cuped.value, (outcome.cuped.high - outcome.cuped.low) / 4
    return replace(outcome, cuped=Interval(value, value - half, value + half))


@pytest.mark.slow
def test_intervals_hold_the_truth_and_halved_ones_do_not(found: Evidence) -> None:
    # Of 48, at 95 %: fewer than 41 has a chance of 1 in 1,000; halved intervals hold two in three, 38 or more with 3 %.
    outcomes = [*found.effect.outcomes, *found.nothing.outcomes]
    assert verdict(outcomes).n_covered >= 41
    assert verdict([halved(each) for each in outcomes]).n_covered < 41


@pytest.mark.slow
def test_without_effect_nothing_is_true_and_hardly_anything_is_called(found: Evidence) -> None:
    assert all(each.truth == 0.0 for each in found.nothing.outcomes)
    assert verdict(found.nothing.outcomes).n_wins <= 3
    assert any(each.truth != 0.0 for each in found.effect.outcomes)


@pytest.mark.slow
def test_the_engine_sends_and_stands_first_in_the_table(found: Evidence) -> None:
    ours = found.table[0]
    assert ours.name == "value equation"
    assert ours.sent > 0.0
    assert {each.name for each in found.table} >= {"random", "most popular", "highest discount", "always send"}
    assert ours.gain.value > max(each.gain.value for each in found.table if each.name == "highest discount")


@pytest.mark.slow
def test_the_report_is_written_with_pictures(found: Evidence, home: Path) -> None:
    folder = home / "reports" / "simulation"
    record = json.loads((folder / "report.json").read_text("utf-8"))
    assert len(record["campaigns"]) == 2 * PLAN.campaigns
    assert record["claims"][0]["text"] in (folder / "report.md").read_text("utf-8")
    assert {"policies.png", "campaigns.png"} <= {each.name for each in folder.glob("*.png")}
    assert found.claims[0].text == record["claims"][0]["text"]


def test_a_source_that_is_not_there_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert campaigns.main([str(tmp_path / "nowhere"), "--home", str(tmp_path / "home")]) == 1
    assert "nowhere" in capsys.readouterr().err.splitlines()[-1]
