"""The gate: what passes, what does not and says why, and that nothing changes hands halfway."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving.api import ChallengeRequest
from serving.bundle import open_bundle, write_bundle
from serving.champion import read_champion
from serving.engine import Engine
from serving.errors import BundleError, PolicyError
from tests.serving.tiny import AS_OF, tiny_contents
from tests.training.gate_judgements import CUTOFFS, judgement
from training.errors import GateError
from training.gate import promote
from training.gate_record import JUDGEMENT_FILE, GateRecord, read_record, verdict_of, write_json, write_record
from training.gate_rules import decide_alone
from training.home import Home
from training.judge import Judgement, MetricRow
from training.results import KeptResults, ModelRecipe, ModelResults, ResultsKey

AHEAD = MetricRow("habit", "types", "precision@2", 0.5, 0.4, 0.6, "P-TopFreq", 0.4, 0.1, 0.05, 0.15, is_primary=True)
LEVEL = replace(AHEAD, gain=-0.01, gain_low=-0.1, gain_high=0.1)
BEHIND = replace(AHEAD, gain=-0.1, gain_low=-0.2, gain_high=-0.05)


def record_of(bundle: str, row: MetricRow, champion: str = "") -> GateRecord:
    decision = decide_alone(Judgement("habit", ("2017-12-04",), (row,)))
    return GateRecord(bundle, champion, (decision,), verdict_of([decision]), results={"habit": "none-kept"})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def with_bundle(home: Home, row: MetricRow, **contents: Any) -> str:
    version = write_bundle(tiny_contents(**contents), home.bundles)
    write_record(home.report(version), record_of(version, row, home.champion() or ""))
    return version


def with_results(home: Home, version: str, recall: float, *, data: str = "da7a", config: int = 1) -> None:
    """Let a bundle's model be judged anew: what its recipe showed is kept, and its record says where."""
    key = ResultsKey(ModelRecipe("habit", {"n_trees": config}, "c0de"), data, 10**15, CUTOFFS)
    KeptResults.under(home.folder).keep(ModelResults(key, judgement(recall=recall)))
    record = read_record(home.report(version))
    assert record is not None
    write_record(home.report(version), replace(record, results={"habit": key.digest}))


def test_a_bundle_that_is_ahead_or_level_passes_and_one_behind_does_not(home: Home) -> None:
    assert record_of("b", AHEAD).verdict.passes
    assert record_of("b", LEVEL).verdict.passes
    assert record_of("b", LEVEL).verdict.undecided
    assert not record_of("b", BEHIND).verdict.passes


def test_metrics_that_are_not_primary_do_not_decide() -> None:
    assert record_of("b", replace(BEHIND, is_primary=False)).verdict.passes


def test_a_record_comes_back_from_its_file_and_a_damaged_one_is_missing(home: Home) -> None:
    folder = home.report("b")
    write_record(folder, record_of("b", BEHIND, "a"))
    assert read_record(folder) == record_of("b", BEHIND, "a")
    (folder / JUDGEMENT_FILE).write_text('{"passes": true}')
    assert read_record(folder) is None


def test_a_record_of_an_older_version_is_gone_by(home: Home) -> None:
    version = write_bundle(tiny_contents(), home.bundles)
    older = {"passes": True, "behind": [], "undecided": [], "registered": {}, "judgements": []}
    write_json(home.report(version) / JUDGEMENT_FILE, older)
    assert promote(home.folder).version == version


def test_what_passes_becomes_the_champion(home: Home) -> None:
    version = with_bundle(home, AHEAD)
    promotion = promote(home.folder)
    assert promotion.version == version == read_champion(home.folder)
    assert not promotion.forced


def test_what_is_worse_is_refused_and_says_why(home: Home) -> None:
    with_bundle(home, BEHIND)
    with pytest.raises(GateError, match=r"precision@2.*P-TopFreq.*--force"):
        promote(home.folder)
    assert read_champion(home.folder) is None


def test_force_leaves_its_trace(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    version = with_bundle(home, BEHIND)
    assert promote(home.folder, force=True).forced
    kept = json.loads((home.report(version) / "gate.json").read_text())
    assert kept["forced"] is True
    assert kept["behind"]
    assert "by force" in caplog.text
    assert "precision@2" in caplog.text


def test_another_policy_makes_another_version(home: Home, tmp_path: Path) -> None:
    version = with_bundle(home, AHEAD)
    promote(home.folder)
    changed = tmp_path / "other.toml"
    changed.write_text(home.policy_text().replace("due_slack_days = 0.0", "due_slack_days = 2.0"))
    promotion = promote(home.folder, policy=changed)
    assert promotion.version != version
    assert read_champion(home.folder) == promotion.version
    assert promote(home.folder, version).version == version


def test_each_decision_tells_the_policy_by_its_version(home: Home, tmp_path: Path) -> None:
    before = with_bundle(home, AHEAD)
    promote(home.folder)
    changed = tmp_path / "other.toml"
    changed.write_text(home.policy_text() + "\n[[bans]]\nproducts = ['milk-1', 'milk-99']\n")
    promotion = promote(home.folder, policy=changed)
    told = {}
    for version in (before, promotion.version):
        engine = Engine(open_bundle(home.bundle(version)))
        answer = engine.challenge(ChallengeRequest(customer_id="anna"), AS_OF, "0" * 32)
        told[answer["model_version"]] = [item["product_id"] for item in answer["items"]]
    assert "milk-1" in told[before]
    assert "milk-1" not in told[promotion.version]
    assert "note, policy.toml: bans 1: the bundle knows no product 'milk-99'" in promotion.text
    assert "milk-1'" not in promotion.text


@pytest.mark.parametrize("text", ["[shop]\ncolour = 1\n", "not toml ["])
def test_a_policy_with_mistakes_changes_nothing(home: Home, tmp_path: Path, text: str) -> None:
    version = with_bundle(home, AHEAD)
    promote(home.folder)
    changed = tmp_path / "other.toml"
    changed.write_text(text)
    with pytest.raises(PolicyError, match="other.toml"):
        promote(home.folder, policy=changed)
    assert read_champion(home.folder) == version


def test_an_unknown_version_and_an_empty_home_are_named(home: Home) -> None:
    with pytest.raises(GateError, match="tercet train"):
        promote(home.folder)
    version = with_bundle(home, AHEAD)
    with pytest.raises(GateError, match=version):
        promote(home.folder, "20170101-00000000")


def test_a_damaged_bundle_is_not_promoted(home: Home) -> None:
    version = with_bundle(home, AHEAD)
    array = next((home.bundle(version) / "arrays").glob("customers.churn*"))
    array.write_bytes(array.read_bytes()[:-1])
    with pytest.raises(BundleError, match="customers.churn"):
        promote(home.folder)


def test_a_bundle_without_its_judgement_needs_force(home: Home) -> None:
    version = write_bundle(tiny_contents(), home.bundles)
    with pytest.raises(GateError, match="judged"):
        promote(home.folder)
    assert promote(home.folder, force=True).version == version


def two_bundles(home: Home) -> tuple[str, str]:
    """Return two bundles that were trained while nothing served; the first one serves now."""
    first = with_bundle(home, AHEAD)
    second = with_bundle(home, AHEAD, policy={"habit.due_slack_days": 3.0})
    promote(home.folder, first)
    return first, second


@pytest.mark.parametrize(("recall", "passes"), [(0.05, True), (0.0, True), (-0.05, False)])
def test_where_another_bundle_serves_meanwhile_kept_results_decide(home: Home, recall: float, passes: bool) -> None:
    first, second = two_bundles(home)
    with_results(home, first, 0.0)
    with_results(home, second, recall, config=2)
    if passes:
        assert "recall@10 *" in promote(home.folder, second).text
    else:
        with pytest.raises(GateError, match=r"habit, next basket: recall@10 .* against the champion's .* --force"):
            promote(home.folder, second)
    assert read_champion(home.folder) == (second if passes else first)


def test_results_of_other_data_decide_nothing(home: Home) -> None:
    first, second = two_bundles(home)
    with_results(home, first, 0.0)
    with_results(home, second, 0.1, data="other")
    with pytest.raises(GateError, match=rf"{first} serves now.*train again"):
        promote(home.folder, second)
    assert promote(home.folder, second, force=True).forced


def test_going_back_needs_no_comparison(home: Home) -> None:
    first, second = two_bundles(home)
    promote(home.folder, second, force=True)
    assert not promote(home.folder, first).forced
    assert read_champion(home.folder) == first


def test_a_bundle_judged_beside_the_champion_stands_though_its_policy_has_changed_since(
    home: Home, tmp_path: Path
) -> None:
    promote(home.folder, with_bundle(home, AHEAD))
    later = with_bundle(home, AHEAD, policy={"habit.due_slack_days": 3.0})
    changed = tmp_path / "other.toml"
    changed.write_text(home.policy_text().replace("due_slack_days = 0.0", "due_slack_days = 2.0"))
    promote(home.folder, policy=changed)
    assert not promote(home.folder, later).forced
