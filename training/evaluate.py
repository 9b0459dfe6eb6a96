"""The backtest: every model and the challenge on later weeks, beside their baselines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from features.asof import at_utc
from features.prune import prune
from serving.home_lock import working_in
from serving.state.opening import FILE
from training.ahead import reads_of_judging
from training.config import load_config
from training.history import History
from training.home import Home
from training.learners import learners
from training.opening import OpenShop, open_shop
from training.pipeline import judge
from training.recipe import Recipe
from training.recording import record_judgements
from training.report import Report, write_report
from training.tracking import Tracker


def evaluate(source: str, home: Path, quick: bool, progress: Callable[[str], None], *, state: str = FILE) -> Report:
    """Return the report of the backtest on a source and the shop's state, written under `reports/`, logged to MLflow.

    Nothing is published. With `quick` one cutoff is judged with the models' quick settings. `state` is where the state
    is, as TERCET_STATE has it.
    """
    with working_in(home):
        shop = open_shop(source, home, None, "duckdb", progress, state=state)
        report = _evaluate(shop, home, quick, progress)
        prune(Home(home).features, shop.tables.digest)
    return report


def _evaluate(shop: OpenShop, home: Path, quick: bool, progress: Callable[[str], None]) -> Report:
    history, place = History(shop.store, shop.as_of), Home(home)
    recipe = load_config(Recipe, "recipe", is_quick=quick)
    chosen = learners(is_quick=quick)
    with history.store.ahead(reads_of_judging(chosen, history, recipe)):
        evidence = judge(chosen, history, recipe, place.policy_text(), progress)
    day = at_utc(shop.as_of.us).date().isoformat()
    name = f"evaluation-{shop.tables.source_name}-{day}" + ("-quick" if quick else "")
    progress("report: tables and pictures")
    report = write_report(place.report(name), evidence.judged, evidence.challenge, name)
    progress("MLflow: log the judgements")
    tags = {"data_digest": shop.tables.digest, "source": shop.tables.source_name, "as_of": day, "evaluation": name}
    record_judgements(Tracker.under(home), evidence.judged, evidence.challenge, report.folder, tags)
    return report
