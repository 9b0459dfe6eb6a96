"""Who was exposed to an experiment: each customer once, from the first decision that could differ, as assigned then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from serving.experiments import HOLDOUT, Experiments
from serving.state.decisions import DecisionHead
from training.errors import LiftError, LiftRefused

PERSONAL = "personal"
"""The arm of everybody who is not held out, where the holdout itself is measured."""

Decided = Callable[[], Iterable[DecisionHead]]


@dataclass(frozen=True)
class Question:
    """An experiment to measure in [from_us, to_us): its arms with their shares by the file, the control first."""

    name: str
    shares: Mapping[str, float]
    from_us: int = 0
    to_us: int | None = None

    @property
    def arms(self) -> tuple[str, ...]:
        """The names of the arms."""
        return tuple(self.shares)

    @property
    def control(self) -> str:
        """What the other arms are compared with."""
        return self.arms[0]

    def is_in_window(self, at_us: int) -> bool:
        """Say whether a moment lies in the window."""
        return at_us >= self.from_us and (self.to_us is None or at_us < self.to_us)


@dataclass(frozen=True, slots=True)
class Exposure:
    """A customer's first decision in an experiment; `model_version` is the bundle that made it."""

    customer_id: str
    arm: str
    at_us: int
    model_version: str


@dataclass(frozen=True)
class Exposures:
    """All who were exposed, in order of time; the shares that the arms had; decisions of who was forgotten since."""

    found: tuple[Exposure, ...]
    shares: Mapping[str, float]
    n_forgotten: int

    def counts(self) -> dict[str, int]:
        """Return how many customers each arm has."""
        return {arm: sum(each.arm == arm for each in self.found) for arm in self.shares}


def question_of(experiments: Experiments, name: str, from_us: int | None = None, to_us: int | None = None) -> Question:
    """Return what is to be measured; LiftError where the experiments have none of that name."""
    experiment = experiments.named(name)
    if name == HOLDOUT:
        share = experiments.holdout.share
        shares = {HOLDOUT: share, PERSONAL: 1.0 - share}
    elif experiment is None:
        known = ", ".join([HOLDOUT, *(each.name for each in experiments.experiments)])
        raise LiftError(f"experiments.toml has no experiment {name!r}; it has {known}")
    else:
        shares = {arm.name: arm.share for arm in experiment.arms}
    return Question(name, shares, from_us or 0, to_us)


def exposures_of(question: Question, decided: Decided) -> Exposures:
    """Return the exposures to an experiment; `decided` gives all decisions, in any order, as often as it is called.

    One whose first decision in the experiment lies outside the window is left out: nobody begins twice.

    Raises
    ------
    LiftRefused
        When nobody was exposed, or an arm's share changed: then earlier and later customers are not comparable.
    """
    arm_of = _holdout_arm(decided) if question.name == HOLDOUT else _experiment_arm(question)
    firsts: dict[str, tuple[int, str, Exposure]] = {}
    seen: dict[str, set[float]] = defaultdict(set)
    n_forgotten = 0
    for head in decided():
        arm = arm_of(head)
        if arm is None:
            continue
        if question.is_in_window(head.at_us):
            n_forgotten += head.n_erased
            seen[arm].add(head.probability)
        for customer_id in head.customer_ids:
            exposure = Exposure(customer_id, arm, head.at_us, head.model_version)
            ranked = (head.at_us, head.decision_id, exposure)
            if customer_id not in firsts or ranked[:2] < firsts[customer_id][:2]:
                firsts[customer_id] = ranked
    in_order = sorted(firsts.values(), key=lambda ranked: ranked[:2])
    found = tuple(exposure for at_us, _, exposure in in_order if question.is_in_window(at_us))
    if not found:
        raise LiftRefused(f"exposure: no customer was exposed to {question.name!r} in that time")
    return Exposures(found, _shares(question, seen), n_forgotten)


def _experiment_arm(question: Question) -> Callable[[DecisionHead], str | None]:
    def arm_of(head: DecisionHead) -> str | None:
        label = head.experiment
        if label is None or label["name"] != question.name:
            return None
        if label["arm"] not in question.shares:
            raise LiftRefused(
                f"arms: decisions name an arm {label['arm']!r}, and experiments.toml has only "
                f"{', '.join(question.arms)}; an experiment needs its arms until it has been measured"
            )
        return label["arm"]

    return arm_of


def _holdout_arm(decided: Decided) -> Callable[[DecisionHead], str | None]:
    """Return what tells held-out customers from all others; before the first one nobody was held out."""
    starts_us = min((head.at_us for head in decided() if _is_held_out(head)), default=None)
    if starts_us is None:
        raise LiftRefused("exposure: nobody was held out yet; set [holdout] share in experiments.toml")

    def arm_of(head: DecisionHead) -> str | None:
        if head.at_us < starts_us:
            return None
        return HOLDOUT if _is_held_out(head) else PERSONAL

    return arm_of


def _is_held_out(head: DecisionHead) -> bool:
    return head.experiment is not None and head.experiment["name"] == HOLDOUT


def _shares(question: Question, seen: Mapping[str, set[float]]) -> dict[str, float]:
    """Return the shares that decisions name, else (an arm that nobody was seen in) the file's."""
    arms = (HOLDOUT,) if question.name == HOLDOUT else question.arms
    for arm in arms:
        if len(seen.get(arm, ())) > 1:
            listed = " and ".join(f"{each:g}" for each in sorted(seen[arm]))
            raise LiftRefused(
                f"shares: arm {arm!r} had the shares {listed} in that time, so that earlier and later customers are "
                "not comparable; ask for the time since the change with --from"
            )
    shares = {arm: next(iter(seen.get(arm, ())), question.shares[arm]) for arm in arms}
    return shares if question.name != HOLDOUT else {HOLDOUT: shares[HOLDOUT], PERSONAL: 1.0 - shares[HOLDOUT]}
