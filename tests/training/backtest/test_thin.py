from __future__ import annotations

from pathlib import Path

import pytest

from serving.decisioning.policy import default_policy_text
from tests.training.backtest.small_bench import CHURN, CountingModel, CountingTask, learner_of
from training.backtest.observation import OURS
from training.backtest.statistics import Measured
from training.backtest.thin import THIN_TASKS, ThinBench, thin_backtest
from training.backtest.thin_variants import VARIANTS, Columns, Variant
from training.history import History
from training.intervals import Interval

POOR = tuple(each for each in VARIANTS if each.name in ("no amounts", "ids and days only"))


def bench_of(folder: Path, model: CountingModel, task: CountingTask) -> ThinBench:
    return ThinBench(folder, {CHURN: learner_of(model)}, (task.task(),), default_policy_text(), lambda _: None)


def test_each_variant_has_its_rows_and_what_it_took(tiny_history: History, tmp_path: Path) -> None:
    bench = bench_of(tmp_path, CountingModel(), CountingTask())
    (result,) = thin_backtest(bench, POOR, tiny_history.tables).results
    rows, took = result.tables
    assert [row[0] for row in rows.rows] == [each.name for each in POOR]
    assert [row[0] for row in took.rows] == [each.name for each in POOR]
    assert all(len(row) == len(rows.header) for row in rows.rows)
    assert result.notes[0].startswith("Of 2 metrics of all variants ")


def test_what_was_judged_is_not_judged_again(tiny_history: History, tmp_path: Path) -> None:
    first, second = CountingModel(), CountingModel()
    before = thin_backtest(bench_of(tmp_path, first, CountingTask()), POOR, tiny_history.tables)
    again = thin_backtest(bench_of(tmp_path, second, CountingTask()), POOR, tiny_history.tables)
    assert (len(first.fits), len(second.fits)) == (2, 0)
    assert again.results[0].tables[0] == before.results[0].tables[0]


def test_files_are_made_again_when_they_were_not_finished(tiny_history: History, tmp_path: Path) -> None:
    made: list[Path] = []

    def write(tables: object, folder: Path) -> None:
        made.append(folder)
        Columns().write(tiny_history.tables, folder)
        if len(made) == 1:
            raise KeyboardInterrupt

    bench = bench_of(tmp_path, CountingModel(), CountingTask())
    with pytest.raises(KeyboardInterrupt):
        thin_backtest(bench, (Variant("cut short", write),), tiny_history.tables)
    thin_backtest(bench, (Variant("cut short", write),), tiny_history.tables)
    thin_backtest(bench, (Variant("cut short", write),), tiny_history.tables)
    assert len(made) == 2


def test_too_short_a_source_is_left_out_by_name(new_history: History, tmp_path: Path) -> None:
    bench = bench_of(tmp_path, CountingModel(), CountingTask())
    found = thin_backtest(bench, (), new_history.tables)
    assert found.results[0].tables[0].rows == ()
    assert found.left_out == ()


def test_the_tasks_that_variants_are_judged_by_exist() -> None:
    from training.backtest.tasks import TASKS

    assert set(THIN_TASKS) <= {each.name for each in TASKS}


def test_a_verdict_follows_the_interval() -> None:
    from training.backtest.thin import _row

    def said(low: float, high: float) -> str:
        values = {OURS: Interval(0.3, 0.2, 0.4), "popularity": Interval(0.2, 0.1, 0.3)}
        gains = {"popularity": Interval((low + high) / 2, low, high)}
        found = Measured("t", "recall@10", "mean", True, values, gains, {}, 5, 5)
        return _row(POOR[0], found)[-1]

    assert [said(0.01, 0.2), said(-0.1, 0.1), said(-0.2, -0.1)] == ["better", "within noise", "worse"]


def test_what_lists_leave_out_on_purpose_is_not_counted_against_them() -> None:
    from training.backtest.repeat_task import NEW_TO_THEM
    from training.backtest.thin import _verdict

    rows = [("v", "t", metric, *[""] * 4, said) for metric, said in ((NEW_TO_THEM, "worse"), ("recall@10", "better"))]
    assert _verdict(rows).startswith("Of 1 metrics of all variants 1 are surely better")
