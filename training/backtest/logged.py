"""What of a backtest goes to MLflow: one run with every number, table and picture, under names that two runs share.

Two runs of the experiment ``tercet/backtest``, *Compare*, and each metric stands beside itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from training.backtest.document import Document, Verdicts, file_name
from training.backtest.observation import OURS
from training.backtest.pages import HTML_FILE, MARKDOWN_FILE, html, markdown
from training.backtest.run import Backtest
from training.backtest.statistics import Measured
from training.costs import total
from training.tracking import Tracker

EXPERIMENT = "backtest"


def log_backtest(
    tracker: Tracker, name: str, tags: Mapping[str, str], seen: tuple[Backtest, Document, Verdicts]
) -> None:
    """Log a backtest as a run of this name: what it showed, its report, and which goals were met."""
    backtest, document, verdicts = seen
    with tracker.run(EXPERIMENT, name, tags) as log:
        log.params({"cutoffs": ", ".join(backtest.cutoffs) or "none"})
        log.metrics({key: value for key, value in _numbers(backtest, verdicts) if np.isfinite(value)})
        log.pictures({f"{each.name}.svg": each.svg.encode() for each in document.all_pictures})
        log.text(html(document), HTML_FILE)
        log.text(markdown(document), MARKDOWN_FILE)
        frame = _frame(backtest, verdicts)
        if len(frame):
            log.table(frame, "metrics.json")


def _numbers(backtest: Backtest, verdicts: Verdicts) -> Iterator[tuple[str, float]]:
    for result in backtest.results:
        for each in result.measured:
            yield from _of_metric(each)
        for fact in result.facts:
            yield f"{file_name(fact.task)}/{file_name(fact.name)}", fact.by_ranker.get(OURS, float("nan"))
    for (task, metric), verdict in verdicts.items():
        yield f"{file_name(task)}/{file_name(metric)}.goal_met", float(verdict.is_met)
    if verdicts:
        yield "goals_met", float(sum(each.is_met for each in verdicts.values()))
    whole = total("all", backtest.costs)
    yield from whole.flat("cost").items()
    for stage in dict.fromkeys(each.stage for each in backtest.costs):
        found = total(stage, (each for each in backtest.costs if each.stage == stage))
        yield from found.flat(f"cost.{file_name(stage)}").items()


def _of_metric(found: Measured) -> Iterator[tuple[str, float]]:
    name = f"{file_name(found.task)}/{file_name(found.metric)}"
    yield name, found.ours.value
    yield f"{name}.low", found.ours.low
    yield f"{name}.high", found.ours.high
    gain = found.best_gain
    if gain is not None:
        yield f"{name}.gain", gain.value
        yield f"{name}.gain_low", gain.low
        yield f"{name}.gain_high", gain.high


def _frame(backtest: Backtest, verdicts: Verdicts) -> pd.DataFrame:
    """Return a row a metric and ranker, with the difference of ours to it."""
    rows = []
    for result in backtest.results:
        for each in result.measured:
            for ranker, found in each.values.items():
                gain = each.gains.get(ranker)
                verdict = verdicts.get((each.task, each.metric))
                rows.append(
                    {
                        "task": each.task,
                        "metric": each.metric,
                        "ranker": ranker,
                        "value": found.value,
                        "low": found.low,
                        "high": found.high,
                        "gain": None if gain is None else gain.value,
                        "gain_low": None if gain is None else gain.low,
                        "gain_high": None if gain is None else gain.high,
                        "is_best_peer": ranker == each.best_peer,
                        "goal": verdict.text() if verdict is not None and ranker == OURS else "",
                    }
                )
    return pd.DataFrame(rows)
