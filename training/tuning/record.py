"""A study in MLflow: a run for the study with its trials as nested runs, pictures, the table, and the config found."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from training.tracking import RunLog, Tracker
from training.tuning.outcome import Outcome
from training.tuning.pictures import pictures
from training.tuning.trials import Trial

PARENT, STUDY = "mlflow.parentRunId", "study"


def record(tracker: Tracker, outcome: Outcome) -> None:
    """Log a study to the experiment ``tercet/tuning/<model>``; what was logged of it before is replaced."""
    subject, study = outcome.subject, outcome.study
    if study is None:
        return
    experiment = f"tuning/{subject.tunable.name}"
    tags = {
        STUDY: study.name,
        "source": subject.history.tables.source_name,
        "data_digest": study.data_digest,
        "cutoffs": ", ".join(study.cutoffs),
        "metric": study.metric,
    }
    tracker.forget_runs(experiment, STUDY, study.name)
    with tracker.run(experiment, f"{study.name}, {study.trials} trials", tags) as log:
        _summary(log, outcome)
        for trial in outcome.found.trials:
            name = f"{subject.tunable.name} trial {trial.number:03d}{' (ships)' if trial.number == 0 else ''}"
            state = "given up" if trial.is_pruned else "whole"
            with tracker.run(experiment, name, {**tags, PARENT: log.run_id, "state": state}) as nested:
                _one(nested, trial, subject.cutoffs)


def _summary(log: RunLog, outcome: Outcome) -> None:
    """Log the best settings and values, the table of trials, the pictures, and the config."""
    study, best = outcome.study, outcome.found.best
    if study is None or best is None:
        return
    log.params(best.settings)
    values = {name: value for name, value in asdict(study).items() if isinstance(value, (int, float))}
    seconds = sum(trial.seconds for trial in outcome.found.trials)
    log.metrics({**values, "best_trial": best.number, "given_up": outcome.found.n_pruned, "seconds": seconds})
    log.table(trials_table(outcome), "trials.json")
    log.text(outcome.config_text, "config.toml")
    log.text(outcome.text, "study.txt")
    drawn = pictures(outcome.found, outcome.subject.space, title=study.name, metric=study.metric)
    log.pictures({file: _png(figure) for file, figure in drawn.items()})


def _one(log: RunLog, trial: Trial, cutoffs: tuple[str, ...]) -> None:
    log.params(trial.settings)
    by_cutoff = {f"value.{day}": value for day, value in zip(cutoffs, trial.by_cutoff, strict=False)}
    log.metrics(by_cutoff | ({} if trial.value is None else {"value": trial.value}) | {"seconds": trial.seconds})


def trials_table(outcome: Outcome) -> pd.DataFrame:
    """Return a row a trial: what was tried, what it reached at each cutoff and in the mean, and what it took."""
    cutoffs = outcome.subject.cutoffs
    rows: list[dict[str, Any]] = [
        {
            "trial": trial.number,
            "value": trial.value,
            **dict(zip(cutoffs, (*trial.by_cutoff, *[None] * len(cutoffs)), strict=False)),
            "seconds": trial.seconds,
            **{name: str(value) if isinstance(value, tuple) else value for name, value in trial.settings.items()},
        }
        for trial in outcome.found.trials
    ]
    return pd.DataFrame(rows)


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    return content.getvalue()
