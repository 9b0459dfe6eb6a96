"""`tercet lift` from end to end on a made-up shop: what it finds, what it refuses, and what it leaves behind."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from serving.champion import read_champion
from tests.serving.tiny import AS_OF
from tests.training.lift_shop import Told, experiments_text, make_home
from training.cli import run
from training.errors import LiftError, LiftRefused
from training.lift import LiftJob, find
from training.tracking import Tracker

JOB = LiftJob("points")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose treated customers spend up to 12 more."""
    return make_home(tmp_path_factory.mktemp("lift"), Told(extra=12.0))


def quiet(_stage: str) -> None:
    pass


def test_an_effect_is_found(home: Path) -> None:
    found = find(home, JOB, quiet)
    (brought,) = found.arms
    revenue = brought.effects["revenue"]
    # Four of eight purchases come after the exposure, in 28 days of which 14 count: two on average, each 6 more.
    assert revenue.plain.low < 2 * 12.0 / 2 < revenue.plain.high
    assert revenue.adjusted.high - revenue.adjusted.low < revenue.plain.high - revenue.plain.low
    assert revenue.treated_mean - revenue.control_mean == pytest.approx(revenue.plain.value)
    # No cost is known of what was bought: a quarter of the money counts as margin.
    assert brought.effects["margin"].plain.value == pytest.approx(revenue.plain.value / 4)
    assert brought.effects["value"].is_shown


def test_tables_of_a_source_tell_the_same_as_the_log(home: Path, tmp_path: Path) -> None:
    with_tables = make_home(tmp_path / "home", Told(extra=12.0), tables=tmp_path / "tables")
    ours = find(with_tables, LiftJob("points", source=str(tmp_path / "tables")), quiet).arms[0].effects["revenue"]
    theirs = find(home, JOB, quiet).arms[0].effects["revenue"]
    assert ours.plain.value == pytest.approx(theirs.plain.value, abs=1e-3)
    assert ours.adjusted.value == pytest.approx(theirs.adjusted.value, abs=1e-3)


def test_the_daily_looks_end_at_what_is_reported(home: Path) -> None:
    (brought,) = find(home, JOB, quiet).arms
    assert len(brought.looks) > 5
    assert brought.looks[-1].interval == brought.effects["value"].always
    assert [look.n for look in brought.looks] == sorted(look.n for look in brought.looks)


def test_it_is_printed_written_and_logged(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lift", "points", "--home", str(home)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("points, up to 2018-02-12")
    assert "treated brings more than control: +" in out
    folder = home / "reports" / "lift-points"
    assert {each.name for each in folder.iterdir()} == {"report.txt", "treated-money.png", "treated-days.png"}
    assert (folder / "report.txt").read_text() == out
    client = Tracker.under(home).client
    experiment = client.get_experiment_by_name("tercet/lift")
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.data.metrics["treated.revenue.plain"] > 0
    assert logged.data.params["lift.days"] == "14"
    assert {each.path for each in client.list_artifacts(logged.info.run_id)} >= {"lift.json", "report.txt", "pictures"}


def test_what_comes_after_the_moment_does_not_count(home: Path) -> None:
    with pytest.raises(LiftRefused, match=r"customers: .* an arm are needed \(\d+ more wait for their 14 days"):
        find(home, LiftJob("points", to_at=AS_OF + timedelta(days=8)), quiet)


def test_only_those_first_exposed_since_the_moment_count(home: Path) -> None:
    whole = find(home, JOB, quiet)
    late = find(home, LiftJob("points", from_at=AS_OF + timedelta(days=9)), quiet)
    assert 0 < sum(late.counts.values()) < sum(whole.counts.values())


def test_uneven_arms_are_refused_with_their_counts(tmp_path: Path) -> None:
    home = make_home(tmp_path, Told(lost_share=0.4))
    with pytest.raises(LiftRefused, match=r"sample ratio: control \d+ \(\d+ expected\), treated \d+ \(\d+ expected\)"):
        find(home, JOB, quiet)


def test_too_few_customers_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = make_home(tmp_path, Told(n=120), text=experiments_text(min_customers=200))
    assert run(["lift", "points", "--home", str(home)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith("tercet: customers: 56 of 'control', 64 of 'treated' were exposed")


def test_without_an_effect_none_is_claimed(tmp_path: Path) -> None:
    (brought,) = find(make_home(tmp_path, Told(seed=3)), JOB, quiet).arms
    assert not brought.effects["value"].is_shown


def test_the_holdout_is_measured_against_everybody_else(tmp_path: Path) -> None:
    text = experiments_text().replace("share = 0.0 ", "share = 0.3 ")
    found = find(make_home(tmp_path, Told(extra=12.0), text=text), LiftJob("holdout"), quiet)
    (brought,) = found.arms
    assert (found.question.control, brought.arm) == ("holdout", "personal")
    assert 0.2 < found.counts["holdout"] / sum(found.counts.values()) < 0.4
    # Half of the others are treated, and bring 12 more.
    assert brought.effects["revenue"].plain.low < 6.0 < brought.effects["revenue"].plain.high


def test_what_is_not_there_is_named(tmp_path: Path, home: Path) -> None:
    with pytest.raises(LiftError, match="no champion yet"):
        find(tmp_path, JOB, quiet)
    with pytest.raises(LiftError, match="no experiment 'other'; it has holdout, points"):
        find(home, LiftJob("other"), quiet)
    with pytest.raises(LiftError, match="--from must be before --to"):
        find(home, LiftJob("points", from_at=AS_OF, to_at=AS_OF), quiet)
    with pytest.raises(LiftRefused, match="nobody was held out yet"):
        find(home, LiftJob("holdout"), quiet)


def test_a_shop_without_a_state_has_nothing_to_measure(tmp_path: Path, home: Path) -> None:
    version = read_champion(home)
    assert version is not None
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / version).symlink_to(home / "bundles" / version)
    (tmp_path / "champion").write_text(version)
    (tmp_path / "experiments.toml").write_text(experiments_text())
    with pytest.raises(LiftError, match="keeps no state yet"):
        find(tmp_path, JOB, quiet)
