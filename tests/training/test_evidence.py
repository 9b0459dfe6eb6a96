"""The evidence of a training: challenges are replayed once for the same models, policy and data, then read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from features.asof import Moment
from features.build import FeatureStore
from serving.decisioning.policy import default_policy_text
from tests.features.tiny import at, line, write_tables
from training import evidence
from training.challenge_judging import ChallengeJudgement
from training.evidence import OF_CHALLENGE, gather_evidence
from training.history import History
from training.judge import Judgement
from training.judging import Bench, Judged
from training.learners import Learner, learners
from training.plots import importance_figure
from training.recipe import Recipe
from training.results import KeptResults, ModelResults

POLICY = default_policy_text()


@pytest.fixture(scope="module")
def chosen() -> list[Learner]:
    return [learner for learner in learners(is_quick=True) if learner.name in OF_CHALLENGE]


def bench(folder: Path, n_days: int) -> Bench:
    tables = write_tables(folder / "t", [line(order, order) for order in range(n_days)])
    history = History(FeatureStore(tables, folder / "f"), at(n_days))
    return Bench(history, Recipe(n_judged=1), lambda _: None, KeptResults.under(folder / "home"))


def judged(chosen: list[Learner], on: Bench) -> dict[str, Judged]:
    return {learner.name: on.fitted_later(learner) for learner in chosen}


class Replays:
    """Counts how often challenges are replayed."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self, models: object, history: History, recipe: Recipe, policy: str) -> ChallengeJudgement:
        self.n += 1
        picture = {"completion.png": importance_figure({"a": 1.0}, title="t")}
        return ChallengeJudgement(Judgement("challenge", ("2024-01-01",), ()), {"intercept": 0.25}, picture)


def test_challenges_are_replayed_once_for_the_same_recipes_and_policy(
    tmp_path: Path, chosen: list[Learner], monkeypatch: pytest.MonkeyPatch
) -> None:
    replays = Replays()
    monkeypatch.setattr(evidence, "judge_challenge", replays)
    on = bench(tmp_path, 60)
    first, again = (gather_evidence(judged(chosen, on), on, POLICY) for _ in range(2))
    assert replays.n == 1
    assert first.challenge == again.challenge
    assert dict(again.challenge.numbers) == {"intercept": 0.25}
    assert again.challenge.pictures["completion.png"].startswith(b"\x89PNG")
    gather_evidence(judged(chosen, on), on, POLICY + "\n# another policy\n")
    assert replays.n == 2
    other = judged(chosen, on)
    name = OF_CHALLENGE[0]
    other[name] = replace(other[name], recipe=replace(other[name].recipe, config={"n_cutoffs": 1}))
    gather_evidence(other, on, POLICY)
    assert replays.n == 3


def test_a_shop_too_young_to_judge_has_no_evidence_and_keeps_none(tmp_path: Path, chosen: list[Learner]) -> None:
    on = bench(tmp_path, 3)
    found = gather_evidence({learner.name: on.judged(learner) for learner in chosen}, on, POLICY)
    assert found.latest() == {}
    assert set(found.challenge.numbers) == {"intercept", "log_joint", "logit_shop"}
    assert [each.rows for each in found.judgements] == [()] * (len(chosen) + 1)
    assert all("too short" in each.notes[0] for each in found.judgements)
    assert not (tmp_path / "home").exists()


def test_the_latest_models_are_those_of_the_latest_cutoff(tmp_path: Path, chosen: list[Learner]) -> None:
    asked: list[Moment] = []

    def fit(history: History) -> Any:  # Any: nobody asks it anything
        asked.append(history.known_until)
        return "fitted"

    on = bench(tmp_path, 120)
    on = replace(on, recipe=Recipe(n_judged=2))
    models = judged([replace(chosen[0], fit=fit)], on)
    found = evidence.Evidence(models, ModelResults(on.key(chosen[0]), Judgement("challenge", (), ())))
    assert [str(each) for each in found.latest().values()] == ["fitted"]
    assert asked == [on.cutoffs(chosen[0])[-1]]
