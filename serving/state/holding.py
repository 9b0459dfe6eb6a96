"""What becomes of the offers that a customer holds: given, redeemed, united with another's, and dropped in the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from serving.state.events import Event, EventType
from serving.state.holds import Hold

Holds = tuple[Hold, ...]


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Holds after redemptions: which of them were used, and which redemptions had none."""

    holds: Holds
    used: Holds = ()
    without: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """Holds after more were given, and those as they were that these have replaced."""

    holds: Holds
    replaced: Holds


def with_redeems(holds: Holds, events: Iterable[Event]) -> Redeemed:
    """Return the holds after redemptions, in order of time; each uses the newest hold that was given by then.

    One that comes after the offer's end uses its hold as well, and one from before it was given does not.
    """
    now = list(holds)
    used: list[Hold] = []
    without: list[Event] = []
    for event in sorted(events, key=lambda each: (each.at_us, each.event_id)):
        if event.type is not EventType.REDEEM or event.offer_id is None:
            continue
        places = [i for i, hold in enumerate(now) if _may_use(hold, event)]
        if not places:
            without.append(event)
            continue
        place = max(places, key=lambda i: now[i].given_us)
        used.append(now[place])
        now[place] = replace(now[place], redeemed_us=event.at_us)
    return Redeemed(tuple(now), tuple(used), tuple(without))


def with_new(holds: Holds, new: Sequence[Hold]) -> Given:
    """Return the holds with new ones; of an offer that is held still, the new one takes the place of the old.

    The old one ends where the new one begins, and has nothing reserved from then on.
    """
    now, replaced = list(holds), []
    for hold in new:
        for place, old in enumerate(now):
            if old.offer_id == hold.offer_id and old.redeemed_us is None and old.until_us > hold.given_us:
                replaced.append(old)
                now[place] = replace(old, cost=0.0, until_us=hold.given_us)
    kept = [each for each in now if each.until_us > each.given_us or each.redeemed_us is not None]
    return Given(in_order((*kept, *new)), tuple(replaced))


def united(ours: Holds, theirs: Holds) -> Holds:
    """Return the holds of two customers who turn out to be one: of an offer that both hold, the one that ends later.

    Of two that end at once it is ours.
    """
    open_ones: dict[str, Hold] = {}
    for hold in (*ours, *theirs):
        known = open_ones.get(hold.offer_id)
        if hold.redeemed_us is None and (known is None or hold.until_us > known.until_us):
            open_ones[hold.offer_id] = hold
    kept = [hold for hold in (*ours, *theirs) if hold.redeemed_us is not None or open_ones[hold.offer_id] is hold]
    return in_order(kept)


def in_order(holds: Iterable[Hold]) -> Holds:
    """Return holds in the order in which they were given."""
    return tuple(sorted(holds, key=lambda hold: (hold.given_us, hold.offer_id)))


def after(holds: Holds, ended_us: int) -> Holds:
    """Return the holds that end after a moment; those before it have given their money back, or spent it."""
    return tuple(hold for hold in holds if hold.until_us > ended_us)


def as_of(holds: Holds, before_us: int) -> Holds:
    """Return the holds as they were at a moment, with what was given at that very moment."""
    return tuple(
        replace(hold, redeemed_us=None) if hold.redeemed_us is not None and hold.redeemed_us >= before_us else hold
        for hold in holds
        if hold.given_us <= before_us
    )


def held(holds: Sequence[Hold], at_us: int) -> Holds:
    """Return the holds that stand at a moment: given, not ended, not redeemed."""
    return tuple(hold for hold in holds if hold.redeemed_us is None and hold.given_us <= at_us < hold.until_us)


def _may_use(hold: Hold, event: Event) -> bool:
    return hold.offer_id == event.offer_id and hold.redeemed_us is None and hold.given_us <= event.at_us
