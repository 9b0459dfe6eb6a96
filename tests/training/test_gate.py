"""The gate: what passes, what does not and says why, and that nothing changes hands halfway."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from serving.api import ChallengeRequest
from serving.bundle import open_bundle, write_bundle
from serving.champion import read_champion
from serving.engine import Engine
from serving.errors import BundleError, PolicyError
from tests.serving.tiny import AS_OF, tiny_contents
from training.errors import GateError
from training.gate import compare, judgement_record, keep_judgement, promote
from training.home import Home
from training.judge import Judgement, MetricRow

AHEAD = MetricRow("habit", "types", "precision@2", 0.5, 0.4, 0.6, "P-TopFreq", 0.4, 0.1, 0.05, 0.15, is_primary=True)
LEVEL = replace(AHEAD, gain=-0.01, gain_low=-0.1, gain_high=0.1)
BEHIND = replace(AHEAD, gain=-0.1, gain_low=-0.2, gain_high=-0.05)


def judged(row: MetricRow) -> list[Judgement]:
    return [Judgement("habit", ("2017-12-04",), (row,))]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def with_bundle(home: Home, row: MetricRow) -> str:
    version = write_bundle(tiny_contents(), home.bundles)
    keep_judgement(home, version, judgement_record(judged(row), {}))
    return version


def test_a_model_that_is_ahead_or_level_passes_and_one_behind_does_not() -> None:
    assert compare(judged(AHEAD)).passes
    assert compare(judged(LEVEL)).passes
    assert compare(judged(LEVEL)).undecided
    assert not compare(judged(BEHIND)).passes


def test_metrics_that_are_not_primary_do_not_decide() -> None:
    assert compare(judged(replace(BEHIND, is_primary=False))).passes


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


def test_force_leaves_its_trace(home: Home) -> None:
    version = with_bundle(home, BEHIND)
    assert promote(home.folder, force=True).forced
    kept = json.loads((home.report(version) / "gate.json").read_text())
    assert kept["forced"] is True
    assert kept["behind"]


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
