"""What of a training run goes to MLflow: a run a model, with its evidence and its registered version."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from features.asof import Moment, at_utc
from training.challenge_judging import ChallengeJudgement
from training.judge import Judgement, calibration_text, table_text
from training.judging import Judged
from training.learners import Fitted
from training.report import pictures_of
from training.tracking import RunLog, Tracker

CHALLENGE = "challenge"


@dataclass(frozen=True)
class RunContext:
    """What all runs of one training share."""

    version: str
    as_of: Moment
    tables_digest: str
    source_name: str
    recipe: str
    report: Path
    """The folder of the report, with its pictures."""

    def tags(self) -> dict[str, str]:
        """Return the tags by which runs of one training, or on one data set, are found."""
        return {
            "bundle": self.version,
            "as_of": at_utc(self.as_of.us).isoformat(),
            "data_digest": self.tables_digest,
            "source": self.source_name,
            "recipe": self.recipe,
        }

    def run_name(self, model: str) -> str:
        """Return the name under which a person finds a model's run."""
        return f"{model} {self.version} {self.recipe}"


def record_models(
    tracker: Tracker,
    judged: Mapping[str, Judged],
    models: Mapping[str, Fitted],
    context: RunContext,
    challenge: ChallengeJudgement,
) -> dict[str, str]:
    """Return the registered version of every model, by name, after logging a run for each and one for the challenge.

    The pictures are those that the report has drawn.
    """
    registered = {name: _record_model(tracker, evidence, models[name], context) for name, evidence in judged.items()}
    with tracker.run(CHALLENGE, context.run_name(CHALLENGE), context.tags()) as log:
        log.params({f"completion.{name}": value for name, value in challenge.completion.items()})
        _record_judgement(log, challenge.judgement)
        log.pictures(pictures_of(context.report, CHALLENGE))
    return registered


def record_judgements(
    tracker: Tracker, judged: Mapping[str, Judged], challenge: ChallengeJudgement, report: Path, tags: Mapping[str, str]
) -> None:
    """Log a run for every judgement of an evaluation and for the challenge, without a model."""
    for model, evidence in judged.items():
        with tracker.run(model, f"{model} {report.name}", tags) as log:
            log.params(evidence.learner.parameters)
            _record_judgement(log, evidence.judgement)
            log.pictures(pictures_of(report, model))
    with tracker.run(CHALLENGE, f"{CHALLENGE} {report.name}", tags) as log:
        _record_judgement(log, challenge.judgement)
        log.pictures(pictures_of(report, CHALLENGE))


def _record_model(tracker: Tracker, evidence: Judged, model: Fitted, context: RunContext) -> str:
    name = evidence.learner.name
    with tracker.run(name, context.run_name(name), context.tags()) as log:
        log.params(evidence.learner.parameters)
        _record_judgement(log, evidence.judgement)
        log.metrics({"fit_seconds": evidence.fit_seconds, "judge_seconds": evidence.judge_seconds})
        log.record({"features": list(model.feature_names), "importance": dict(model.importance)}, "features.json")
        log.pictures(pictures_of(context.report, name))
        if model.notes:
            log.text("\n".join(model.notes), "notes.txt")
        with tempfile.TemporaryDirectory() as folder:
            artifacts = dict(model.artifacts())
            inputs = list(model.feature_names) if "trees.txt" in artifacts else []
            return tracker.register(log, artifacts, inputs=inputs, folder=Path(folder))


def _record_judgement(log: RunLog, judgement: Judgement) -> None:
    log.metrics(judgement.flat())
    log.tags({"cutoffs": ", ".join(judgement.cutoffs) or "none"})
    if judgement.rows:
        log.table(pd.DataFrame([vars(row) for row in judgement.rows]), "judgement.json")
        log.text(table_text([judgement]), "judgement.txt")
    if judgement.calibration:
        log.text(calibration_text([judgement]), "calibration.txt")
