"""Champion against challenger by fake models: who is fitted, who ships, and what is said where the old one is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from features.asof import Moment
from features.build import FeatureStore
from serving.decisioning.policy import default_policy
from tests.features.tiny import at, line, write_tables
from tests.training.gate_judgements import judgement
from training import gate_trials, incumbents, judging
from training.config import build_config
from training.gate_rules import Outcome
from training.gate_trials import KEPT_CODE, OTHER_CODE, Trial, Trials
from training.history import History
from training.incumbents import Incumbents
from training.judge import Judgement
from training.judging import Bench
from training.learners import Learner
from training.recipe import Recipe
from training.results import KeptResults, ModelRecipe

CODE = "today"
RECIPE = Recipe(n_judged=2, judged_step_days=28)


@dataclass(frozen=True)
class FakeConfig:
    """A model that is as good as it is told to be."""

    recall: float = 0.0


@dataclass
class Fakes:
    """Learners by name and config, and a count of their fits."""

    n_fits: dict[str, int] = field(default_factory=dict)

    def learner(self, name: str, recall: float) -> Learner:
        def fit(history: History) -> Any:
            self.n_fits[name] = self.n_fits.get(name, 0) + 1
            return name

        def judge(fits: Mapping[Moment, Any], history: History) -> Judgement:
            return replace(judgement(recall=recall), cutoffs=tuple(str(each.day) for each in fits))

        return Learner(name, FakeConfig(recall), fit, judge, lambda fits, history: {})

    def read(self, recipe: ModelRecipe) -> Learner:
        """Stand in for `incumbents.learner_of`."""
        return self.learner(recipe.model, build_config(FakeConfig, recipe.config, where="the champion's config").recall)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    found = Fakes()
    monkeypatch.setattr(gate_trials, "learner_of", found.read)
    monkeypatch.setattr(judging, "code_digest", lambda modules: CODE)
    return found


@pytest.fixture
def history(tmp_path: Path) -> History:
    tables = write_tables(tmp_path / "t", [line(order, order) for order in range(140)])
    return History(FeatureStore(tables, tmp_path / "f"), at(140))


def bench(history: History, home: Path) -> Bench:
    return Bench(history, RECIPE, lambda _: None, KeptResults.under(home))


def champion(code: str = CODE, **configs: Mapping[str, Any]) -> Incumbents:
    return Incumbents("20171231-00000000", {name: ModelRecipe(name, each, code) for name, each in configs.items()})


def outcome(trial: Trial) -> tuple[Outcome, float]:
    """Return what became of the challenger, and the recall of what ships."""
    return trial.decision.outcome, trial.shipped.learner.config.recall


@pytest.fixture
def trials(history: History, tmp_path: Path) -> Trials:
    return Trials(bench(history, tmp_path), default_policy().gate, champion(a={"recall": 0.0}, b={"recall": 0.0}))


def test_each_model_is_decided_by_itself(trials: Trials, fakes: Fakes) -> None:
    found = trials.run([fakes.learner("a", 0.1), fakes.learner("b", -0.1), fakes.learner("c", -0.1)])
    assert outcome(found["a"]) == (Outcome.PROMOTED, 0.1)
    assert outcome(found["b"]) == (Outcome.STAYS, 0.0)
    assert outcome(found["c"]) == (Outcome.FIRST, -0.1)
    assert found["a"].beaten is not None
    assert found["b"].beaten is not None
    assert found["b"].beaten.learner.config.recall == -0.1
    assert found["c"].beaten is None


def test_both_recipes_are_fitted_once_a_cutoff_and_not_again_on_the_same_data(trials: Trials, fakes: Fakes) -> None:
    trials.trial(fakes.learner("a", 0.1))
    assert fakes.n_fits == {"a": 2 * RECIPE.n_judged}
    again = trials.trial(fakes.learner("a", 0.1))
    assert fakes.n_fits == {"a": 2 * RECIPE.n_judged}
    assert outcome(again) == (Outcome.PROMOTED, 0.1)
    assert again.decision == trials.trial(fakes.learner("a", 0.1)).decision


def test_what_is_kept_is_fitted_when_its_fits_are_asked_for(trials: Trials, fakes: Fakes) -> None:
    trials.trial(fakes.learner("b", -0.1))
    fakes.n_fits.clear()
    shipped = trials.trial(fakes.learner("b", -0.1)).shipped
    assert str(shipped.fits[max(shipped.fits)]) == "b"
    assert fakes.n_fits == {"b": 1}


def test_damaged_results_are_found_out_anew(trials: Trials, fakes: Fakes, tmp_path: Path) -> None:
    first = trials.trial(fakes.learner("a", 0.1))
    for file in (tmp_path / "results" / "a").iterdir():
        file.write_bytes(b"half")
    assert trials.trial(fakes.learner("a", 0.1)).decision == first.decision
    assert fakes.n_fits == {"a": 4 * RECIPE.n_judged}


def test_the_champions_recipe_and_code_leave_nothing_to_compare(trials: Trials, fakes: Fakes) -> None:
    found = trials.trial(fakes.learner("a", 0.0))
    assert outcome(found) == (Outcome.SAME, 0.0)
    assert fakes.n_fits == {"a": RECIPE.n_judged}
    assert found.decision.champion_from == ""


def test_other_code_of_which_nothing_is_kept_runs_as_todays(trials: Trials, fakes: Fakes) -> None:
    older = replace(trials, incumbents=champion("older", a={"recall": 0.0}))
    assert older.trial(fakes.learner("a", 0.0)).decision.champion_from == OTHER_CODE
    found = older.trial(fakes.learner("a", 0.1))
    assert outcome(found) == (Outcome.PROMOTED, 0.1)
    assert found.decision.champion_from == OTHER_CODE


def keep_older(trials: Trials, fakes: Fakes, recall: float) -> Trials:
    """Let the champion's config, 0.0, have shown `recall` by older code, whose results are kept."""
    incumbent, kept = champion("older", a={"recall": 0.0}), trials.bench.kept
    learner = fakes.learner("a", recall)
    trials.bench.judged(learner)
    assert kept is not None
    found = kept.load(trials.bench.key(learner))
    assert found is not None
    kept.keep(replace(found, key=trials.bench.key(learner, incumbent.recipes["a"])))
    kept.path("a", found.key.digest).unlink()
    fakes.n_fits.clear()
    return replace(trials, incumbents=incumbent)


def test_kept_numbers_of_the_champions_own_code_are_gone_by(trials: Trials, fakes: Fakes) -> None:
    older = keep_older(trials, fakes, 0.2)
    found = older.trial(fakes.learner("a", 0.1))
    assert outcome(found) == (Outcome.STAYS, 0.0)
    assert found.decision.champion_from == KEPT_CODE
    assert fakes.n_fits == {"a": RECIPE.n_judged}


def test_todays_code_that_does_worse_with_the_same_config_must_wait(trials: Trials, fakes: Fakes) -> None:
    older = keep_older(trials, fakes, 0.2)
    found = older.trial(fakes.learner("a", 0.0))
    assert outcome(found) == (Outcome.WORSE, 0.0)
    assert found.decision.behind
    assert "against the champion's" in found.decision.behind[0]


def test_todays_code_that_does_as_well_with_the_same_config_replaces_it(trials: Trials, fakes: Fakes) -> None:
    older = keep_older(trials, fakes, 0.0)
    assert outcome(older.trial(fakes.learner("a", 0.0))) == (Outcome.PROMOTED, 0.0)


def test_a_config_that_todays_code_cannot_read_leaves_the_challenger_to_its_baselines(
    trials: Trials, fakes: Fakes
) -> None:
    gone = replace(trials, incumbents=champion(a={"n_gone": 3}))
    found = gone.trial(fakes.learner("a", -0.1))
    assert outcome(found) == (Outcome.FIRST, -0.1)
    assert "unknown key n_gone" in found.decision.why


def test_a_config_from_before_a_key_was_added_is_the_same_by_its_default(trials: Trials, fakes: Fakes) -> None:
    older = replace(trials, incumbents=champion(a={}))
    assert outcome(older.trial(fakes.learner("a", 0.0))) == (Outcome.SAME, 0.0)


def test_what_will_be_judged_is_known_before(trials: Trials, fakes: Fakes) -> None:
    challengers = [fakes.learner("a", 0.1), fakes.learner("b", 0.0)]
    found = [(each.name, each.config.recall) for each in trials.unjudged(challengers)]
    assert found == [("a", 0.1), ("a", 0.0), ("b", 0.0)]
    trials.run(challengers)
    assert list(trials.unjudged(challengers)) == []


def test_a_history_too_short_to_judge_keeps_the_champion(trials: Trials, fakes: Fakes, tmp_path: Path) -> None:
    young = History(FeatureStore(write_tables(tmp_path / "y", [line(0, 0)]), tmp_path / "g"), at(3))
    short = replace(trials, bench=bench(young, tmp_path))
    assert outcome(short.trial(fakes.learner("a", 0.1))) == (Outcome.STAYS, 0.0)
    assert not (tmp_path / "results").exists()


def test_the_shipped_configs_are_read_back_from_a_manifest() -> None:
    from training.learners import learners

    for learner in learners(is_quick=False):
        assert incumbents.learner_of(judging.recipe_of(learner)).config == learner.config
        assert asdict(learner.config) == learner.parameters
