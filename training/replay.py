"""`tercet replay`: past decisions made anew under another policy, and what would have changed.

Each decision is made twice more from the bundle that made it, for its own moment, by what was known of the customer
then: once under that bundle's policy, once under the other. What differs between the two is the policy's doing. How
often the first of them shows what was recorded says how far the rest can be taken at its word: what was in stock then
is not known any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from features.asof import at_utc, local_midnight, moment_at
from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, SubstitutesRequest
from serving.arms import as_without_consent
from serving.bundle import obeying, open_bundle
from serving.decisioning.policy import Policy, parse_policy
from serving.engine import Engine
from serving.errors import BundleError
from serving.experiments import HOLDOUT
from serving.renamed import version_now
from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.known import Known
from serving.state.opening import FILE
from serving.state.shop import State
from training.errors import ReplayError
from training.home import Home, read_policy
from training.judge import aligned
from training.log_source import open_if_there

WEEK_US = 7 * 86_400_000_000
N_CATEGORIES = 10
NO_CUSTOMER, NO_BUNDLE, NO_ITEMS = (
    "no customer is linked to them",
    "their bundle is not kept any more",
    "nothing was shown",
)

# Any: each call has its own types of request and answer.
_CALLS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "challenge": (ChallengeRequest, Engine.challenge),
    "recommendations": (RecommendationsRequest, Engine.recommendations),
    "also-bought": (AlsoBoughtRequest, Engine.also_bought),
    "substitutes": (SubstitutesRequest, Engine.substitutes),
}
_MONEY = ("expected value", "reward cost", "chance of all three")

Progress = Callable[[str], None]
Answer = Mapping[str, Any]  # Any: an answer, typed in serving/api_answers.py


@dataclass(frozen=True)
class ReplayJob:
    """What is to be decided anew: decisions in [from_at, to_at) (by default the last seven days with any).

    `policy` None is the home's own policy.toml: what the next bundle will carry.
    """

    policy: Path | None = None
    from_at: datetime | date | None = None
    to_at: datetime | date | None = None
    state: str = field(default=FILE, repr=False)


@dataclass
class Tally:
    """What came of the decisions of one call, summed; `n_by_own_policy` of them were in no arm with another policy."""

    n: int = 0
    n_by_own_policy: int = 0
    n_as_recorded: int = 0
    n_changed: int = 0
    n_items: int = 0
    n_items_changed: int = 0
    own: dict[str, float] = field(default_factory=dict)
    other: dict[str, float] = field(default_factory=dict)

    def add(self, recorded: frozenset[str] | None, own: Answer, other: Answer) -> None:
        """Count one decision: what was recorded (None: by an arm's policy), and what the two policies make of it."""
        before, after = _products(own), _products(other)
        self.n += 1
        self.n_by_own_policy += recorded is not None
        self.n_as_recorded += recorded is not None and recorded == frozenset(before)
        self.n_changed += before != after or own.get("reward") != other.get("reward")
        self.n_items += len(after)
        self.n_items_changed += len(set(after) - set(before))
        for sums, answer in ((self.own, own), (self.other, other)):
            for name, value in _money(answer).items():
                sums[name] = sums.get(name, 0.0) + value


@dataclass
class Replayed:
    """All that was decided anew, by call, with the categories that were shown; and what was left out, and why."""

    from_us: int
    to_us: int
    calls: dict[str, Tally] = field(default_factory=dict)
    categories: dict[str, list[int]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


class Redecider:
    """Makes decisions anew, each from the bundle that made it; bundles are opened once."""

    def __init__(self, place: Home, policy: Policy, state: State) -> None:
        self._place = place
        self._policy = policy
        self._state = state
        self._engines: dict[str, tuple[Engine, Engine] | None] = {}

    def answers(self, record: DecisionRecord, part: DecisionPart) -> tuple[Answer, Answer] | str:
        """Return what the two policies answer, or why that can't be told."""
        if part.customer_id is None:
            return NO_CUSTOMER
        if not part.shown:
            return NO_ITEMS
        engines = self._of(record.model_version)
        if engines is None:
            return NO_BUNDLE
        known = Known(self._state.live(part.customer_id, before_us=record.at_us))
        if record.experiment is not None and record.experiment["name"] == HOLDOUT:
            known = as_without_consent(known)
        model, ask = _CALLS[record.call]
        request, at = model(customer_id=part.customer_id, **part.asked), at_utc(record.at_us)
        own, other = (ask(engine, request, at, record.decision_id, known) for engine in engines)
        return own, other

    def _of(self, version: str) -> tuple[Engine, Engine] | None:
        if version not in self._engines:
            self._engines[version] = self._opened(version)
        return self._engines[version]

    def _opened(self, version: str) -> tuple[Engine, Engine] | None:
        try:
            bundle = open_bundle(self._place.bundle(version_now(self._place.folder, version)), verify=False)
        except BundleError:
            return None
        return Engine(bundle), Engine(obeying(bundle, self._policy))


def replay(home: Path, job: ReplayJob, progress: Progress) -> str:
    """Return what another policy would have changed, as tables that a person can read.

    Raises
    ------
    ReplayError
        When there is nothing to decide anew.
    PolicyError
        When the policy holds mistakes.
    StateUnavailable
        When the state can't be read.
    """
    place = Home(home)
    policy = parse_policy(place.policy_text()) if job.policy is None else read_policy(job.policy)[1]
    opened = open_if_there(home, job.state)
    if opened is None:
        raise ReplayError(f"{home} keeps no state yet, so nothing was decided")
    with closing(opened):
        progress("read decisions")
        found = Replayed(*_window(job, opened.state, place))
        progress("decide anew")
        _redecide(found, opened.state, Redecider(place, policy, opened.state))
    if not found.calls:
        reasons = "; ".join(f"{n:,}: {why}" for why, n in found.left_out.most_common()) or "there are none"
        raise ReplayError(f"no decision of that time can be made anew: {reasons}")
    return replay_text(found, str(job.policy or place.policy_path))


def replay_text(found: Replayed, policy: str) -> str:
    """Return the report as plain text."""
    span = " to ".join(f"{at_utc(us):%Y-%m-%d %H:%M}" for us in (found.from_us, found.to_us))
    header = ["call", "decisions", "own policy as recorded", "changed", "items changed", *_MONEY]
    parts = [
        f"{policy} against the policy of each decision's bundle, {span} UTC",
        aligned([header, *(_cells(call, tally) for call, tally in sorted(found.calls.items()))]),
    ]
    moved = sorted(found.categories.items(), key=lambda each: (-abs(each[1][1] - each[1][0]), each[0]))
    rows = [[name, f"{own:,}", f"{other:,}", f"{other - own:+,}"] for name, (own, other) in moved if own != other]
    if rows:
        parts.append(aligned([["category", "shown", "would be", "difference"], *rows[:N_CATEGORIES]]))
    left_out = [f"- left out, as {why}: {n:,}" for why, n in sorted(found.left_out.items())]
    return "\n\n".join([*parts, *(["\n".join(left_out)] if left_out else [])])


def _redecide(found: Replayed, state: State, redecider: Redecider) -> None:
    for record in state.records():
        if not found.from_us <= record.at_us < found.to_us or record.call not in _CALLS:
            continue
        for part in record.parts:
            answers = redecider.answers(record, part)
            if isinstance(answers, str):
                found.left_out[answers] += 1
                continue
            is_own = record.experiment is None or record.experiment["name"] == HOLDOUT
            found.calls.setdefault(record.call, Tally()).add(part.product_ids() if is_own else None, *answers)
            for place, answer in enumerate(answers):
                for item in answer["items"]:
                    found.categories.setdefault(item["category"], [0, 0])[place] += 1


def _window(job: ReplayJob, state: State, place: Home) -> tuple[int, int]:
    """Return the first moment and the one after the last; a date is its local midnight in the champion's time zone."""
    latest_us = max((head.at_us for head in state.decided()), default=None)
    if latest_us is None:
        raise ReplayError("no decision is kept")
    version = place.champion()
    zone = "UTC" if version is None else open_bundle(place.bundle(version), verify=False).manifest.time_zone
    to_us = latest_us + 1 if job.to_at is None else _epoch_us(job.to_at, zone)
    from_us = to_us - WEEK_US if job.from_at is None else _epoch_us(job.from_at, zone)
    if from_us >= to_us:
        raise ReplayError("--from must be before --to")
    return from_us, to_us


def _epoch_us(at: datetime | date, zone: str) -> int:
    return moment_at(at, zone).us if isinstance(at, datetime) else local_midnight(at, zone).us


def _cells(call: str, tally: Tally) -> list[str]:
    def share(part: int, whole: int) -> str:
        return f"{part / whole:.1%}" if whole else "-"

    def means(name: str) -> str:
        return f"{tally.own[name] / tally.n:.4f} → {tally.other[name] / tally.n:.4f}" if name in tally.own else ""

    return [
        call,
        f"{tally.n:,}",
        share(tally.n_as_recorded, tally.n_by_own_policy),
        share(tally.n_changed, tally.n),
        share(tally.n_items_changed, tally.n_items),
        *map(means, _MONEY),
    ]


def _products(answer: Answer) -> list[str]:
    return [item["product_id"] for item in answer["items"]]


def _money(answer: Answer) -> dict[str, float]:
    """Return what a challenge costs and brings; nothing of other answers."""
    if "expected_value" not in answer:
        return {}
    cost = answer["reward"]["cost"] if answer["reward"] else 0.0
    return dict(zip(_MONEY, (answer["expected_value"], cost, answer["completion_probability"]), strict=True))
