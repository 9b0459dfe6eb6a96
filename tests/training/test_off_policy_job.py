"""`tercet replay --value` on a shop that explores: right where the log can tell, and a clear no where it can't."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from serving.bundle import write_bundle
from serving.champion import write_champion
from serving.decisioning.policy import with_values
from serving.errors import BundleError
from serving.experiments_toml import default_experiments_text
from tests.serving.tiny import AS_OF
from tests.training.explored_shop import Told, clones, make_home
from training.cli import run
from training.errors import ReplayError, ValueRefused
from training.off_policy import DR, IPS, SNIPS
from training.off_policy_job import find
from training.off_policy_value import SlotValue
from training.replay import ReplayJob

TAKES_BRIE = {"stretch.min_worth_ratio": 3.3, "exploration.stretch_share": 0.0}  # coffee is no longer worth enough


def quiet(_stage: str) -> None:
    pass


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("explored"), Told())


def other(home: Path, tmp_path: Path, **changes: Any) -> Path:
    """Return the home's policy with other values."""
    path = tmp_path / "other.toml"
    named = {name.replace("__", "."): value for name, value in changes.items()}
    path.write_text(with_values((home / "policy.toml").read_text(), named))
    return path


def slot_of(home: Path, policy: Path | None = None, arm: str | None = None) -> SlotValue:
    (slot,) = find(home, ReplayJob(policy), arm, quiet).slots
    return slot


def test_the_policy_of_the_log_is_worth_what_it_brought(home: Path) -> None:
    slot = slot_of(home)
    assert set(slot.found) == {"taken", "margin", "left", "value"}
    assert (slot.overlap.n, slot.overlap.outside) == (240, 0.0)
    assert slot.overlap.effective == pytest.approx(240)
    for outcome, log in slot.logged.items():
        for name in (IPS, SNIPS):
            assert slot.found[outcome][name].value.value == pytest.approx(log)
        assert slot.found[outcome][DR].gain.low <= 0.0 <= slot.found[outcome][DR].gain.high


def test_another_policy_is_worth_what_its_choices_brought(home: Path, tmp_path: Path) -> None:
    slot = slot_of(home, other(home, tmp_path, **TAKES_BRIE))
    assert 0.3 < slot.logged["taken"] < 0.55
    for each in slot.found["taken"].values():
        assert each.value.low <= 0.7 <= each.value.high
        assert each.gain.low > 0.1
    # Ten in money a stretch, of which a quarter is margin where the cost is not known.
    assert slot.found["value"][SNIPS].value.value > slot.logged["value"] > 0


def test_rewards_that_the_log_never_gave_are_outside_of_it(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueRefused, match=r"^overlap: 100.0% .* \(100.0% as other habits, rewards or offers"):
        find(home, ReplayJob(other(home, tmp_path, reward__max_value=0.5)), None, quiet)


def test_too_small_an_effective_sample_is_refused(home: Path, tmp_path: Path) -> None:
    kept = (home / "policy.toml").read_text()
    (home / "policy.toml").write_text(with_values(kept, {"exploration.min_effective": 200}))
    with pytest.raises(ValueRefused, match=r"^effective sample: 240 decisions tell as much .* as 1\d\d of its own"):
        find(home, ReplayJob(other(home, tmp_path, **TAKES_BRIE)), None, quiet)
    (home / "policy.toml").write_text(kept)


def test_the_command_prints_the_table_or_one_line(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["replay", "--value", "--policy", str(other(home, tmp_path, **TAKES_BRIE)), "--home", str(home)]) == 0
    out = capsys.readouterr().out
    assert "DR minus log" in out
    assert "other.toml would have brought more" in out
    assert (home / "reports" / "value-other" / "stretch.png").stat().st_size > 1000
    assert run(["replay", "--value", "--from", "2019-01-01", "--home", str(home)]) == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("tercet: propensities: no challenge and")
    assert run(["replay", "--arm", "none", "--home", str(home)]) == 2


def test_where_nothing_was_drawn_it_says_what_to_switch_on(tmp_path: Path) -> None:
    home = make_home(tmp_path / "staid", Told(n=5, policy=(("exploration.stretch_share", 0.0),)))
    with pytest.raises(ValueRefused, match="propensities: none of the 5 decisions .* set stretch_share or offer_share"):
        find(home, ReplayJob(), None, quiet)


def test_without_bundle_or_state_it_says_so(tmp_path: Path) -> None:
    home = make_home(tmp_path / "gone", Told(n=5))
    with pytest.raises(ValueRefused, match=r"effective sample"):
        find(home, ReplayJob(), None, quiet)
    (version,) = (home / "bundles").iterdir()
    kept = version.rename(tmp_path / version.name)
    with pytest.raises(BundleError, match="no manifest"):
        find(home, ReplayJob(), None, quiet)
    kept.rename(version)
    (home / "champion").unlink()
    with pytest.raises(ReplayError, match="no champion yet"):
        find(home, ReplayJob(), None, quiet)
    with pytest.raises(ReplayError, match="no champion yet"):
        find(tmp_path / "nothing", ReplayJob(), None, quiet)


def test_decisions_of_a_bundle_that_is_gone_are_said_to_be(tmp_path: Path) -> None:
    home = make_home(tmp_path / "older", Told(n=4))
    (older,) = (home / "bundles").iterdir()
    write_champion(home, write_bundle(clones("anna", 4, {"reward.max_value": 2.0}), home / "bundles"))
    older.rename(tmp_path / "away")
    with pytest.raises(ValueRefused, match=r"^propensities: .* looked at again: 4: their bundle is not kept any more"):
        find(home, ReplayJob(), None, quiet)


def test_where_no_decision_s_days_are_over_it_says_to_come_back(home: Path) -> None:
    kept = (home / "policy.toml").read_text()
    (home / "policy.toml").write_text(with_values(kept, {"state.attribution_days": 30}))
    with pytest.raises(ValueRefused, match=r"^days: of 240 drawn decisions none is 30 days old .* come back later"):
        find(home, ReplayJob(), None, quiet)
    (home / "policy.toml").write_text(kept)


def test_offers_are_valued_by_their_redemptions_also_when_budgets_run_out(tmp_path: Path) -> None:
    takes = (("coffee-off", 0.7), ("points", 0.1))
    home = make_home(tmp_path / "offers", Told(n=200, call="offers", takes=takes, policy=(("exploration.among", 3),)))
    found = find(home, ReplayJob(other(home, tmp_path, exploration__offer_share=0.0)), None, quiet)
    (slot,) = found.slots
    assert (slot.slot, slot.overlap.n, found.left_out) == ("first_offer", 200, {})
    gain = slot.found["taken"][SNIPS].gain
    assert gain.low > 0.0  # the best one, coffee while there is money for it, is redeemed the most


EXPERIMENT = f"""
[[experiment]]
name = "bolder"
start = {AS_OF.isoformat()}
end = {(AS_OF + timedelta(days=56)).isoformat()}

[[experiment.arm]]
name = "control"
share = 0.5

[[experiment.arm]]
name = "bold"
share = 0.5
[experiment.arm.policy]
"exploration.caution" = 0.0
"""


def test_arms_are_valued_one_at_a_time_each_by_its_own_odds(tmp_path: Path) -> None:
    home = make_home(tmp_path / "arms", Told(n=200, experiments=default_experiments_text() + EXPERIMENT))
    with pytest.raises(ValueRefused, match=r"^arms: .* mixed: bolder/bold \(\d+\), bolder/control \(\d+\); name one"):
        find(home, ReplayJob(), None, quiet)
    with pytest.raises(ValueRefused, match="no decision of 'bolder/x' was drawn"):
        find(home, ReplayJob(), "bolder/x", quiet)
    policy = other(home, tmp_path, **TAKES_BRIE)
    heaviest = {arm: slot_of(home, policy, f"bolder/{arm}").overlap.max_weight for arm in ("control", "bold")}
    assert heaviest["bold"] == pytest.approx(2.0)  # either of two, evenly
    assert heaviest["control"] > 2.1
    (home / "experiments.toml").write_text(default_experiments_text())
    with pytest.raises(ValueRefused, match="their arm is not in experiments.toml any more"):
        find(home, ReplayJob(), "bolder/bold", quiet)
