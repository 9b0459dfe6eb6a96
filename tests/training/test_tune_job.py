"""`tercet tune` from a history to the home's config and MLflow, on a model whose best settings are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from features.asof import Moment
from training.churn import ChurnConfig
from training.comparison import iso_days
from training.config import parse_config, parse_study
from training.errors import EmbargoError, TuningError
from training.history import History
from training.home_configs import Configs
from training.learners import learners, own_settings
from training.propensity import PropensityConfig
from training.stretch import StretchConfig
from training.sums import CustomerSums
from training.tracking import Tracker
from training.tune_job import Plan, tune, tune_one
from training.tuning.record import PARENT
from training.tuning.tunable import Reached, Term, Tunable, days_before

N_CUSTOMERS = 40


def silent(_: str) -> None:
    pass


class Known:
    """A model whose value is best with a boosted weight of .8; it may be told to be stopped or to fail."""

    def __init__(self, *, stops_after: int = 1000) -> None:
        self.asked: list[tuple[float, int]] = []
        self.stops_after = stops_after

    def reached(self, config: ChurnConfig, known: History, cutoff: Moment) -> Reached:
        if len(self.asked) == self.stops_after:
            raise KeyboardInterrupt
        weight = config.blend.boosted_weight
        self.asked.append((weight, cutoff.day))
        each = [1.0 - abs(weight - 0.8) + customer / 100 for customer in range(N_CUSTOMERS)]
        return Reached((Term(CustomerSums.of(each, range(N_CUSTOMERS))),))

    @property
    def tunable(self) -> Tunable:
        days = lambda history: days_before(history, 28, [(28, 2)], 2)  # noqa: E731
        return Tunable("churn", ChurnConfig, "closeness", self.reached, days, ("training.churn",))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without MLflow, which takes longer than all else here."""
    monkeypatch.setattr("training.tune_job.record", lambda tracker, outcome: None)
    return tmp_path


@pytest.fixture
def logged_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def test_the_best_settings_are_written_with_their_study_and_the_home_goes_by_them(
    home: Path, shop_history: History
) -> None:
    outcome = tune_one(Known().tunable, shop_history, home, Plan(trials=6), silent)
    text = (home / "configs" / "churn.toml").read_text(encoding="utf-8")
    config, study = parse_config(ChurnConfig, text, where=""), parse_study(text, where="")
    assert study is not None
    assert outcome.study == study
    assert abs(config.blend.boosted_weight - 0.8) < abs(ChurnConfig().blend.boosted_weight - 0.8)
    assert (study.trials, study.metric, study.seed) == (6, "closeness", 1)
    assert study.data_digest == shop_history.tables.digest
    assert study.gain_low is not None
    assert 0 < study.gain_low <= (study.gain or 0) + 1e-9
    assert study.value == pytest.approx((study.shipped_value or 0) + (study.gain or 0), abs=1e-4)
    assert Configs(home).load(ChurnConfig, "churn").config == config
    assert f"churn (study {study.name})" in own_settings(learners(is_quick=False, home=home))
    assert "[search]" in text
    assert "[quick]" in text


def test_a_study_is_in_mlflow_with_its_trials_beneath_once(logged_home: Path, shop_history: History) -> None:
    for trials in (2, 3):
        outcome = tune_one(Known().tunable, shop_history, logged_home, Plan(trials=trials), silent)
    client = Tracker.under(logged_home).client
    experiment = client.get_experiment_by_name("tercet/tuning/churn")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if PARENT not in run.data.tags]
    assert len(parents) == 1
    assert outcome.study is not None
    assert parents[0].info.run_name == f"{outcome.study.name}, 3 trials"
    nested = [run for run in runs if run.data.tags.get(PARENT) == parents[0].info.run_id]
    assert len(nested) == len(runs) - 1 == 3
    assert parents[0].data.metrics["value"] == outcome.study.value
    pictures = {file.path for file in client.list_artifacts(parents[0].info.run_id, "pictures")}
    assert {"pictures/history.png", "pictures/slices.png"} <= pictures
    files = {file.path for file in client.list_artifacts(parents[0].info.run_id)}
    assert {"config.toml", "study.txt", "trials.json"} <= files


def test_no_day_of_a_test_is_asked_for(home: Path, shop_history: History) -> None:
    model = Known()
    days = model.tunable.days(shop_history)
    assert days is not None
    outcome = tune_one(model.tunable, shop_history, home, Plan(trials=2), silent)
    assert {day for _, day in model.asked} == {cutoff.day for cutoff in days.cutoffs}
    assert outcome.study is not None
    assert outcome.study.cutoffs == iso_days(days.cutoffs)
    assert all(day + 28 <= days.first_test.day for _, day in model.asked)


def test_a_model_that_looks_ahead_stops_the_search(home: Path, shop_history: History) -> None:
    class Greedy(Known):
        def reached(self, config: ChurnConfig, known: History, cutoff: Moment) -> Reached:
            known.purchases_after(cutoff, 57)
            return super().reached(config, known, cutoff)

    with pytest.raises(EmbargoError):
        tune_one(Greedy().tunable, shop_history, home, Plan(trials=2), silent)
    assert not (home / "configs").exists()


def test_ctrl_c_leaves_what_was_found_and_the_same_command_goes_on(home: Path, shop_history: History) -> None:
    stopped = tune_one(Known(stops_after=6).tunable, shop_history, home, Plan(trials=6), silent)
    assert stopped.is_stopped
    assert "of 6 trials are done: the same command goes on" in stopped.text
    n_done = len(stopped.found.trials)
    assert 0 < n_done < 6
    assert (home / "configs" / "churn.toml").exists()
    model = Known()
    whole = tune_one(model.tunable, shop_history, home, Plan(trials=6), silent)
    assert whole.found.trials[:n_done] == stopped.found.trials
    assert model.asked[0][0] == pytest.approx(whole.found.trials[n_done].settings["blend.boosted_weight"])
    assert len(whole.found.trials) == 6


def test_stopped_before_the_first_trial_nothing_is_written(home: Path, shop_history: History) -> None:
    stopped = tune_one(Known(stops_after=0).tunable, shop_history, home, Plan(trials=6), silent)
    assert "before a trial had ended" in stopped.text
    assert not (home / "configs").exists()


def test_no_trial_begins_when_the_time_is_over_and_a_finished_study_is_only_told_again(
    home: Path, shop_history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100_000, 45))
    monkeypatch.setattr("training.tune_job.time.monotonic", lambda: next(clock))
    found = tune_one(Known().tunable, shop_history, home, Plan(trials=50, minutes=5), silent)
    assert 1 <= len(found.found.trials) < 10
    model = Known()
    again = tune_one(model.tunable, shop_history, home, Plan(trials=1), silent)
    assert model.asked == []
    assert again.study == found.study


def test_where_nothing_is_better_what_ships_stays_and_is_said_to_be_confirmed(
    home: Path, shop_history: History
) -> None:
    class Flat(Known):
        def reached(self, config: ChurnConfig, known: History, cutoff: Moment) -> Reached:
            return Reached((Term(CustomerSums.of([1.0], [0])),))

    outcome = tune_one(Flat().tunable, shop_history, home, Plan(trials=3), silent)
    assert Configs(home).load(ChurnConfig, "churn").config == Configs().load(ChurnConfig, "churn").config
    assert "nothing better was found" in outcome.text
    assert outcome.study is not None
    assert outcome.study.gain == 0.0


def test_a_config_that_a_person_wrote_is_kept_beside_the_new_one(home: Path, shop_history: History) -> None:
    own = home / "configs" / "churn.toml"
    own.parent.mkdir(parents=True)
    own.write_text("n_cutoffs = 3\n", encoding="utf-8")
    for trials in (1, 2):
        tune_one(Known().tunable, shop_history, home, Plan(trials=trials), silent)
    assert own.with_suffix(".toml.before").read_text(encoding="utf-8") == "n_cutoffs = 3\n"
    assert "[study]" in own.read_text(encoding="utf-8")


def test_settings_that_do_not_go_together_are_given_up_and_the_search_goes_on(
    home: Path, shop_history: History
) -> None:
    class Picky(Known):
        def reached(self, config: ChurnConfig, known: History, cutoff: Moment) -> Reached:
            if config.blend.boosted_weight < 0.4:
                return Reached(())
            return super().reached(config, known, cutoff)

    outcome = tune_one(Picky().tunable, shop_history, home, Plan(trials=8), silent)
    assert len(outcome.found.trials) == 8
    assert all(each.is_pruned for each in outcome.found.trials if each.settings["blend.boosted_weight"] < 0.4)


def test_a_name_that_nothing_has_lists_what_there_is(home: Path) -> None:
    with pytest.raises(
        TuningError, match=r"nothing to tune is named 'chrun': there are habit_type, .*churn.*, and all"
    ):
        tune("synthetic:customers=5,weeks=4,seed=1", home, "chrun", Plan(), silent)


def test_a_source_that_is_too_short_says_so(home: Path, new_history: History) -> None:
    with pytest.raises(TuningError, match="churn: the source is too short to tune on"):
        tune_one(Known().tunable, new_history, home, Plan(), silent)


def test_a_plan_of_nothing_is_refused() -> None:
    with pytest.raises(TuningError, match="at least one trial"):
        Plan(trials=0)


def test_all_goes_through_each_leaves_out_what_can_not_be_tuned_and_ends_when_it_is_stopped(
    home: Path, shop_history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, hopeless = Known().tunable, replace(Known().tunable, name="stretch", days=lambda _: None)
    stopped = replace(Known(stops_after=0).tunable, name="propensity", config_class=PropensityConfig)
    shop = SimpleNamespace(store=shop_history.store, as_of=shop_history.known_until)
    monkeypatch.setattr("training.tune_job.open_shop", lambda *_, **__: shop)
    chosen = {"stretch": replace(hopeless, config_class=StretchConfig), "churn": good, "propensity": stopped}
    monkeypatch.setattr("training.tune_job.tunables", lambda: {**chosen, "never": good})
    said: list[str] = []
    found = tune("anything", home, "all", Plan(trials=1), said.append)
    assert [(each.subject.tunable.name, each.is_stopped) for each in found] == [("churn", False), ("propensity", True)]
    assert any(line.startswith("left out: stretch: the source is too short") for line in said)
