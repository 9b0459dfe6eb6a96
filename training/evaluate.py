"""The backtest in one command: what tercet answers on later weeks beside tuned peers, as tables, a report and a run."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from features.asof import at_utc
from features.prune import prune
from serving.home_lock import working_in
from serving.state.opening import FILE
from training.backtest.bundles import PastBundles
from training.backtest.document import document_of, file_name
from training.backtest.goals import goals_of, verdicts_of
from training.backtest.logged import log_backtest
from training.backtest.pages import text, write_pages
from training.backtest.run import Backtest, Runner, chosen_tasks, plan_of
from training.backtest.task import Task
from training.backtest.tasks import TASKS
from training.backtest.thin import THIN_TASKS, ThinBench, thin_backtest
from training.backtest.thin_variants import LARGE_CATALOGUE, VARIANTS
from training.history import History
from training.home import Home
from training.learners import learners, own_settings
from training.opening import OpenShop, open_shop
from training.report import Report
from training.tracking import Tracker

QUICK_CUSTOMERS = 1_000
"""So many customers are asked with `--quick`: enough for a first look, not for a claim."""

QUICK_CAVEAT = (
    f"A first look: one cutoff, the models' quick settings, at most {QUICK_CUSTOMERS:,} customers and a tenth of the "
    "queries. Goals are set, and claims made, on the whole."
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class EvaluationJob:
    """What is to be evaluated: every task, or those of `only`; with `is_quick` one cutoff and a sample of customers.

    With `is_thin` poor versions of the source are judged instead (training.backtest.thin); quick without the large one.
    """

    source: str
    is_quick: bool = False
    only: tuple[str, ...] = ()
    state: str = FILE
    is_thin: bool = False

    @property
    def kind(self) -> str:
        """Return which settings it runs with: results of these are not mixed."""
        if self.is_thin:
            return "thin"
        return "quick" if self.is_quick else "full"


def evaluate(job: EvaluationJob, home: Path, say: Say) -> Report:
    """Return the report of the backtest, written under `reports/` of the home and logged to MLflow.

    What was found out before, from the same tables, code, settings and policy, is read and not found out again: a run
    that was stopped goes on where it was. Nothing is published.

    Raises
    ------
    TercetError
        When the source breaks the contract, the policy or a config has mistakes, or no task has a given name.
    """
    tasks = chosen_tasks(TASKS, job.only)
    if own := own_settings(learners(is_quick=job.is_quick, home=home)):
        say(own)
    with working_in(home):
        shop = open_shop(job.source, home, None, "duckdb", say, state=job.state)
        with _alone(home / "backtest", say):
            backtest = (_thin if job.is_thin else _whole)(shop, home, job, tasks, say)
        report = _reported(shop, home, job, backtest)
        prune(Home(home).features, shop.tables.digest)
    return report


def _whole(shop: OpenShop, home: Path, job: EvaluationJob, tasks: Sequence[Task], say: Say) -> Backtest:
    runner = _runner(shop, home, job, say)
    plan = plan_of(tasks, runner.bundles.history, is_quick=job.is_quick)
    backtest = runner.run(plan)
    if not job.only:
        runner.prune(plan)
    return backtest


def _thin(shop: OpenShop, home: Path, job: EvaluationJob, tasks: Sequence[Task], say: Say) -> Backtest:
    bench = ThinBench(
        folder=home / "backtest" / job.kind,
        learners={each.name: each for each in learners(is_quick=True, home=home)},
        tasks=tasks if job.only else [each for each in tasks if each.name in THIN_TASKS],
        policy_text=Home(home).policy_text(),
        say=say,
    )
    return thin_backtest(bench, VARIANTS if job.is_quick else (*VARIANTS, LARGE_CATALOGUE), shop.tables)


def _runner(shop: OpenShop, home: Path, job: EvaluationJob, say: Say) -> Runner:
    place = Home(home)
    folder = home / "backtest" / job.kind
    bundles = PastBundles(
        history=History(shop.store, shop.as_of),
        learners={each.name: each for each in learners(is_quick=job.is_quick, home=home)},
        policy_text=place.policy_text(),
        folder=folder / "bundles",
        say=say,
        sample=QUICK_CUSTOMERS if job.is_quick else None,
    )
    return Runner(bundles, folder / "findings")


def _reported(shop: OpenShop, home: Path, job: EvaluationJob, backtest: Backtest) -> Report:
    """Return the report, written and logged."""
    tables, day = shop.tables, at_utc(shop.as_of.us).date().isoformat()
    kinds = [kind for kind, is_so in (("thin", job.is_thin), ("quick", job.is_quick)) if is_so]
    name = file_name("evaluation", tables.source_name, day, *job.only, *kinds)
    goals = {} if job.is_thin else goals_of(tables.source_name)
    verdicts = verdicts_of(backtest.results, goals)
    if job.only:
        goals = {key: goals[key] for key in verdicts}
    title = f"Backtest of {tables.source_name}, {job.kind}, {day}"
    document = document_of(title, backtest, goals, caveats=[QUICK_CAVEAT] if job.is_quick else [])
    folder = Home(home).report(name)
    write_pages(document, folder)
    tags = {"data_digest": tables.digest, "source": tables.source_name, "as_of": day, "recipe": job.kind}
    log_backtest(Tracker.under(home), name, tags, (backtest, document, verdicts))
    return Report(text(document), folder)


@contextmanager
def _alone(folder: Path, say: Say) -> Iterator[None]:
    """Let one evaluation at a time work in a folder; a second one waits, and then finds what the first has kept."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another evaluation in this home")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


_LOCK_FILE = ".lock"
