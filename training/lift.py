"""`tercet lift`: what an experiment brought, from the shop's own log and, where they are given, its tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from features.asof import at_utc, local_midnight, moment_at
from features.conform import prepare
from features.ids import find_row
from serving.bundle import Bundle, open_bundle
from serving.errors import BundleError
from serving.experiments import Experiments
from serving.experiments_file import read_experiments
from serving.renamed import version_now
from serving.state.opening import FILE
from serving.state.shop import State
from training.errors import LiftError
from training.home import Home
from training.lift_doings import Doings, doings_of_log, doings_of_tables
from training.lift_exposures import Exposure, Question, exposures_of, question_of
from training.lift_measure import Lift, check_enough, check_sample_ratio, measure
from training.lift_outcomes import outcomes_of
from training.lift_report import flat_metrics, lift_figures, lift_text, table_rows
from training.log_source import open_if_there, told_under
from training.tracking import Tracker

Progress = Callable[[str], None]
UNKNOWN_TIER = "unknown"


@dataclass(frozen=True)
class LiftJob:
    """What is to be measured: an experiment (or ``holdout``), in [from_at, to_at), a date meaning its local midnight.

    With a `source`, purchases are those of its tables with the shop's log folded in; else those of the log alone.
    """

    experiment: str
    from_at: datetime | date | None = None
    to_at: datetime | date | None = None
    source: str | None = None
    state: str = field(default=FILE, repr=False)


@dataclass(frozen=True)
class LiftReport:
    """The report as text, and the folder with its pictures."""

    text: str
    folder: Path


def lift(home: Path, job: LiftJob, progress: Progress) -> LiftReport:
    """Return what an experiment brought, written with pictures under the home's reports, and logged to MLflow.

    Raises what `find` raises.
    """
    found = find(home, job, progress)
    progress("report")
    return _report(Home(home), found)


def find(home: Path, job: LiftJob, progress: Progress) -> Lift:
    """Return what an experiment brought.

    Raises
    ------
    LiftRefused
        When a check fails: then nothing is said of the effect.
    LiftError
        When there is no such experiment, no champion or no state.
    ExperimentsError, DataContractError
        When experiments.toml, or the source, can't be used.
    StateUnavailable
        When the state can't be read.
    """
    place, experiments = Home(home), read_experiments(home)
    policy = experiments.lift
    bundle = _champion(place)
    question = _question(experiments, job, bundle)
    progress("read decisions")
    opened = open_if_there(home, job.state)
    if opened is None:
        raise LiftError(f"{home} keeps no state yet, so nobody was exposed to anything")
    with closing(opened):
        exposures = exposures_of(question, opened.state.decided)
        sample_ratio = check_sample_ratio(exposures, policy)
        progress("read purchases")
        doings = _doings(job, home, opened.state, bundle, progress)
    until_us = doings.until_us if question.to_us is None else min(question.to_us, doings.until_us)
    outcomes = outcomes_of(exposures.found, _tiers(exposures.found, place), doings, policy, until_us)
    measured = check_enough(outcomes, question.arms, policy)
    progress("measure")
    return Lift(
        question,
        policy,
        bundle.manifest.currency,
        exposures.counts(),
        measured,
        sample_ratio,
        until_us,
        exposures.n_forgotten,
        measure(question, outcomes, policy),
    )


def _question(experiments: Experiments, job: LiftJob, bundle: Bundle) -> Question:
    zone = bundle.manifest.time_zone
    from_us, to_us = (None if at is None else _epoch_us(at, zone) for at in (job.from_at, job.to_at))
    if from_us is not None and to_us is not None and from_us >= to_us:
        raise LiftError("--from must be before --to")
    return question_of(experiments, job.experiment, from_us, to_us)


def _epoch_us(at: datetime | date, zone: str) -> int:
    return moment_at(at, zone).us if isinstance(at, datetime) else local_midnight(at, zone).us


def _champion(place: Home) -> Bundle:
    version = place.champion()
    if version is None:
        raise LiftError(f"{place.folder} has no champion yet: run 'tercet train' first")
    return open_bundle(place.bundle(version), verify=False)


def _doings(job: LiftJob, home: Path, state: State, bundle: Bundle, progress: Progress) -> Doings:
    if job.source is None:
        return doings_of_log(state.log(), state.rewards(), bundle)
    with told_under(home, job.state) as told:
        zone = bundle.policy.shop.time_zone
        prepared = prepare(job.source, home, time_zone=zone, progress=progress, additions=told.additions)
    return doings_of_tables(prepared.tables, state.rewards(), bundle.policy.margin.rate_where_unknown)


def _tiers(exposures: Sequence[Exposure], place: Home) -> list[str]:
    """Return each customer's engagement tier in the bundle that first decided for them: what was known before."""
    bundles: dict[str, Bundle | None] = {}
    tiers = []
    for each in exposures:
        if each.model_version not in bundles:
            bundles[each.model_version] = _kept_bundle(place, each.model_version)
        bundle = bundles[each.model_version]
        tiers.append(UNKNOWN_TIER if bundle is None else _tier(bundle, each.customer_id))
    return tiers


def _kept_bundle(place: Home, version: str) -> Bundle | None:
    try:
        return open_bundle(place.bundle(version_now(place.folder, version)), verify=False)
    except BundleError:
        return None


def _tier(bundle: Bundle, customer_id: str) -> str:
    customers = bundle.customers
    row = find_row(customers.hash, customers.id, customer_id)
    tier = -1 if row < 0 else int(customers.tier[row])
    return UNKNOWN_TIER if tier < 0 else bundle.tiers[tier]


def _report(place: Home, found: Lift) -> LiftReport:
    """Return the report after writing it, and logging it to MLflow as a run of its own."""
    name = found.question.name
    text, folder = lift_text(found), place.report(f"lift-{name}")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    for file, figure in lift_figures(found).items():
        figure.savefig(folder / file)
    (folder / "report.txt").write_text(text + "\n", encoding="utf-8")
    tags = {"experiment": name, "until": at_utc(found.until_us).isoformat()}
    with Tracker.under(place.folder).run("lift", f"{name} {at_utc(found.until_us):%Y-%m-%d}", tags) as log:
        log.params({"lift": vars(found.policy), "shares": dict(found.question.shares)})
        log.metrics(flat_metrics(found))
        log.table(pd.DataFrame(table_rows(found)), "lift.json")
        log.text(text, "report.txt")
        log.pictures({each.name: each.read_bytes() for each in sorted(folder.glob("*.png"))})
    return LiftReport(text, folder)
