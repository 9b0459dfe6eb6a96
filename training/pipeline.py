"""From a source to a bundle: read this file top to bottom to see what `tercet train` does.

checked tables → features as of many moments → each model's challenger and champion judged on later weeks → the winners
fitted on all weeks → a bundle, with every step's evidence in MLflow and beside the bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from features.asof import Moment
from features.prune import prune
from features.tables import TableSet
from serving.bundle import write_bundle
from serving.decisioning.policy import parse_policy
from serving.home_lock import training_in, working_in
from serving.state.opening import FILE
from training.ahead import Read, reads_of_bundle, reads_of_challenges, reads_of_judging
from training.assembly import Assembly, numbers_of
from training.config import load_config
from training.costs import Meter
from training.evidence import Evidence, gather_evidence
from training.gate import promote_first
from training.gate_record import GateRecord, verdict_of, write_record
from training.gate_rules import Outcome
from training.gate_table import gate_text, summary_lines
from training.gate_trials import Trial, Trials, decisions_of
from training.history import History
from training.home import Home
from training.incumbents import Incumbents
from training.judging import Bench
from training.learners import Fitted, Learner, learners, own_settings, settings_record
from training.opening import OpenShop, open_shop
from training.recipe import Recipe
from training.recording import Outcomes, RunContext, record_training
from training.report import write_report
from training.results import KeptResults
from training.side_by_side import fitted_side_by_side, judged_side_by_side
from training.state_care import carry_out_erasures, tend_state
from training.tracking import Tracker

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainingJob:
    """What to train on: `engine` is ``duckdb`` or ``spark``, `state` as TERCET_STATE has it."""

    source: str
    as_of: date | datetime | None = None
    engine: str = "duckdb"
    quick: bool = False
    state: str = FILE


@dataclass(frozen=True)
class Made:
    """What a training made: a bundle, from tables as they are known up to a moment."""

    version: str
    tables: TableSet
    as_of: Moment


def train(
    source: str,
    home: Path,
    as_of: date | datetime | None,
    engine: str,
    quick: bool,
    progress: Say,
    *,
    state: str = FILE,
) -> str:
    """Return the version of the bundle that was trained, judged and published from a source and the shop's state.

    Of each model, the better of two recipes ships: today's config, and the one that the champion was made by. The first
    bundle of a home that passes the gate becomes its champion; later ones wait for `tercet promote`. Whoever asked to
    be forgotten is erased first. `state` is where the state is, as TERCET_STATE has it.

    Raises
    ------
    TercetError
        When the source breaks the contract, holds nothing to learn from, or the policy or a config has mistakes; or
        when a retraining is at work in the home.
    """
    with training_in(home):
        carry_out_erasures(home, state, progress)
        with working_in(home):
            made = make_bundle(TrainingJob(source, as_of, engine, quick, state), home, progress)
            promote_first(Home(home), made.version, progress)
            prune(Home(home).features, made.tables.digest)
            tend_state(home, state, made.tables, as_of_us=made.as_of.us)
    return made.version


def make_bundle(job: TrainingJob, home: Path, progress: Say, written: Say = lambda _: None) -> Made:
    """Return what `train` makes, without what comes before and after; whoever calls holds the home's lock.

    `written` is told the bundle's version as soon as its folder is there: its judgement follows.
    """
    place, meter = Home(home), Meter()
    Tracker.under(home).check()
    with meter.stage("tables"):
        shop = open_shop(job.source, home, job.as_of, job.engine, progress, state=job.state)
    history, recipe = History(shop.store, shop.as_of), load_config(Recipe, "recipe", is_quick=job.quick)
    bench = Bench(history, recipe, progress, KeptResults.under(home), meter)
    return Made(_train(shop, place, bench, job.quick, written), shop.tables, shop.as_of)


def _train(shop: OpenShop, home: Home, bench: Bench, quick: bool, written: Say) -> str:
    """Return the version of the bundle of an open shop."""
    history, say = bench.history, bench.say
    policy_text, texts = home.policy_text(), home.checked_texts()  # before hours of training, not after
    challengers = learners(is_quick=quick, home=home.folder)
    if own := own_settings(challengers):
        say(own)
    trials = Trials(bench, parse_policy(policy_text).gate, Incumbents.of(home))

    with history.store.ahead(_reads(trials, challengers)):
        trials = replace(trials, bench=judged_side_by_side(bench, tuple(trials.unjudged(challengers))))
        tried = trials.run(challengers)
        for line in summary_lines(decisions_of(tried)):
            say(f"gate: {line}")
        evidence = gather_evidence({name: each.shipped for name, each in tried.items()}, bench, policy_text)
        models = _fit(evidence, bench)

        say("bundle: write")
        with bench.meter.stage("bundle"):
            contents = Assembly(models, policy_text).contents(
                history,
                shop.as_of,
                numbers_of(models, history, evidence.challenge.numbers),
                metrics=evidence.metrics,
                recipe=_recipe_record(bench.recipe, tried, trials.incumbents, quick),
                log_until_us=shop.log_until_us,
            )
            version = write_bundle(replace(contents, texts=texts), home.bundles)
    written(version)

    _record(
        RunContext.of(shop, version, trials.incumbents.version, quick), home, bench, Outcomes(tried, evidence, models)
    )
    return version


def _reads(trials: Trials, challengers: Sequence[Learner]) -> Iterator[Read]:
    """Yield what training will read, about in its order."""
    history, recipe = trials.bench.history, trials.bench.recipe
    yield from reads_of_judging(tuple(trials.unjudged(challengers)), history, recipe)
    yield from reads_of_challenges(challengers[0], history, recipe)
    yield from reads_of_bundle(challengers, history, recipe)


def _fit(evidence: Evidence, bench: Bench) -> dict[str, Fitted]:
    """Return the models that ship: fitted on all that is known, or, where the recipe says so, those that were judged.

    A model that was not judged is fitted on all that is known.
    """
    models = {} if bench.recipe.refits else evidence.latest()
    models |= fitted_side_by_side(bench, [each for each in evidence.learners if each.name not in models])
    return {each.name: models[each.name] if each.name in models else bench.fitted(each) for each in evidence.learners}


def _recipe_record(
    recipe: Recipe, tried: Mapping[str, Trial], incumbents: Incumbents, is_quick: bool
) -> dict[str, Any]:  # Any: config values
    """Return what ran, for the manifest: of each model the config and the code, and where its settings come from."""
    shipped = {name: each.shipped for name, each in tried.items()}
    stays = [name for name, each in tried.items() if each.decision.outcome is Outcome.STAYS]
    return {
        "pipeline": asdict(recipe),
        "quick": is_quick,
        "models": {name: dict(each.recipe.config) for name, each in shipped.items()},
        "code": {name: each.recipe.code for name, each in shipped.items()},
        "settings": settings_record(each.learner for each in shipped.values())
        | {name: {"from": f"champion {incumbents.version}"} for name in stays},
    }


def _record(context: RunContext, home: Home, bench: Bench, outcomes: Outcomes) -> None:
    """Write the report and the gate's table beside the bundle, and log everything to MLflow."""
    bench.say("report: tables and pictures")
    folder, gate = home.report(context.version), gate_text(outcomes.decisions)
    write_report(folder, outcomes.evidence, context.version, gate=gate, costs=bench.meter.costs)
    bench.say("MLflow: log and register the models")
    registered = record_training(Tracker.under(home.folder), outcomes, context, bench.meter)
    record = GateRecord(
        bundle=context.version,
        champion=context.champion,
        decisions=tuple(outcomes.decisions),
        verdict=verdict_of(outcomes.decisions, [outcomes.evidence.challenge.judgement]),
        results={name: each.results for name, each in outcomes.evidence.judged.items()},
        registered=registered,
        judgements=[each.as_dict() for each in outcomes.evidence.judgements],
    )
    write_record(folder, record)
