"""`tercet replay --value`: reads the log, looks at its draws again under another policy, and says what it is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from features.asof import local_midnight, moment_at
from serving.bundle import Bundle, obeying, open_bundle
from serving.decisioning.policy import Policy, parse_policy, with_values
from serving.engine import Engine
from serving.errors import BundleError, PolicyError
from serving.experiments import Experiments
from serving.experiments_file import read_experiments
from serving.renamed import version_now
from serving.state.decisions import DecisionRecord
from serving.state.known import Live
from serving.state.shop import State
from training.errors import ReplayError, ValueRefused
from training.home import Home, read_policy
from training.lift_doings import Doings, doings_of_log
from training.lift_outcomes import DAY_US
from training.log_source import open_if_there
from training.off_policy import FloatArray
from training.off_policy_choices import NO_ARM, NO_BUNDLE, SLOTS, Looked, Progress, SecondLook, drawn_parts, look_again
from training.off_policy_outcomes import choices_of, outcomes_of, taken_of
from training.off_policy_report import ValueReport, write_report
from training.off_policy_value import (
    SlotValue,
    Valuation,
    check_arm,
    check_drawn,
    check_odds,
    exploring_cost,
    is_inside,
    outside_share,
    overlap_of,
    slot_value,
)
from training.replay import ReplayJob

_CALLS = frozenset({"challenge", "offers"})
_SEED = 20_180_101
_EVER_US = 2**62
NO_EXPERIMENT = "none"


@dataclass(frozen=True)
class _Shop:
    """What a valuation goes by: the champion's bundle, the policies, and the experiments of the home."""

    place: Home
    bundle: Bundle
    own: Policy
    other: Policy
    experiments: Experiments


def value(home: Path, job: ReplayJob, arm: str | None, progress: Progress) -> ValueReport:
    """Return what another policy would have brought, written with pictures under reports, and logged to MLflow.

    Raises what `find` raises.
    """
    found = find(home, job, arm, progress)
    progress("report")
    return write_report(Home(home), found)


def find(home: Path, job: ReplayJob, arm: str | None, progress: Progress) -> Valuation:
    """Return what another policy would have brought.

    Without `job.from_at` all decisions that are kept count. `arm` (``experiment/arm``, or ``none``) takes only those of
    one arm.

    Raises
    ------
    ValueRefused
        When a check fails: then nothing is said.
    ReplayError
        When there is no champion or no state.
    PolicyError, ExperimentsError
        When a file holds mistakes.
    StateUnavailable
        When the state can't be read.
    """
    shop = _shop(home, job)
    opened = open_if_there(home, job.state)
    if opened is None:
        raise ReplayError(f"{home} keeps no state yet, so nothing was decided")
    with closing(opened):
        progress("read decisions")
        state, window = opened.state, _window(job, shop.bundle)
        n_decisions, labels = _counted(_records(state, window))
        check_arm(labels, arm)
        progress("decide anew")
        drawn = (each for each in _records(state, window) if arm in (None, _label(each)))
        looked = _looked(drawn, state, shop, progress)
        check_drawn(n_decisions, looked.found, looked.left_out)
        progress("read purchases")
        doings = doings_of_log(state.log(), state.rewards(), shop.bundle)
        over = _over(looked.found, doings, shop)
        kind_of = Engine(shop.bundle).kinds
        taken = taken_of(over, state.log(), kind_of, shop.own.state.attribution_days)
    progress("measure")
    name = str(job.policy or shop.place.policy_path)
    return _valued(over, taken, doings, shop, looked, name)


def _shop(home: Path, job: ReplayJob) -> _Shop:
    place = Home(home)
    own = parse_policy(place.policy_text())
    other = own if job.policy is None else read_policy(job.policy)[1]
    version = place.champion()
    if version is None:
        raise ReplayError(f"{home} has no champion yet: run 'tercet train' first")
    return _Shop(place, open_bundle(place.bundle(version), verify=False), own, other, read_experiments(home))


def _window(job: ReplayJob, bundle: Bundle) -> tuple[int, int]:
    """Return the first moment and the one after the last; all that is kept where the job says nothing."""
    zone = bundle.manifest.time_zone
    from_us = 0 if job.from_at is None else _epoch_us(job.from_at, zone)
    to_us = _EVER_US if job.to_at is None else _epoch_us(job.to_at, zone)
    if from_us >= to_us:
        raise ReplayError("--from must be before --to")
    return from_us, to_us


def _records(state: State, window: tuple[int, int]) -> Iterator[DecisionRecord]:
    """Yield the decisions of a time that may have been drawn."""
    for record in state.records():
        if record.call in _CALLS and window[0] <= record.at_us < window[1]:
            yield record


def _counted(records: Iterable[DecisionRecord]) -> tuple[int, Counter[str]]:
    """Return how many decisions there are, and how many of each arm were drawn."""
    n, labels = 0, Counter[str]()
    for record in records:
        n += 1
        labels.update([_label(record)] if any(drawn_parts([record])) else [])
    return n, labels


def _epoch_us(at: datetime | date, zone: str) -> int:
    return moment_at(at, zone).us if isinstance(at, datetime) else local_midnight(at, zone).us


def _label(record: DecisionRecord) -> str:
    label = record.experiment
    return NO_EXPERIMENT if label is None else f"{label['name']}/{label['arm']}"


def _looked(records: Iterable[DecisionRecord], state: State, shop: _Shop, progress: Progress) -> SecondLook:
    aliases = state.aliases()

    def live(customer_id: str, before_us: int) -> Live:
        return state.live(customer_id, before_us=before_us)

    looked = look_again(records, _Pairs(shop).of, live, progress)
    standing = [replace(each, customer_id=aliases.get(each.customer_id, each.customer_id)) for each in looked.found]
    return SecondLook(standing, looked.left_out)


class _Pairs:
    """The engines of each bundle and arm, opened once."""

    def __init__(self, shop: _Shop) -> None:
        self._shop = shop
        self._known: dict[tuple[str, str], tuple[Engine, Engine] | str] = {}

    def of(self, record: DecisionRecord) -> tuple[Engine, Engine] | str:
        """Return the engine that made a decision and the one of the other policy, or why there are none."""
        key = record.model_version, _label(record)
        if key not in self._known:
            self._known[key] = self._opened(record)
        return self._known[key]

    def _opened(self, record: DecisionRecord) -> tuple[Engine, Engine] | str:
        place = self._shop.place
        try:
            bundle = open_bundle(place.bundle(version_now(place.folder, record.model_version)), verify=False)
        except BundleError:
            return NO_BUNDLE
        own = self._as_arm(bundle, record)
        return NO_ARM if own is None else (Engine(own), Engine(obeying(bundle, self._shop.other)))

    def _as_arm(self, bundle: Bundle, record: DecisionRecord) -> Bundle | None:
        """Return the bundle as the arm of a decision has it; None where that can't be told."""
        label = record.experiment
        if label is None:
            return bundle
        experiment = self._shop.experiments.named(label["name"])
        arm = next((each for each in experiment.arms if each.name == label["arm"]), None) if experiment else None
        if arm is None:
            return None
        text = (bundle.folder / "policy.toml").read_text("utf-8")
        try:
            return obeying(bundle, parse_policy(with_values(text, arm.policy))) if arm.policy else bundle
        except PolicyError:
            return None


def _over(looked: Sequence[Looked], doings: Doings, shop: _Shop) -> list[Looked]:
    """Return the decisions whose days are over; ValueRefused where there are none."""
    days = shop.own.state.attribution_days
    over = [each for each in looked if each.at_us + days * DAY_US <= doings.until_us]
    if not over or days == 0:
        raise ValueRefused(
            f"days: of {len(looked):,} drawn decisions none is {days} days old (attribution_days of [state]) by the "
            "latest purchase that was told; come back later, or tell what was bought (POST /v1/events)"
        )
    return over


def _valued(
    over: Sequence[Looked], taken: FloatArray, doings: Doings, shop: _Shop, looked: SecondLook, name: str
) -> Valuation:
    """Return each kind of draw valued; ValueRefused, for all their reasons, where none can be."""
    found: list[SlotValue] = []
    refused: dict[str, str] = {}
    for slot in SLOTS:
        mine = [i for i, each in enumerate(over) if each.draw.slot == slot]
        if mine:
            try:
                found.append(_slot(slot, [over[i] for i in mine], taken[mine], doings, shop))
            except ValueRefused as error:
                refused[slot] = str(error)
    if not found:
        reasons = [f"{slot}: {why}" for slot, why in refused.items()] if len(refused) > 1 else refused.values()
        raise ValueRefused("; ".join(reasons))
    return Valuation(
        name=name,
        from_us=min(each.at_us for each in over),
        to_us=max(each.at_us for each in over),
        currency=shop.bundle.manifest.currency,
        days=shop.own.state.attribution_days,
        slots=tuple(found),
        refused=refused,
        left_out=looked.left_out,
        n_waiting=len(looked.found) - len(over),
    )


def _slot(slot: str, looked: Sequence[Looked], taken: FloatArray, doings: Doings, shop: _Shop) -> SlotValue:
    """Return one kind of draw valued; ValueRefused where a check fails."""
    exploration, lift = shop.own.exploration, shop.experiments.lift
    check_odds(looked)
    outside = outside_share(looked, exploration)
    places = [i for i, each in enumerate(looked) if is_inside(each)]
    inside = [looked[i] for i in places]
    choices = choices_of(inside, doings.purchases, lift.before_days)
    overlap = overlap_of(choices, outside, exploration)
    days = shop.own.state.attribution_days
    outcomes = outcomes_of(inside, doings, taken[places], days, lift.unsubscribe_cost)
    cost = exploring_cost(looked)
    return slot_value(slot, overlap, choices, outcomes, cost=cost, seed=_SEED)
