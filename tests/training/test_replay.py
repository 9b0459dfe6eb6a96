"""Past decisions made anew: the same under the same policy, and what another one would have changed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, Request, SubstitutesRequest
from serving.arms import ExperimentEngine
from serving.bundle import open_bundle, write_bundle
from serving.champion import bundle_folder, read_champion, write_champion
from serving.decide import Decider
from serving.decisioning.policy import default_policy_text, with_values
from serving.experiments_toml import default_experiments, parse_experiments
from serving.live import epoch_us
from serving.state.events import Event, EventType
from serving.state_home import open_state
from tests.serving.held_out import text_that
from tests.serving.tiny import AS_OF, CUSTOMERS, tiny_contents
from training.cli import run
from training.errors import ReplayError
from training.replay import ReplayJob, replay

NOW = AS_OF + timedelta(days=1)
REQUESTS: tuple[Request, ...] = (
    *(ChallengeRequest(customer_id=each) for each in CUSTOMERS),
    RecommendationsRequest(customer_id="anna", k=3, basket=["bread-1"]),
    AlsoBoughtRequest(customer_id="anna", product_ids=["milk-1"], k=2),
    AlsoBoughtRequest(product_ids=["milk-1"]),
    SubstitutesRequest(customer_id="anna", product_id="milk-1", k=2),
)


def make_home(home: Path, experiments: str = "") -> Path:
    """Fill a home with decisions: each customer's challenge, and some of anna's after she bought bananas."""
    write_champion(home, write_bundle(tiny_contents(), home / "bundles"))
    (home / "policy.toml").write_text(default_policy_text())
    version = read_champion(home)
    assert version is not None
    plan = parse_experiments(experiments) if experiments else default_experiments()
    engine = ExperimentEngine(open_bundle(bundle_folder(home, version)), plan)
    opened = open_state("file", home)
    at_us = epoch_us(NOW) - 1
    bought = Event("e1", "anna", EventType.PURCHASE, at_us, at_us, "banana-1", "o1")
    opened.state.accept([bought], may_keep=lambda _live: True, kind_of=engine.kinds)
    decider = Decider(engine, opened, opened.ids)
    for request in REQUESTS:
        decider.decide(request, NOW)
    opened.close()
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("replay"))


@pytest.fixture
def other_policy(tmp_path: Path) -> Path:
    """A policy that rewards less, and knows nothing that is just bought."""
    path = tmp_path / "other_policy.toml"
    changes = {"reward.max_value": 2.5, "habit.just_bought_share": 0.0, "habit.just_bought_days": 0.0}
    path.write_text(with_values(default_policy_text(), changes))
    return path


def quiet(_stage: str) -> None:
    pass


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells of each call's row."""
    found = [line.split("  ") for line in text.split("\n\n")[1].splitlines()[2:]]
    return {cells[0]: [cell.strip() for cell in cells[1:] if cell.strip()] for cells in found}


def test_under_the_same_policy_all_is_as_it_was(home: Path) -> None:
    found = rows(replay(home, ReplayJob(), quiet))
    assert set(found) == {"challenge", "recommendations", "also-bought", "substitutes"}
    for n, as_recorded, changed, items_changed, *_ in found.values():
        assert int(n) >= 1
        assert (as_recorded, changed, items_changed) == ("100.0%", "0.0%", "0.0%")


def test_another_policy_s_changes_are_counted_and_valued(home: Path, other_policy: Path) -> None:
    text = replay(home, ReplayJob(other_policy), quiet)
    found = rows(text)
    as_recorded, changed, _items, _value, cost, _chance = found["challenge"][1:]
    assert as_recorded == "100.0%"
    assert changed != "0.0%"
    own, other = (float(each) for each in cost.split(" → "))
    assert other <= 2.5 < own
    assert text.startswith(f"{other_policy} against the policy of each decision's bundle, 2017-12-26")


def test_those_whom_nothing_links_to_a_decision_are_left_out_with_the_reason(home: Path) -> None:
    text = replay(home, ReplayJob(), quiet)
    assert "- left out, as no customer is linked to them: 2" in text  # ben, who refused, and nobody in particular


def test_the_common_answer_of_the_holdout_is_made_anew_as_such(tmp_path: Path) -> None:
    home = make_home(tmp_path / "held", text_that(holds_out="anna", treats="cleo"))
    for _n, as_recorded, *_ in rows(replay(home, ReplayJob(), quiet)).values():
        assert as_recorded in ("100.0%", "-")


def test_only_decisions_of_the_time_asked_for_count(home: Path) -> None:
    with pytest.raises(ReplayError, match="no decision of that time can be made anew: there are none"):
        replay(home, ReplayJob(to_at=AS_OF), quiet)
    assert rows(replay(home, ReplayJob(from_at=NOW, to_at=NOW + timedelta(seconds=1)), quiet))
    with pytest.raises(ReplayError, match="--from must be before --to"):
        replay(home, ReplayJob(from_at=NOW, to_at=NOW), quiet)


def test_decisions_of_a_bundle_that_is_gone_are_said_to_be(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    for file in (home / "bundles").glob("*/manifest.json"):
        file.unlink()
    (home / "champion").unlink()
    with pytest.raises(ReplayError, match="their bundle is not kept any more"):
        replay(home, ReplayJob(), quiet)


def test_a_shop_without_a_state_decided_nothing(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="keeps no state yet"):
        replay(tmp_path, ReplayJob(), quiet)


def test_the_command_prints_the_tables_and_names_mistakes_of_a_policy(
    home: Path, other_policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["replay", "--policy", str(other_policy), "--home", str(home)]) == 0
    assert "own policy as recorded" in capsys.readouterr().out
    other_policy.write_text("[habit]\nx = 1\n")
    assert run(["replay", "--policy", str(other_policy), "--home", str(home)]) == 1
    assert "habit.x: unknown key" in capsys.readouterr().err
