"""What becomes of the offers that a customer holds, as values."""

from __future__ import annotations

from dataclasses import replace

from serving.state.events import Event
from serving.state.holding import after, as_of, held, united, with_new, with_redeems
from serving.state.holds import Hold
from tests.serving.state.builders import DAY, HOUR, MONDAY, event

SPRING = Hold("spring", 2.0, MONDAY, MONDAY + DAY)
SUMMER = Hold("summer", 0.0, MONDAY + HOUR, MONDAY + 2 * DAY)


def redeem(event_id: str, offer_id: str | None = "spring", at: int = MONDAY + HOUR) -> Event:
    return event(event_id, None, type="redeem", at=at, offer_id=offer_id)


def test_a_redemption_uses_its_hold_once() -> None:
    first, second = redeem("r1"), redeem("r2", at=MONDAY + 2 * HOUR)
    done = with_redeems((SPRING, SUMMER), [second, first])
    assert done.holds == (replace(SPRING, redeemed_us=first.at_us), SUMMER)
    assert (done.used, done.without) == ((SPRING,), (second,))


def test_a_redemption_from_before_the_hold_uses_none_and_one_after_its_end_does() -> None:
    assert with_redeems((SPRING,), [redeem("r1", at=MONDAY - 1)]).without != ()
    assert with_redeems((SPRING,), [redeem("r1", at=MONDAY)]).used == (SPRING,)
    assert with_redeems((SPRING,), [redeem("r1", at=MONDAY + 9 * DAY)]).used == (SPRING,)


def test_of_several_holds_the_newest_given_by_then_is_used() -> None:
    later = replace(SPRING, given_us=MONDAY + 2 * DAY, until_us=MONDAY + 3 * DAY)
    assert with_redeems((SPRING, later), [redeem("r1", at=MONDAY + 2 * DAY)]).used == (later,)
    assert with_redeems((SPRING, later), [redeem("r1", at=MONDAY + DAY)]).used == (SPRING,)


def test_only_redemptions_of_an_offer_count() -> None:
    others = [redeem("r1", offer_id=None), event("c1", None, type="click", offer_id="spring")]
    assert with_redeems((SPRING,), others).holds == (SPRING,)
    assert with_redeems((SPRING,), others).without == ()


def test_a_hold_stands_from_when_it_was_given_until_just_before_its_end() -> None:
    moments = (MONDAY - 1, MONDAY, MONDAY + DAY - 1, MONDAY + DAY)
    assert [bool(held((SPRING,), at)) for at in moments] == [False, True, True, False]
    assert held((replace(SPRING, redeemed_us=MONDAY),), MONDAY + 1) == ()


def test_a_new_hold_of_what_is_held_takes_its_place() -> None:
    longer = replace(SPRING, given_us=MONDAY + HOUR, until_us=MONDAY + 3 * DAY)
    given = with_new((SPRING, SUMMER), [longer])
    assert given.replaced == (SPRING,)
    assert given.holds == (replace(SPRING, cost=0.0, until_us=MONDAY + HOUR), longer, SUMMER)
    assert with_new((SPRING,), [replace(longer, given_us=SPRING.until_us)]).replaced == ()


def test_a_new_hold_from_before_the_old_one_leaves_nothing_of_it() -> None:
    earlier = replace(SPRING, given_us=MONDAY - HOUR)
    assert with_new((SPRING,), [earlier]).holds == (earlier,)


def test_of_an_offer_that_two_held_the_one_that_ends_later_is_left() -> None:
    longer = replace(SPRING, given_us=MONDAY - HOUR, until_us=MONDAY + 3 * DAY)
    assert united((SPRING,), (longer, SUMMER)) == (longer, SUMMER)
    assert united((longer,), (SPRING,)) == (longer,)
    twin = replace(SPRING)
    assert united((SPRING,), (twin,)) == (SPRING,)


def test_what_was_redeemed_stays_with_both() -> None:
    used = replace(SPRING, redeemed_us=MONDAY + HOUR)
    assert united((used,), (replace(SPRING, cost=1.0),)) == (used, replace(SPRING, cost=1.0))


def test_ended_holds_go_and_the_past_sees_what_was_held_then() -> None:
    used = replace(SPRING, redeemed_us=MONDAY + 2 * HOUR)
    assert after((used, SUMMER), MONDAY + DAY) == (SUMMER,)
    assert as_of((used, SUMMER), MONDAY) == (SPRING,)
    assert as_of((used, SUMMER), MONDAY + 2 * HOUR) == (SPRING, SUMMER)
    assert as_of((used, SUMMER), MONDAY + 2 * HOUR + 1) == (used, SUMMER)
