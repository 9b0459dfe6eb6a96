"""The command: from a source to tables, a report and a run in MLflow; again, at once twice, and on next to nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from features.asof import Moment
from tests.training.backtest.conftest import TINY_SOURCE
from tests.training.backtest.small_bench import CountingModel, CountingTask, learner_of
from training import cli, evaluate
from training.backtest.logged import EXPERIMENT
from training.errors import BacktestError
from training.evaluate import EvaluationJob
from training.opening import OpenShop, open_shop
from training.tracking import Tracker


def silent(_stage: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> OpenShop:
    """The tiny source, opened once for all tests: its features are built once as well."""
    return open_shop(TINY_SOURCE, tmp_path_factory.mktemp("shop"), None, "duckdb", silent)


@pytest.fixture
def home(shop: OpenShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, for which the source is open."""
    monkeypatch.setattr(evaluate, "open_shop", lambda *_, **__: shop)
    return tmp_path / "home"


@pytest.fixture
def unlogged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes to MLflow, whose new store takes a second or two."""
    monkeypatch.setattr(evaluate, "log_backtest", lambda *_: None)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> CountingModel:
    found = CountingModel()
    monkeypatch.setattr(evaluate, "learners", lambda **_: (learner_of(found),))
    return found


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, model: CountingModel) -> CountingTask:
    found = CountingTask()
    monkeypatch.setattr(evaluate, "TASKS", (found.task(),))
    return found


def test_it_writes_a_report_and_logs_a_run_that_another_can_be_laid_beside(counted: CountingTask, home: Path) -> None:
    report = evaluate.evaluate(EvaluationJob(TINY_SOURCE), home, silent)
    assert len(counted.seen) == 2
    assert "who leaves" in report.text
    assert {"report.md", "report.html"} <= {each.name for each in report.folder.iterdir()}
    client = Tracker.under(home).client
    experiment = client.get_experiment_by_name(f"tercet/{EXPERIMENT}")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert {"who-leaves/brier", "who-leaves/brier.low", "who-leaves/brier.gain"} <= run.data.metrics.keys()
    assert {"cost.cpu_seconds", "cost.fit-churn.wall_seconds", "cost.task-leaving.peak_mb"} <= run.data.metrics.keys()
    assert run.data.tags["recipe"] == "full"
    assert {each.path for each in client.list_artifacts(run.info.run_id)} >= {"report.html", "metrics.json", "pictures"}


@pytest.mark.usefixtures("unlogged")
def test_again_nothing_is_found_out_anew_and_the_tables_are_the_same(
    counted: CountingTask, model: CountingModel, home: Path
) -> None:
    first = evaluate.evaluate(EvaluationJob(TINY_SOURCE), home, silent)
    again = evaluate.evaluate(EvaluationJob(TINY_SOURCE), home, silent)
    assert len(counted.seen) == len(model.fits) == 2
    assert again.text == first.text


@pytest.mark.usefixtures("unlogged")
def test_quick_is_one_cutoff_of_its_own(counted: CountingTask, home: Path) -> None:
    full = evaluate.evaluate(EvaluationJob(TINY_SOURCE), home, silent)
    quick = evaluate.evaluate(EvaluationJob(TINY_SOURCE, is_quick=True), home, silent)
    assert len(counted.seen) == 3
    assert quick.folder != full.folder
    assert quick.folder.name.endswith("-quick")
    evaluate.evaluate(EvaluationJob(TINY_SOURCE), home, silent)
    assert len(counted.seen) == 3, "a quick run leaves what the full one kept"


@pytest.mark.usefixtures("unlogged")
def test_quick_asks_a_sample(counted: CountingTask, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "QUICK_CUSTOMERS", 10)
    report = evaluate.evaluate(EvaluationJob(TINY_SOURCE, is_quick=True), home, silent)
    assert "10 rows of 10 customers" in report.text


@pytest.mark.usefixtures("unlogged")
def test_one_task_may_be_asked_for_by_name(counted: CountingTask, home: Path) -> None:
    report = evaluate.evaluate(EvaluationJob(TINY_SOURCE, only=("leaving",)), home, silent)
    assert report.folder.name.endswith("-leaving")
    with pytest.raises(BacktestError, match="there are leaving"):
        evaluate.evaluate(EvaluationJob(TINY_SOURCE, only=("staying",)), home, silent)


@pytest.mark.usefixtures("unlogged")
def test_two_at_once_find_everything_out_once(counted: CountingTask, model: CountingModel, home: Path) -> None:
    said: list[str] = []
    job = EvaluationJob(TINY_SOURCE)
    evaluate.evaluate(EvaluationJob(TINY_SOURCE, is_quick=True), home, silent)  # the tables are there
    before = len(counted.seen)
    with ThreadPoolExecutor(2) as pool:
        first, second = (
            each.result() for each in [pool.submit(evaluate.evaluate, job, home, said.append) for _ in range(2)]
        )
    assert len(counted.seen) - before == 2
    assert first.text == second.text
    assert "waiting for another evaluation in this home" in said


@pytest.mark.usefixtures("unlogged")
def test_a_run_that_was_killed_goes_on(counted: CountingTask, model: CountingModel, home: Path) -> None:
    class Killed(BaseException):
        """As by a signal."""

    seen: list[Moment] = []

    def kill(stage: str) -> None:
        if "2 of 2" in stage:
            seen.extend(counted.seen)
            raise Killed

    with pytest.raises(Killed):
        evaluate.evaluate(EvaluationJob(TINY_SOURCE), home, kill)
    assert len(seen) == 1
    evaluate.evaluate(EvaluationJob(TINY_SOURCE), home, silent)
    assert len(counted.seen) == len(model.fits) == 2


@pytest.mark.usefixtures("unlogged")
def test_a_source_of_sales_lines_alone_is_evaluated(counted: CountingTask, tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    days = [date(2024, 1, 1) + timedelta(days=3 * n) for n in range(40)]
    lines = [(f"c{n % 7}", f"o{n}", f"p{n % 5}", day.isoformat()) for n, day in enumerate(days)]
    names = ["customer_id", "order_id", "product_id", "ordered_at"]
    pd.DataFrame(lines, columns=names).to_csv(folder / "transactions.csv", index=False)
    report = evaluate.evaluate(EvaluationJob(str(folder)), tmp_path / "home", silent)
    assert "7 customers" in report.text


@pytest.mark.usefixtures("unlogged")
def test_a_source_too_short_to_judge_on_says_so(counted: CountingTask, tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    (folder / "transactions.csv").write_text("customer_id,order_id,product_id,ordered_at\nc,o,p,2024-01-01\n")
    report = evaluate.evaluate(EvaluationJob(str(folder)), tmp_path / "home", silent)
    assert "leaving: the history is too short" in report.text


@pytest.mark.usefixtures("unlogged")
def test_the_command_prints_the_tables(counted: CountingTask, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["evaluate", TINY_SOURCE, "--only", "leaving", "--home", str(home)]) == 0
    printed = capsys.readouterr()
    assert "who leaves" in printed.out
    assert "leaving (1 of 2" in printed.err
    assert cli.run(["evaluate", TINY_SOURCE, "--only", "staying", "--home", str(home)]) == 1
