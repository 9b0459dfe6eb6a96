from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.channels import CHANNELS, Channel
from serving.decisioning.contact import NO_PAST, Past, Sent, channel_named, contacts_of
from serving.state.events import Event, EventType
from tests.serving.decisioning.happened import event

WEEK_US = 7 * 86_400_000_000
PAST = Past(sent=12, answered=5, left=(0, 0, 0, 1, 0, 0), redeemed=2, sends=(Sent(10, Channel.EMAIL, ("o1",), True),))


def test_nothing_known_is_nothing_sent() -> None:
    contacts = contacts_of(NO_PAST, ())
    assert (contacts.n_sent, contacts.n_answered, contacts.sends) == (0, 0, ())
    assert contacts.n_sends(None, -1) == contacts.n_left() == contacts.n_showings_of("o1", -1) == 0


def test_the_bundle_and_the_events_since_add_up() -> None:
    since = [
        event("send", 100, channel="email", offer_id="o2"),
        event("open", 120, channel="email"),
        event("redeem", 130, channel="store", offer_id="o9"),
        event("send", 140, channel="push"),
        event("unsubscribe", 150, channel="email"),
    ]
    contacts = contacts_of(PAST, since)
    assert (contacts.n_sent, contacts.n_answered, contacts.n_redeemed) == (14, 7, 3)
    assert [(each.at_us, each.is_answered) for each in contacts.sends] == [(10, True), (100, True), (140, False)]
    assert (contacts.n_left(Channel.EMAIL), contacts.n_left(Channel.SMS), contacts.n_left()) == (2, 0, 2)


def test_sends_are_counted_by_channel_and_across_unknown_ones() -> None:
    since = [
        event("send", at, channel=name) for at, name in enumerate(("email", "EMAIL ", "push", "carrier pigeon", None))
    ]
    contacts = contacts_of(NO_PAST, since)
    assert contacts.n_sends(Channel.EMAIL, -1) == 2
    assert contacts.n_sends(Channel.SMS, -1) == 0
    assert contacts.n_sends(None, -1) == 5


@pytest.mark.parametrize(("after_us", "n"), [(WEEK_US - 1, 1), (WEEK_US, 0), (WEEK_US + 1, 0)])
def test_what_was_sent_exactly_one_window_ago_has_left_it(after_us: int, n: int) -> None:
    contacts = contacts_of(NO_PAST, [event("send", WEEK_US, channel="email", offer_id="o1")])
    assert contacts.n_sends(Channel.EMAIL, after_us) == contacts.n_sends_of("o1", after_us) == n


@pytest.mark.parametrize(("after_us", "n"), [(4, 2), (5, 1), (9, 0)])
def test_showings_are_counted_in_the_same_windows(after_us: int, n: int) -> None:
    contacts = contacts_of(NO_PAST, [event("impression", at, channel="web", offer_id="o1") for at in (9, 5)])
    assert contacts.n_showings_of("o1", after_us) == n


def test_a_showing_in_a_message_or_of_a_product_is_no_showing_of_an_offer_on_a_page() -> None:
    since = [
        event("impression", 1, channel="email", offer_id="o1"),
        event("impression", 2, channel="web", product_id="p"),
    ]
    assert not contacts_of(NO_PAST, since).shown


def test_what_one_decision_sent_on_one_channel_is_one_message() -> None:
    told = [
        event("send", at, channel=channel, offer_id=offer_id, decision_id="d1")
        for at, channel, offer_id in ((5, "email", "o1"), (6, "email", "o2"), (7, "email", None), (8, "push", "o1"))
    ]
    other = event("send", 9, channel="email", offer_id="o1", decision_id="d2")
    contacts = contacts_of(NO_PAST, [*told, other])
    found = [(each.at_us, each.channel, each.offer_ids) for each in contacts.sends]
    assert found == [(5, "email", ("o1", "o2")), (8, "push", ("o1",)), (9, "email", ("o1",))]
    assert contacts.n_sent == 3
    assert (contacts.n_sends_of("o1", 0), contacts.n_sends_of("o2", 0)) == (3, 1)


@pytest.mark.parametrize(
    ("answer", "is_answered"),
    [
        (event("open", 10, channel="email"), True),
        (event("open", 9, channel="email"), False),  # before it was sent
        (event("open", 11, channel="push"), False),
        (event("open", 11), False),
        (event("click", 11, decision_id="d1"), True),
        (event("click", 11, decision_id="d2"), False),
        (event("redeem", 11, channel="store", offer_id="o1"), True),
        (event("redeem", 11, channel="store", offer_id="o2"), False),
        (event("view", 11, channel="email", offer_id="o1"), False),
    ],
)
def test_which_answer_answers_a_message(answer: Event, is_answered: bool) -> None:
    sent = event("send", 10, channel="email", offer_id="o1", decision_id="d1")
    assert [each.is_answered for each in contacts_of(NO_PAST, [sent, answer]).sends] == [is_answered]


def test_the_latest_dismissal_and_redemption_of_an_offer_stand() -> None:
    since = [event(kind, at, offer_id="o1") for kind in ("dismiss", "redeem") for at in (7, 3)]
    contacts = contacts_of(NO_PAST, since)
    assert contacts.dismissed == contacts.redeemed == {"o1": 7}


def test_an_unsubscribe_without_a_channel_leaves_every_message_channel_and_a_block_leaves_push() -> None:
    assert contacts_of(NO_PAST, [event("unsubscribe", 1)]).left == (0, 0, 0, 1, 1, 1)
    assert contacts_of(NO_PAST, [event("notification_block", 1)]).left == (0, 0, 0, 0, 0, 1)


@pytest.mark.parametrize("name", [None, "", "E-Mail", "pigeon"])
def test_a_word_that_is_no_channel_of_ours_is_unknown(name: str | None) -> None:
    assert channel_named(name) is None


happenings = st.builds(
    event,
    st.sampled_from(list(EventType)),
    st.integers(0, 50),
    channel=st.sampled_from([None, *CHANNELS]),
    offer_id=st.sampled_from([None, "o1", "o2"]),
    decision_id=st.sampled_from([None, "d1", "d2"]),
    event_id=st.uuids().map(str),
)


@settings(deadline=None)
@given(st.lists(happenings, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_the_events_does_not_matter(events: list[Event], random: Any) -> None:  # Any: hypothesis's own
    shuffled = list(events)
    random.shuffle(shuffled)
    assert contacts_of(PAST, shuffled) == contacts_of(PAST, events)


@settings(deadline=None)
@given(st.lists(happenings, max_size=30), st.integers(-1, 51))
def test_channels_and_unknown_ones_add_up_to_all(events: list[Event], after_us: int) -> None:
    contacts = contacts_of(NO_PAST, events)
    unknown = sum(each.channel is None and each.at_us > after_us for each in contacts.sends)
    by_channel = sum(contacts.n_sends(channel, after_us) for channel in CHANNELS)
    assert contacts.n_sends(None, after_us) == by_channel + unknown
    assert list(contacts.sends) == sorted(contacts.sends, key=lambda each: each.at_us)
    assert contacts.n_sent == len(contacts.sends)


def test_an_answer_of_today_answers_a_message_that_the_bundle_knows_of() -> None:
    past = Past(sends=(Sent(1, Channel.EMAIL), Sent(2, Channel.PUSH), Sent(3, None, ("o1",))))
    contacts = contacts_of(past, [event("open", 5, channel="email"), event("redeem", 6, offer_id="o1")])
    assert [each.is_answered for each in contacts.sends] == [True, False, True]
