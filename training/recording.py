"""What of a training run goes to MLflow: a run a model, with its evidence and its registered version, and one of all.

A person compares two versions in the MLflow page in three clicks: the experiment ``tercet/<model>``, the two runs,
*Compare*. Runs are named ``<model> <version> <recipe>``; parameters, metrics, pictures and tables have the same names
in all of them. What lost at the gate has a run of its own, which says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from features.asof import Moment, at_utc
from training.costs import Meter, costs_text
from training.evidence import Evidence
from training.gate_rules import Decision, Outcome
from training.gate_table import gate_frame, gate_text
from training.gate_trials import Trial, decisions_of
from training.judge import Judgement, calibration_text, table_text
from training.judging import Judged, fitting, judging
from training.learners import Fitted
from training.opening import OpenShop
from training.results import ModelResults
from training.tracking import BUNDLE_TAG, RunLog, Tracker

CHALLENGE, TRAINING = "challenge", "train"
GATE_TABLE, GATE_TEXT, COSTS_TEXT = "gate.json", "gate.txt", "costs.txt"


@dataclass(frozen=True)
class Outcomes:
    """All that a training came to: what the gate said of each model, the evidence, and the models that ship."""

    tried: Mapping[str, Trial]
    evidence: Evidence
    models: Mapping[str, Fitted]

    @property
    def decisions(self) -> list[Decision]:
        """Return the gate's decisions, in the models' order."""
        return decisions_of(self.tried)


@dataclass(frozen=True)
class RunContext:
    """What all runs of one training share; `champion` is the version that served, or empty."""

    version: str
    champion: str
    as_of: Moment
    tables_digest: str
    source_name: str
    recipe: str

    @classmethod
    def of(cls, shop: OpenShop, version: str, champion: str, is_quick: bool) -> RunContext:
        """Return what the runs of a training of an open shop share."""
        tables = shop.tables
        return cls(version, champion, shop.as_of, tables.digest, tables.source_name, "quick" if is_quick else "full")

    def tags(self) -> dict[str, str]:
        """Return the tags by which runs of one training, or on one data set, are found."""
        return {
            BUNDLE_TAG: self.version,
            "champion_version": self.champion or "none",
            "as_of": at_utc(self.as_of.us).isoformat(),
            "data_digest": self.tables_digest,
            "source": self.source_name,
            "recipe": self.recipe,
        }

    def run_name(self, model: str) -> str:
        """Return the name under which a person finds a model's run."""
        return f"{model} {self.version} {self.recipe}"


def record_training(tracker: Tracker, outcomes: Outcomes, context: RunContext, meter: Meter) -> dict[str, str]:
    """Return the registered version of every model that ships, by name, after logging all runs.

    Those are a run for each model, one for each that lost at the gate, one for the challenges, and one of the whole
    training with the gate's table and what each stage took.
    """
    registered = {}
    for name, trial in outcomes.tried.items():
        if trial.beaten is not None:
            _record_beaten(tracker, trial.beaten, trial.decision, context)
        registered[name] = _record_shipped(tracker, trial, outcomes.models[name], context, meter)
    _record_challenge(tracker, outcomes.evidence.challenge, context, meter)
    with tracker.run(TRAINING, context.run_name(TRAINING), context.tags()) as log:
        record_gate(log, outcomes.decisions)
        for outcome in Outcome:
            found = [each.model for each in outcomes.decisions if each.outcome is outcome]
            log.tags({f"gate_{outcome}": ", ".join(found) or "none"})
        log.metrics(_total(meter))
        log.text(costs_text(meter.costs), COSTS_TEXT)
    return registered


def record_gate(log: RunLog, decisions: list[Decision]) -> None:
    """Log the gate's table, as one that the page shows and as text."""
    frame = gate_frame(decisions)
    if len(frame):
        log.table(frame, GATE_TABLE)
    log.text(gate_text(decisions), GATE_TEXT)


def _record_shipped(tracker: Tracker, trial: Trial, model: Fitted, context: RunContext, meter: Meter) -> str:
    judged, name = trial.shipped, trial.shipped.learner.name
    stays = trial.decision.outcome is Outcome.STAYS
    role = {"gate": str(trial.decision.outcome), "recipe_of": "champion" if stays else "challenger"}
    with tracker.run(name, context.run_name(name), context.tags() | role) as log:
        _record_judged(log, judged)
        log.metrics(_costs_of(name, meter))
        record_gate(log, [trial.decision])
        log.record({"features": list(model.feature_names), "importance": dict(model.importance)}, "features.json")
        if model.notes:
            log.text("\n".join(model.notes), "notes.txt")
        with tempfile.TemporaryDirectory() as folder:
            artifacts = dict(model.artifacts())
            inputs = list(model.feature_names) if "trees.txt" in artifacts else []
            return tracker.register(log, artifacts, inputs=inputs, folder=Path(folder))


def _record_beaten(tracker: Tracker, beaten: Judged, decision: Decision, context: RunContext) -> None:
    """Log what lost at the gate: a challenger that is not promoted, or a champion that is replaced."""
    name, stays = beaten.learner.name, decision.outcome is Outcome.STAYS
    role = {"gate": "beaten", "recipe_of": "challenger" if stays else "champion"}
    said = "challenger, not promoted" if stays else "champion, replaced"
    with tracker.run(name, f"{context.run_name(name)} ({said})", context.tags() | role) as log:
        _record_judged(log, beaten)
        record_gate(log, [decision])


def _record_challenge(tracker: Tracker, challenge: ModelResults, context: RunContext, meter: Meter) -> None:
    with tracker.run(CHALLENGE, context.run_name(CHALLENGE), context.tags()) as log:
        log.params({f"completion.{name}": value for name, value in challenge.numbers.items()})
        _record_judgement(log, challenge.judgement)
        log.metrics(_costs_of(CHALLENGE, meter))
        log.pictures(challenge.pictures)


def _record_judged(log: RunLog, judged: Judged) -> None:
    log.params(judged.recipe.config)
    log.tags({"code": judged.recipe.code, "results": judged.results})
    _record_judgement(log, judged.judgement)
    log.pictures(judged.pictures)


def _record_judgement(log: RunLog, judgement: Judgement) -> None:
    log.metrics(judgement.flat())
    log.tags({"cutoffs": ", ".join(judgement.cutoffs) or "none"})
    if judgement.rows:
        log.table(pd.DataFrame([row.as_dict() for row in judgement.rows]), "judgement.json")
        log.text(table_text([judgement]), "judgement.txt")
    if judgement.calibration:
        log.text(calibration_text([judgement]), "calibration.txt")


def _costs_of(name: str, meter: Meter) -> dict[str, float]:
    """Return what a model took, by stage; of both recipes, where two were compared."""
    stages = {"fit_past_weeks": fitting(name), "judge": judging(name), "fit": f"fit {name}"}
    return {
        name: value for key, stage in stages.items() for name, value in meter.cost(stage).flat(f"cost.{key}").items()
    }


def _total(meter: Meter) -> dict[str, float]:
    return {
        f"cost.{name}": sum(getattr(each, name) for each in meter.costs) for name in ("wall_seconds", "cpu_seconds")
    }
