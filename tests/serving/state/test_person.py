from __future__ import annotations

from dataclasses import replace

from serving.state.challenges import kept, new_challenge
from serving.state.consent import Said
from serving.state.events import Event
from serving.state.person import (
    Person,
    before,
    lines_of,
    live_of,
    merged,
    with_answer,
    with_challenge,
    with_events,
    with_newest,
    without_old,
)
from tests.serving.state.builders import (
    BREAD,
    COFFEE,
    DAY,
    HOUR,
    KINDS,
    LIMITS,
    MILK,
    MONDAY,
    MONDAY_DAY,
    answer,
    event,
    item,
)

ANNA = Person("anna")


def told(person: Person, *events: Event, cap: int = 200) -> Person:
    limits = replace(LIMITS, events_per_customer=cap)
    return with_events(person, events, KINDS, limits=limits, reward_id_of=lambda decision_id: f"r-{decision_id}")


def challenged(person: Person, *items: dict[str, object], decision_id: str = "c1", at_us: int = MONDAY) -> Person:
    challenge = new_challenge(MONDAY_DAY, answer(*items, decision_id=decision_id), at_us)
    return with_challenge(person, challenge, lines_of(person).values(), f"r-{decision_id}")


def test_nobody_has_nothing() -> None:
    assert ANNA.is_blank
    assert live_of(ANNA, None).events == ()
    assert live_of(ANNA, None).consent is None


def test_events_stand_in_order_of_time_then_of_id() -> None:
    person = told(ANNA, event("b", at=MONDAY + 2), event("c", at=MONDAY), event("a", at=MONDAY + 2))
    assert [each.event_id for each in person.events] == ["c", "a", "b"]


def test_the_newest_events_are_kept_and_the_rest_is_remembered_to_be_in_the_log() -> None:
    person = told(ANNA, event("1", at=MONDAY), event("2", at=MONDAY + 1), event("3", at=MONDAY + 2), cap=2)
    assert [each.event_id for each in person.events] == ["2", "3"]
    assert person.cut_us == MONDAY
    assert told(person, event("0", at=MONDAY - 5), cap=2).cut_us == MONDAY


def test_kinds_are_kept_for_what_was_bought_and_as_they_were_at_first() -> None:
    person = told(ANNA, event("1", "milk-1"), event("2", "tea-1", type="view"), event("3", "new-1"))
    assert person.kinds == {"milk-1": ("Milk", "Dairy")}
    other = {"milk-1": ("Drink", "Dairy"), "new-1": ("Candle", "Home")}
    again = with_events(person, [event("4")], other, limits=LIMITS, reward_id_of=str)
    assert again.kinds == {"milk-1": ("Milk", "Dairy"), "new-1": ("Candle", "Home")}


def test_first_seen_is_the_earliest_acceptance() -> None:
    person = told(told(ANNA, event("1", accepted_us=9)), event("2", accepted_us=7))
    assert person.first_seen_us == 7


def test_what_was_known_before_a_moment_leaves_out_that_moment() -> None:
    live = live_of(told(ANNA, event("1", at=MONDAY), event("2", at=MONDAY + 1)), None)
    assert [each.event_id for each in before(live, MONDAY + 1).events] == ["1"]
    assert before(live, MONDAY).events == ()


def test_an_erased_one_is_told_with_the_moment() -> None:
    assert (live_of(ANNA, 5).is_erased, live_of(ANNA, 5).erased_us) == (True, 5)
    assert (live_of(ANNA, None).is_erased, live_of(ANNA, None).erased_us) == (False, 0)


def test_a_purchase_before_the_challenge_was_kept_counts_when_it_is_in_its_window() -> None:
    person = challenged(told(ANNA, event("1", "milk-1", at=MONDAY + HOUR), event("2", "bread-1", at=MONDAY - 1)))
    assert kept(person.challenges[MONDAY_DAY], person.kinds).is_done == (True, False, False)


def test_a_purchase_counts_once_a_later_bundle_knows_what_it_was() -> None:
    person = told(challenged(ANNA, item("category", "Home")), event("1", "new-1", at=MONDAY + HOUR))
    assert person.rewards == ()
    later = event("2", "new-1", at=MONDAY + 30 * DAY)
    known = with_events(person, [later], {"new-1": ("Candle", "Home")}, limits=LIMITS, reward_id_of=str)
    assert [each.completed_us for each in known.rewards] == [MONDAY + HOUR]


def test_purchases_are_known_from_events_and_from_challenges() -> None:
    person = told(challenged(ANNA), event("1", "milk-1"), event("2", type="view"), event("3", at=MONDAY - 1))
    assert sorted(lines_of(person)) == ["1", "3"]
    assert sorted(lines_of(replace(person, events=()))) == ["1"]


def test_a_reward_is_granted_once_and_stays_when_all_is_returned() -> None:
    bought = [event("1", "milk-1"), event("2", "bread-1"), event("3", "coffee-1", at=MONDAY + HOUR)]
    person = told(challenged(ANNA), *bought)
    assert [each.reward_id for each in person.rewards] == ["r-c1"]
    assert person.rewards[0].completed_us == MONDAY + HOUR
    back = told(person, *(replace(each, event_id=f"back-{each.event_id}", quantity=-1.0) for each in bought))
    again = told(back, *(replace(each, event_id=f"again-{each.event_id}") for each in bought))
    assert back.rewards == again.rewards == person.rewards


def test_events_of_one_call_are_counted_together() -> None:
    voided = [event("1", "milk-1"), event("2", "bread-1"), event("3", "tea-1"), event("4", "tea-1", quantity=-1.0)]
    assert told(challenged(ANNA), *voided).rewards == ()


def test_a_redeemed_reward_is_marked_with_the_first_moment() -> None:
    person = told(challenged(ANNA), event("1", "milk-1"), event("2", "bread-1"), event("3", "tea-1"))
    redeems = [event(f"r{at}", None, at=at, type="redeem", offer_id="r-c1") for at in (MONDAY + 9, MONDAY + 5)]
    assert told(person, *redeems).rewards[0].redeemed_us == MONDAY + 5
    assert told(person, event("r", None, type="redeem", offer_id="another")).rewards == person.rewards


def test_another_answer_keeps_the_id_the_window_and_what_was_bought() -> None:
    person = told(challenged(ANNA, MILK), event("1", "bread-1", at=MONDAY + HOUR))
    other = answer(BREAD, decision_id="another", starts="2018-01-05T00:00:00Z", reward=None)
    shown = with_answer(person, person.challenges[MONDAY_DAY], other, "r-c1", is_shown=True).challenges[MONDAY_DAY]
    assert (shown.decision_id, shown.answer["valid_from"], shown.is_shown) == ("c1", "2018-01-01T00:00:00Z", True)
    assert shown.completed_us == MONDAY + HOUR


def test_a_completed_challenge_keeps_its_items() -> None:
    person = told(challenged(ANNA, MILK), event("1", "milk-1"))
    shown = with_answer(person, person.challenges[MONDAY_DAY], answer(BREAD), "r-c1", is_shown=True).challenges[
        MONDAY_DAY
    ]
    assert shown.answer["items"] == [MILK]


def test_messages_and_what_became_of_offers_keep_a_quarter_of_the_places() -> None:
    person = told(
        ANNA,
        *(event(f"send-{i}", at=MONDAY + i, type="send") for i in range(3)),
        event("redeemed", at=MONDAY + 3, type="redeem", offer_id="o1"),
        *(event(f"view-{i}", at=MONDAY + 10 + i, type="view") for i in range(20)),
        cap=8,
    )
    assert [each.event_id for each in person.events] == ["send-2", "redeemed", *(f"view-{i}" for i in range(14, 20))]
    assert person.cut_us == MONDAY + 10 + 13


# Two customers who turn out to be one


def test_both_histories_are_kept_once() -> None:
    ours, theirs = told(ANNA, event("1"), event("2", at=MONDAY + 2)), told(Person("ben"), event("2"), event("3"))
    both = with_newest(*(lambda person: (person, person.events))(merged(ours, theirs, goes_hidden=False)), 200)
    assert sorted(each.event_id for each in both.events) == ["1", "2", "3"]
    assert (both.customer_id, both.also, both.hidden) == ("anna", ("ben",), ())


def test_ids_that_were_merged_before_come_along_and_an_erased_one_stays_hidden() -> None:
    both = merged(replace(ANNA, also=("x",)), Person("ben", also=("y",)), goes_hidden=True)
    assert both.also == ("x", "ben", "y")
    assert live_of(both, None).also == ("x", "y")


def test_a_refusal_wins_over_a_later_agreement() -> None:
    ours = replace(ANNA, consent={"email": Said(True, 9), "sms": Said(True, 1)})
    theirs = Person("ben", consent={"email": Said(False, 3)})
    assert merged(ours, theirs, goes_hidden=False).consent == {"email": Said(False, 3), "sms": Said(True, 1)}
    assert merged(theirs, ours, goes_hidden=False).consent == {"email": Said(False, 3), "sms": Said(True, 1)}


def test_of_two_challenges_of_a_week_the_granted_one_stays_then_the_further_then_the_older() -> None:
    granted = told(challenged(Person("a"), MILK, decision_id="granted", at_us=9), event("1", "milk-1"))
    further = told(challenged(Person("b"), BREAD, COFFEE, decision_id="further", at_us=8), event("2", "tea-1"))
    older = challenged(Person("c"), decision_id="older", at_us=1)
    newer = challenged(Person("d"), decision_id="newer", at_us=2)
    for better, worse in ((granted, further), (further, older), (older, newer)):
        for stays, goes in ((better, worse), (worse, better)):
            both = merged(stays, goes, goes_hidden=False)
            assert both.challenges[MONDAY_DAY].decision_id == better.challenges[MONDAY_DAY].decision_id
    assert [each.decision_id for each in merged(further, granted, goes_hidden=False).rewards] == ["granted"]


def test_the_earlier_first_sight_stands() -> None:
    both = merged(Person("a", first_seen_us=5), Person("b", first_seen_us=3), goes_hidden=False)
    assert both.first_seen_us == 3


# What is too old


def test_old_events_challenges_and_rewards_go_and_younger_ones_stay() -> None:
    person = told(challenged(ANNA), event("1", "milk-1"), event("2", "bread-1"), event("3", "tea-1"))
    limits = replace(LIMITS, events_days=30, decisions_days=20, challenge_weeks=2)
    ends = MONDAY + 7 * DAY
    assert without_old(person, ends + 14 * DAY - 1, limits).challenges == person.challenges
    assert without_old(person, ends + 14 * DAY, limits).challenges == {}
    assert without_old(person, MONDAY + 20 * DAY - 1, limits).rewards == person.rewards
    assert without_old(person, MONDAY + 20 * DAY, limits).rewards == ()
    assert without_old(person, MONDAY + 30 * DAY - 1, limits).events == person.events
    assert without_old(person, MONDAY + 30 * DAY, limits).is_blank


def test_an_event_is_as_old_as_its_acceptance() -> None:
    person = told(ANNA, event("1", at=MONDAY - 900 * DAY, accepted_us=MONDAY))
    assert without_old(person, MONDAY + DAY, LIMITS) == person
