"""The run of all tasks: it goes on where it was stopped, and nothing of another run's making is taken for its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.asof import Moment
from tests.training.backtest.small_bench import CHURN, CountConfig, CountingModel, CountingTask, bundles_of
from training.backtest.cutoffs import judged_cutoffs
from training.backtest.observation import Findings
from training.backtest.run import Runner, Steps, chosen_tasks, plan_of
from training.backtest.task import Task
from training.errors import BacktestError, EmbargoError
from training.history import History


def runner_of(history: History, folder: Path, model: CountingModel, config: CountConfig | None = None) -> Runner:
    bundles = bundles_of(history, folder / "bundles", model, config=config or CountConfig())
    return Runner(bundles, folder / "findings")


@pytest.fixture
def cutoffs(tiny_history: History) -> list[Moment]:
    return judged_cutoffs(tiny_history, 28, 2)


def test_a_task_is_judged_on_its_cutoffs_and_pooled(
    tiny_history: History, tmp_path: Path, cutoffs: list[Moment]
) -> None:
    model, counted = CountingModel(), CountingTask()
    plan = plan_of([counted.task()], tiny_history, is_quick=False)
    found = runner_of(tiny_history, tmp_path, model).run(plan)
    assert sorted(counted.seen) == sorted(model.fits) == cutoffs
    (result,) = found.results
    (measured,) = result.measured
    assert (measured.n_rows, measured.n_customers) == (48, 24)
    assert measured.values["always 0.5"].value == 0.25
    assert measured.ours.value < 0.25
    assert {each.stage for each in found.costs} == {"fit churn", "bundle", "task leaving"}


def test_a_run_that_ended_is_read_and_not_made_again(tiny_history: History, tmp_path: Path) -> None:
    model, counted = CountingModel(), CountingTask()
    plan = plan_of([counted.task()], tiny_history, is_quick=False)
    first = runner_of(tiny_history, tmp_path, model).run(plan)
    again = runner_of(tiny_history, tmp_path, model).run(plan)
    assert len(counted.seen) == len(model.fits) == 2
    assert again == first


def test_a_run_killed_between_cutoffs_goes_on_after_them(
    tiny_history: History, tmp_path: Path, cutoffs: list[Moment]
) -> None:
    """The latest cutoff comes first."""
    model, counted = CountingModel(), CountingTask(fails_at=cutoffs[0])
    plan = plan_of([counted.task()], tiny_history, is_quick=False)
    with pytest.raises(KeyboardInterrupt):
        runner_of(tiny_history, tmp_path, model).run(plan)
    counted.fails_at = None
    runner_of(tiny_history, tmp_path, model).run(plan)
    assert counted.seen == [cutoffs[1], cutoffs[0]]
    assert len(model.fits) == 2, "the bundle of the cutoff at which it was killed stands"


def test_a_run_killed_within_a_cutoff_goes_on_with_the_task_that_was_not_done(
    tiny_history: History, tmp_path: Path, cutoffs: list[Moment]
) -> None:
    model, first, second = CountingModel(), CountingTask(), CountingTask(fails_at=cutoffs[1])
    tasks = [first.task("first", n_cutoffs=1), second.task("second", n_cutoffs=1)]
    plan = plan_of(tasks, tiny_history, is_quick=False)
    with pytest.raises(KeyboardInterrupt):
        runner_of(tiny_history, tmp_path, model).run(plan)
    second.fails_at = None
    found = runner_of(tiny_history, tmp_path, model).run(plan)
    assert (len(first.seen), len(second.seen), len(model.fits)) == (1, 1, 1)
    assert len(found.results) == 2


def test_a_damaged_finding_is_found_out_again(tiny_history: History, tmp_path: Path) -> None:
    model, counted = CountingModel(), CountingTask()
    plan = plan_of([counted.task()], tiny_history, is_quick=False)
    first = runner_of(tiny_history, tmp_path, model).run(plan)
    path = next((tmp_path / "findings").iterdir())
    path.write_bytes(path.read_bytes()[:-9])
    again = runner_of(tiny_history, tmp_path, model).run(plan)
    assert len(counted.seen) == 3
    assert again.results == first.results


def test_a_damaged_bundle_is_made_again(tiny_history: History, tmp_path: Path, cutoffs: list[Moment]) -> None:
    model, counted = CountingModel(), CountingTask(fails_at=cutoffs[1])
    plan = plan_of([counted.task()], tiny_history, is_quick=False)
    with pytest.raises(KeyboardInterrupt):
        runner_of(tiny_history, tmp_path, model).run(plan)
    array = next((tmp_path / "bundles").rglob("customers.churn.npy"))
    array.write_bytes(array.read_bytes()[:-4] + b"\x00\x00\x00\x00")
    counted.fails_at = None
    runner_of(tiny_history, tmp_path, model).run(plan)
    assert model.fits.count(cutoffs[1]) == 2


def test_other_settings_of_a_model_are_judged_anew(tiny_history: History, tmp_path: Path) -> None:
    model, counted = CountingModel(), CountingTask()
    plan = plan_of([counted.task(n_cutoffs=1)], tiny_history, is_quick=False)
    for step in (1, 2, 1):
        runner_of(tiny_history, tmp_path, model, CountConfig(step)).run(plan)
    assert len(model.fits) == len(counted.seen) == 2


def test_other_settings_of_a_task_are_judged_anew_by_the_same_bundle(tiny_history: History, tmp_path: Path) -> None:
    model, counted = CountingModel(), CountingTask()
    for config in (CountConfig(1), CountConfig(2), CountConfig(1)):
        plan = plan_of([counted.task(n_cutoffs=1, config=config)], tiny_history, is_quick=False)
        runner_of(tiny_history, tmp_path, model).run(plan)
    assert (len(model.fits), len(counted.seen)) == (1, 2)


def test_another_policy_gives_another_bundle(tiny_history: History, tmp_path: Path) -> None:
    model, counted = CountingModel(), CountingTask()
    plan = plan_of([counted.task(n_cutoffs=1)], tiny_history, is_quick=False)
    runner = runner_of(tiny_history, tmp_path, model)
    runner.run(plan)
    replace(runner, bundles=replace(runner.bundles, policy_text=runner.bundles.policy_text + "\n# another\n")).run(plan)
    assert len(counted.seen) == 2


def test_a_sample_is_another_result(tiny_history: History, tmp_path: Path) -> None:
    model, counted = CountingModel(), CountingTask()
    plan = plan_of([counted.task(n_cutoffs=1)], tiny_history, is_quick=False)
    runner = runner_of(tiny_history, tmp_path, model)
    runner.run(plan)
    found = replace(runner, bundles=replace(runner.bundles, sample=20)).run(plan)
    assert (len(model.fits), len(counted.seen)) == (1, 2)
    assert found.results[0].measured[0].n_customers == 20


def test_what_is_kept_of_other_settings_goes_when_a_run_is_over(tiny_history: History, tmp_path: Path) -> None:
    model, counted = CountingModel(), CountingTask()
    plan = plan_of([counted.task(n_cutoffs=1)], tiny_history, is_quick=False)
    for step in (1, 2):
        runner = runner_of(tiny_history, tmp_path, model, CountConfig(step))
        runner.run(plan)
    assert len(list((tmp_path / "findings").iterdir())) == len(list((tmp_path / "bundles").iterdir())) == 2
    runner.prune(plan)
    assert len(list((tmp_path / "findings").iterdir())) == len(list((tmp_path / "bundles").iterdir())) == 1
    runner.run(plan)
    assert len(counted.seen) == 2


def test_a_model_that_reads_a_label_after_its_cutoff_is_stopped(tiny_history: History, tmp_path: Path) -> None:
    """The embargo: a model at a cutoff learns from a history that ends there."""

    def look_ahead(history: History) -> None:
        history.purchases_after(history.known_until, 28)

    plan = plan_of([CountingTask().task()], tiny_history, is_quick=False)
    with pytest.raises(EmbargoError, match="label window of 28 days"):
        runner_of(tiny_history, tmp_path, CountingModel(learn=look_ahead)).run(plan)


def test_a_model_that_reads_a_feature_as_of_later_is_stopped(tiny_history: History, tmp_path: Path) -> None:
    """The as-of rule: what is predicted for a cutoff is predicted from what was known there."""

    def later_features(history: History, moment: Moment) -> object:
        return history.features("customers", moment.plus_days(7, history.tables.time_zone))

    model = CountingModel(says=later_features)  # type: ignore[arg-type] # it raises before it returns
    plan = plan_of([CountingTask().task()], tiny_history, is_quick=False)
    with pytest.raises(EmbargoError, match="nothing after"):
        runner_of(tiny_history, tmp_path, model).run(plan)


def test_a_peer_that_learns_from_later_weeks_is_stopped(tiny_history: History, tmp_path: Path) -> None:
    def observe(served: object) -> Findings:
        served.known.purchases_after(served.moment, 1)  # type: ignore[attr-defined] # as a task sees it
        return Findings()

    plan = plan_of([Task("peer", "Scores", 28, 1, (CHURN,), observe)], tiny_history, is_quick=False)
    with pytest.raises(EmbargoError):
        runner_of(tiny_history, tmp_path, CountingModel()).run(plan)


def test_quick_judges_all_on_one_shared_cutoff(tiny_history: History) -> None:
    short, long = CountingTask().task("short", window_days=28), CountingTask().task("long", window_days=56)
    plan = plan_of([short, long], tiny_history, is_quick=True)
    (moment,) = plan.by_cutoff
    assert moment == judged_cutoffs(tiny_history, 56, 1)[0]
    assert plan.by_cutoff[moment] == (short, long)


def test_a_window_that_the_history_has_no_room_for_is_left_out_by_name(tiny_history: History, tmp_path: Path) -> None:
    tasks = [CountingTask().task("far", window_days=365), CountingTask().task("near", n_cutoffs=1)]
    plan = plan_of(tasks, tiny_history, is_quick=False)
    found = runner_of(tiny_history, tmp_path, CountingModel()).run(plan)
    assert [each.task for each in found.results] == ["who leaves"]
    assert [each.split(":")[0] for each in found.left_out] == ["far"]


def test_a_task_that_can_measure_nothing_says_why(tiny_history: History, tmp_path: Path) -> None:
    def silent(_served: object) -> Findings:
        return Findings(notes=("no amounts in this source",))

    plan = plan_of([Task("value", "Scores", 28, 2, (), silent)], tiny_history, is_quick=False)
    found = runner_of(tiny_history, tmp_path, CountingModel()).run(plan)
    assert found.results == ()
    assert found.left_out == ("value: no amounts in this source",)


def test_only_the_tasks_that_are_named_run() -> None:
    tasks = [CountingTask().task("a"), CountingTask().task("b")]
    assert chosen_tasks(tasks, ["b"]) == (tasks[1],)
    assert chosen_tasks(tasks, []) == tuple(tasks)
    with pytest.raises(BacktestError, match="no task is named c: there are a, b"):
        chosen_tasks(tasks, ["c"])


def test_an_unknown_model_is_named(tiny_history: History, tmp_path: Path) -> None:
    plan = plan_of([CountingTask().task(needs=("churm",))], tiny_history, is_quick=False)
    with pytest.raises(BacktestError, match="no model is named churm"):
        runner_of(tiny_history, tmp_path, CountingModel()).run(plan)


def test_a_step_says_which_of_how_many_and_how_long_so_far() -> None:
    said: list[str] = []
    times = iter([0.0, 61.0])
    steps = Steps(3, said.append, lambda: next(times))
    steps.pass_over(1)
    steps.begin("2017-12-04: stretch")
    assert said == ["2017-12-04: stretch (2 of 3, 1:01 so far)"]


def test_the_future_changes_no_answer(tiny_history: History, tmp_path: Path, cutoffs: list[Moment]) -> None:
    """Another history that ends at the cutoff answers the same."""
    whole = bundles_of(tiny_history, tmp_path / "a", CountingModel()).served(cutoffs[0], [CHURN]).scores()
    cut = (
        bundles_of(tiny_history.until(cutoffs[0]), tmp_path / "b", CountingModel()).served(cutoffs[0], [CHURN]).scores()
    )
    np.testing.assert_array_equal(whole["churn_probability"], cut["churn_probability"])
