"""One customer as the state keeps them, in one value; every transition is pure and returns another value."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, cast

from serving.api_answers import ChallengeAnswer
from serving.state.challenges import Challenge, Kinds, Line, kept, with_lines
from serving.state.consent import Said, refused_first, with_event
from serving.state.events import Event, EventType
from serving.state.holding import after, as_of, united
from serving.state.holds import Hold
from serving.state.known import Earned, Live, Tried

if TYPE_CHECKING:
    from serving.decisioning.policy import StatePolicy

SHOWING = frozenset({EventType.SEND, EventType.IMPRESSION, EventType.OPEN, EventType.CLICK})
"""Events that mean that the decision which they name was seen."""

DAY_US = 86_400_000_000
_QUARTER = 4


@dataclass(frozen=True, slots=True)
class Reward:
    """What a customer was promised and has earned: granted once, whatever is returned later."""

    reward_id: str
    decision_id: str
    kind: str
    value: float
    cost: float
    completed_us: int
    redeemed_us: int | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """What is kept of a customer: the newest events in order of (at_us, event_id), consent, challenges, rewards.

    `kinds` holds the product type and category of every product that was bought, as they were when it was first known.
    `also` are the ids that were merged into this one, `hidden` those of them whose bundle rows don't count any more.
    `identities` are kinds with keyed hashes of values. `cut_us` is the newest moment of an event that is left out here
    because there are newer ones: before it the log knows more. `holds` are the offers that they were given, in that
    order.
    """

    customer_id: str
    events: tuple[Event, ...] = ()
    kinds: Kinds = field(default_factory=dict)
    consent: Mapping[str, Said] = field(default_factory=dict)
    challenges: Mapping[int, Challenge] = field(default_factory=dict)
    rewards: tuple[Reward, ...] = ()
    also: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    first_seen_us: int | None = None
    cut_us: int | None = None
    holds: tuple[Hold, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids of this customer, the one that stands first."""
        return (self.customer_id, *self.also)

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to keep."""
        contents = (self.events, self.consent, self.challenges, self.rewards, self.also, self.identities, self.holds)
        return not any(contents) and self.cut_us is None


def before(live: Live, before_us: int) -> Live:
    """Return what was known of a customer when only events strictly before a moment had happened."""
    events = live.events[: bisect_left(live.events, before_us, key=lambda event: event.at_us)]
    return replace(live, events=events, holds=as_of(live.holds, before_us))


def live_of(person: Person, erased_us: int | None) -> Live:
    """Return what the engine gets of a person."""
    return Live(
        person.customer_id,
        tuple(each for each in person.also if each not in person.hidden),
        person.events,
        {key: said.is_given for key, said in person.consent.items()} or None,
        erased_us is not None,
        erased_us or 0,
        person.holds,
        tuple(Tried(each.ends_us, each.completed_us) for each in person.challenges.values() if each.is_shown),
        _open_challenge(person),
        person.kinds,
        tuple(
            Earned(each.reward_id, each.kind, each.value, each.completed_us)
            for each in person.rewards
            if each.redeemed_us is None
        ),
    )


def _open_challenge(person: Person) -> Challenge | None:
    """Return the newest challenge where it was shown and is not completed."""
    newest = max(person.challenges.values(), key=lambda each: each.monday_day, default=None)
    return newest if newest is not None and newest.is_shown and newest.completed_us is None else None


def line_of(event: Event) -> Line | None:
    """Return what an event adds to challenges: a purchase or return of a product, else None."""
    if event.type is not EventType.PURCHASE or event.product_id is None:
        return None
    return Line(event.at_us, event.event_id, event.product_id, event.quantity)


def with_events(
    person: Person, events: Sequence[Event], kinds: Kinds, *, limits: StatePolicy, reward_id_of: Callable[[str], str]
) -> Person:
    """Return the person after new events: newest kept, consent and challenges moved, rewards granted.

    `reward_id_of`: the id of what a challenge, by its decision_id, grants when these events complete it.
    """
    consent = person.consent
    for event in events:
        consent = with_event(consent, event)
    first_us = min(event.accepted_us for event in events)
    grown = replace(
        person,
        kinds={**kinds, **person.kinds},
        consent=consent,
        rewards=_with_redeemed(person.rewards, events),
        challenges=_with_shown(person.challenges, events),
        first_seen_us=first_us if person.first_seen_us is None else min(person.first_seen_us, first_us),
    )
    lines = [line for line in map(line_of, events) if line is not None]
    counted = with_purchases(grown, lines, reward_id_of) if lines else grown
    return with_newest(counted, (*person.events, *events), limits.events_per_customer)


def with_purchases(person: Person, lines: Iterable[Line], reward_id_of: Callable[[str], str]) -> Person:
    """Return the person after purchases and returns: challenges counted again, and rewards granted."""
    lines = list(lines)
    challenges = {
        monday: with_lines(each, lines, person.kinds, reward_id_of(each.decision_id))
        if each.is_touched_by(lines)
        else each
        for monday, each in person.challenges.items()
    }
    return _with_granted(replace(person, challenges=challenges))


def with_newest(person: Person, events: Iterable[Event], limit: int) -> Person:
    """Return the person with the newest of these events, each once, and only the kinds that are still needed.

    A quarter of the places is kept for what caps count, and for what became of offers: looking around a lot must not
    make a message of this morning, or a redemption, forgotten.
    """
    unique = {event.event_id: event for event in events}
    ordered = sorted(unique.values(), key=lambda event: (event.at_us, event.event_id))
    newest = ordered if len(ordered) <= limit else _newest_of(ordered, limit)
    kept = {event.event_id for event in newest}
    left_out = [event for event in ordered if event.event_id not in kept] if len(newest) < len(ordered) else ()
    cut_us = max((event.at_us for event in left_out), default=person.cut_us)
    if cut_us is not None and person.cut_us is not None:
        cut_us = max(cut_us, person.cut_us)
    bought = {event.product_id for event in newest if event.type is EventType.PURCHASE}
    bought |= {line.product_id for challenge in person.challenges.values() for line in challenge.lines}
    kinds = {product_id: kind for product_id, kind in person.kinds.items() if product_id in bought}
    return replace(person, events=tuple(newest), kinds=kinds, cut_us=cut_us)


def _newest_of(ordered: Sequence[Event], limit: int) -> list[Event]:
    """Return the newest events, in order: those of offers and messages up to a quarter of them, whatever came since."""
    lasting = [event for event in ordered if event.type is EventType.SEND or event.offer_id is not None]
    kept = {event.event_id for event in lasting[max(len(lasting) - n_lasting(limit), 0) :]}
    others = [event for event in ordered if event.event_id not in kept]
    kept |= {event.event_id for event in others[len(kept) - limit :]}
    return [event for event in ordered if event.event_id in kept]


def n_lasting(limit: int) -> int:
    """Return how many of the places for events are kept for those of offers and messages.

    >>> n_lasting(200), n_lasting(3)
    (50, 0)
    """
    return limit // _QUARTER


def with_challenge(person: Person, challenge: Challenge, lines: Iterable[Line], reward_id: str) -> Person:
    """Return the person with this challenge for its week, moved by the purchases that are already known."""
    counted = with_lines(challenge, lines, person.kinds, reward_id)
    return _with_granted(replace(person, challenges={**person.challenges, challenge.monday_day: counted}))


def with_answer(
    person: Person, challenge: Challenge, replaced: ChallengeAnswer | None, reward_id: str, *, is_shown: bool
) -> Person:
    """Return the person with a challenge that was shown or not, as it was or (unless completed) with other items.

    The id, the window and all purchases stay.
    """
    told = replace(challenge, is_shown=is_shown)
    if replaced is not None and challenge.completed_us is None:
        fixed = {key: challenge.answer[key] for key in ("decision_id", "valid_from", "valid_to")}
        told = replace(told, answer=cast(ChallengeAnswer, {**replaced, **fixed}))
    return with_challenge(person, told, (), reward_id)


def merged(stays: Person, goes: Person, *, goes_hidden: bool) -> Person:
    """Return both customers as one with all events, before challenges are counted again over both histories.

    A refusal wins over an agreement. Of two challenges of one week the one with a granted reward stays, else the one
    with more items done, else the older, else that of `stays`; rewards that were granted stay, both.
    """
    challenges = dict(stays.challenges)
    for monday, challenge in goes.challenges.items():
        ours = challenges.get(monday)
        if ours is None or _standing(challenge, goes.kinds) > _standing(ours, stays.kinds):
            challenges[monday] = challenge
    firsts = [us for us in (stays.first_seen_us, goes.first_seen_us) if us is not None]
    cuts = [us for us in (stays.cut_us, goes.cut_us) if us is not None]
    return Person(
        stays.customer_id,
        (*stays.events, *goes.events),
        {**goes.kinds, **stays.kinds},
        refused_first(stays.consent, goes.consent),
        challenges,
        tuple(sorted({*stays.rewards, *goes.rewards}, key=lambda reward: (reward.completed_us, reward.reward_id))),
        (*stays.also, *goes.ids),
        (*stays.hidden, *goes.hidden, *((goes.customer_id,) if goes_hidden else ())),
        tuple(sorted({*stays.identities, *goes.identities})),
        min(firsts, default=None),
        max(cuts, default=None),
        united(stays.holds, goes.holds),
    )


def lines_of(person: Person) -> dict[str, Line]:
    """Return every purchase and return that the person's document knows, by event_id."""
    lines = {line.event_id: line for challenge in person.challenges.values() for line in challenge.lines}
    return lines | {line.event_id: line for line in map(line_of, person.events) if line is not None}


class MomentsKept(NamedTuple):
    """Events accepted, challenges ended, rewards granted and holds ended after these moments are kept."""

    accepted_after_us: int
    ended_after_us: int
    granted_after_us: int
    held_after_us: int


def moments_kept(now_us: int, limits: StatePolicy) -> MomentsKept:
    """Return how far back the policy keeps a customer's things."""
    return MomentsKept(
        now_us - limits.events_days * DAY_US,
        now_us - limits.challenge_weeks * 7 * DAY_US,
        now_us - limits.decisions_days * DAY_US,
        now_us - limits.attribution_days * DAY_US,
    )


def without_old(person: Person, now_us: int, limits: StatePolicy) -> Person:
    """Return the person without what is older than the policy keeps."""
    accepted_after, ended_after, granted_after, held_after = moments_kept(now_us, limits)
    challenges = {day: each for day, each in person.challenges.items() if each.ends_us > ended_after}
    rewards = tuple(reward for reward in person.rewards if reward.completed_us > granted_after)
    events = [event for event in person.events if event.accepted_us > accepted_after]
    person = replace(person, challenges=challenges, rewards=rewards, holds=after(person.holds, held_after))
    younger = with_newest(person, events, limits.events_per_customer)
    is_cut = younger.cut_us is not None and younger.cut_us > accepted_after
    return younger if is_cut else replace(younger, cut_us=None)


def _with_granted(person: Person) -> Person:
    known = {reward.reward_id for reward in person.rewards}
    granted = [
        Reward(each.reward_id, each.decision_id, reward["kind"], reward["value"], reward["cost"], each.completed_us)
        for _, each in sorted(person.challenges.items())
        if each.reward_id is not None and each.reward_id not in known
        if each.completed_us is not None and (reward := each.answer["reward"]) is not None
    ]
    return replace(person, rewards=(*person.rewards, *granted)) if granted else person


def _with_shown(challenges: Mapping[int, Challenge], events: Iterable[Event]) -> Mapping[int, Challenge]:
    """Return the challenges, those marked as shown that events of being shown or answered name."""
    named = {event.decision_id for event in events if event.type in SHOWING}
    if not named:
        return challenges
    return {
        monday: replace(each, is_shown=True) if each.decision_id in named else each
        for monday, each in challenges.items()
    }


def _with_redeemed(rewards: tuple[Reward, ...], events: Iterable[Event]) -> tuple[Reward, ...]:
    moments: dict[str | None, int] = {}
    for event in events:
        if event.type is EventType.REDEEM:
            moments[event.offer_id] = min(event.at_us, moments.get(event.offer_id, event.at_us))
    return tuple(
        replace(reward, redeemed_us=min(moments[reward.reward_id], reward.redeemed_us or moments[reward.reward_id]))
        if reward.reward_id in moments
        else reward
        for reward in rewards
    )


def _standing(challenge: Challenge, kinds: Kinds) -> tuple[bool, int, int]:
    stands = kept(challenge, kinds)
    return stands.reward_id is not None, stands.progress()["done"], -challenge.at_us
