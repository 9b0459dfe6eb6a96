from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.channels import CHANNELS, MESSAGE_CHANNELS, Channel
from serving.decisioning.contact import DAY_US, NO_PAST, Contacts, Past, Sent, contacts_of
from serving.decisioning.fatigue import Fatigue, Observed
from serving.decisioning.policy import default_policy
from serving.decisioning.policy_contact import CapsByTier
from serving.tier import PLAIN_CUTS, Tier
from tests.serving.decisioning.happened import event

NOW = 1_514_800_000_000_000
OBSERVED = Observed({"email": (4, 1500)}, PLAIN_CUTS, margin_rate=0.25, mean_value=200.0)
CAPS = default_policy().caps
POLICY = replace(
    default_policy().fatigue,
    half_life_days=7.0,
    other_channel_share=0.5,
    answered_share=0.25,
    load_factor=0.3,
    prior_messages=500.0,
    prior_email=0.002,
    prior_sms=0.015,
    share_email=0.15,
    lost_days=168.0,
)
MANY = CapsByTier(9, 9, 9, 9, 9)


def fatigue(**changes: Any) -> Fatigue:  # any key of [caps]
    names = CAPS.__dataclass_fields__
    open_caps = {name: MANY if isinstance(getattr(CAPS, name), CapsByTier) else 9 for name in names}
    return Fatigue(POLICY, replace(CAPS, **open_caps | changes), OBSERVED)


def flat(n: int) -> CapsByTier:
    return CapsByTier(n, n, n, n, n)


def sent(*days_ago: float, channel: Channel | None = Channel.EMAIL, offer_id: str = "") -> Contacts:
    return of(Sent(NOW - int(days * DAY_US), channel, (offer_id,)) for days in days_ago)


def of(sends: Iterable[Sent], n_sent: int = 10, n_answered: int = 1) -> Contacts:
    ordered = tuple(sorted(sends, key=lambda each: each.at_us))
    return replace(contacts_of(NO_PAST, ()), n_sent=n_sent, n_answered=n_answered, sends=ordered)


def test_the_chance_begins_with_the_shops_own_rate_drawn_to_the_prior() -> None:
    nobody = contacts_of(NO_PAST, ())
    assert fatigue().chance_to_leave(nobody, Channel.EMAIL, NOW) == pytest.approx((4 + 500 * 0.002) / (1500 + 500))
    assert fatigue().chance_to_leave(nobody, Channel.SMS, NOW) == pytest.approx(0.015)


def test_what_was_sent_lately_adds_to_it_and_fades() -> None:
    # sent now on this channel: 1; a week ago: a half; on another channel: half of that; answered: a quarter
    sends = [
        Sent(NOW, Channel.EMAIL),
        Sent(NOW - 7 * DAY_US, Channel.EMAIL),
        Sent(NOW - 7 * DAY_US, Channel.PUSH),
        Sent(NOW - 7 * DAY_US, None),
        Sent(NOW, Channel.EMAIL, is_answered=True),
    ]
    contacts = of(sends)
    assert fatigue().load(contacts, Channel.EMAIL, NOW) == pytest.approx(1 + 1 / 2 + 1 / 4 + 1 / 4 + 1 / 4)
    base = fatigue().chance_to_leave(of([]), Channel.EMAIL, NOW)
    assert fatigue().chance_to_leave(contacts, Channel.EMAIL, NOW) == pytest.approx(base * (1 + 0.3 * 2.25))


def test_a_message_of_tomorrow_weighs_like_one_of_now() -> None:
    assert fatigue().load(sent(-1.0), Channel.EMAIL, NOW) == 1.0


def test_who_answers_little_is_likelier_to_leave() -> None:
    chances = [
        fatigue().chance_to_leave(of([], n_sent=n_sent, n_answered=n_answered), Channel.EMAIL, NOW)
        for n_sent, n_answered in ((10, 9), (10, 2), (10, 1), (10, 0))
    ]
    factor = POLICY.tier_factor
    assert chances == pytest.approx(
        [chances[2] * each for each in (factor.high, factor.medium, factor.low, factor.silent)]
    )


def test_the_worth_of_a_channel_is_its_share_of_the_margin_for_as_long_as_it_is_lost() -> None:
    # 100 in 84 days, twice as long, a quarter of it margin, 15 % of that
    assert fatigue().channel_worth(Channel.EMAIL, 100.0) == pytest.approx(100 * 2 * 0.25 * 0.15)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_an_unknown_value_is_the_mean_customers(value: float | None) -> None:
    assert fatigue().channel_worth(Channel.EMAIL, value) == fatigue().channel_worth(Channel.EMAIL, 200.0) > 0.0


def test_worth_and_cost_are_never_below_0() -> None:
    assert fatigue().channel_worth(Channel.EMAIL, -50.0) == 0.0
    assert fatigue().cost(sent(1.0), Channel.EMAIL, NOW, -3.0) == 0.0


def test_a_showing_on_a_page_costs_nothing() -> None:
    for channel in (Channel.STORE, Channel.WEB, Channel.APP):
        assert fatigue().chance_to_leave(sent(0.1, 0.2), channel, NOW) == 0.0
        assert fatigue().channel_worth(channel, 100.0) == 0.0
        assert not fatigue(all_day=flat(0)).cap_reached(sent(0.1), channel, NOW)


def test_the_cost_is_the_chance_times_the_worth() -> None:
    contacts = sent(1.0, 2.0)
    chance = fatigue().chance_to_leave(contacts, Channel.EMAIL, NOW)
    assert fatigue().cost(contacts, Channel.EMAIL, NOW, 40.0) == chance * 40.0


@pytest.mark.parametrize(
    ("caps", "is_reached"),
    [
        ({"email_day": flat(2)}, False),
        ({"email_day": flat(1)}, True),
        ({"email_week": flat(3)}, False),
        ({"email_week": flat(2)}, True),
        ({"push_day": flat(0), "push_week": flat(0)}, False),
        ({"all_day": flat(2)}, True),  # one e-mail and one on a channel that nobody named
        ({"all_day": flat(3), "all_week": flat(4)}, False),
        ({"all_week": flat(3)}, True),
        ({"email_week": flat(0)}, True),
    ],
)
def test_caps_by_channel_and_across_channels(caps: dict[str, CapsByTier], is_reached: bool) -> None:
    email = [Sent(NOW - int(days * DAY_US), Channel.EMAIL) for days in (0.5, 3.0, 8.0)]
    contacts = of([*email, Sent(NOW - DAY_US // 4, None)])
    assert fatigue(**caps).cap_reached(contacts, Channel.EMAIL, NOW) is is_reached


@pytest.mark.parametrize(("cap", "window_us"), [("email_day", DAY_US), ("email_week", 7 * DAY_US)])
def test_a_window_rolls_to_the_microsecond(cap: str, window_us: int) -> None:
    contacts = of([Sent(NOW, Channel.EMAIL)])
    limited = fatigue(**{cap: flat(1)})
    assert limited.cap_reached(contacts, Channel.EMAIL, NOW + window_us - 1)
    assert not limited.cap_reached(contacts, Channel.EMAIL, NOW + window_us)
    assert limited.cap_reached(contacts, Channel.EMAIL, NOW)
    assert limited.cap_reached(contacts, Channel.EMAIL, NOW - 1)  # accepted with a clock that is ahead


@pytest.mark.parametrize("channel", MESSAGE_CHANNELS)
@pytest.mark.parametrize("name", ["day", "week"])
def test_a_cap_of_0_means_never(channel: Channel, name: str) -> None:
    assert fatigue(**{f"{channel}_{name}": flat(0)}).cap_reached(of([]), channel, NOW)


TIERS = {(10, 9): "high", (10, 2): "medium", (10, 1): "low", (3, 0): "silent", (2, 0): "untested"}
"""Messages and answers, and the tier that they make."""


@pytest.mark.parametrize(("counts", "tier"), TIERS.items())
def test_caps_go_by_tier(counts: tuple[int, int], tier: str) -> None:
    limited = fatigue(email_day=replace(flat(0), **{tier: 1}))
    assert limited.tier(of([], *counts)) == tier
    allowed = [each for each in TIERS if not limited.cap_reached(of([], *each), Channel.EMAIL, NOW)]
    assert allowed == [counts]


def test_the_label_by_visits_stands_until_messages_say_more() -> None:
    shop = fatigue()
    by_visits = Past(tier=Tier.HIGH)
    assert shop.tier(contacts_of(by_visits, ())) is Tier.HIGH
    assert shop.tier(contacts_of(by_visits, [event("send", i) for i in range(2)])) is Tier.HIGH
    assert shop.tier(contacts_of(by_visits, [event("send", i) for i in range(3)])) is Tier.SILENT
    assert shop.tier(contacts_of(NO_PAST, ())) is Tier.UNTESTED


@pytest.mark.parametrize(
    ("days_ago", "is_reached"), [((), False), ((6.9,), True), ((7.0,), False), ((8, 27.9), True), ((8, 28.0), False)]
)
def test_messages_about_the_same_offer_are_capped_on_all_channels_together(
    days_ago: tuple[float, ...], is_reached: bool
) -> None:
    contacts = sent(*days_ago, channel=Channel.PUSH, offer_id="o1")
    limited = fatigue(offer_sends_week=1, offer_sends_4w=2)
    assert limited.offer_cap_reached(contacts, "o1", Channel.EMAIL, NOW) is is_reached
    assert not limited.offer_cap_reached(contacts, "o2", Channel.EMAIL, NOW)
    assert not limited.offer_cap_reached(contacts, "o1", Channel.WEB, NOW)


def test_showings_of_the_same_offer_are_capped_on_pages() -> None:
    shown = [event("impression", NOW - hours * DAY_US // 24, channel="web", offer_id="o1") for hours in (1, 30)]
    contacts = contacts_of(NO_PAST, shown)
    by_day, by_week = fatigue(offer_showings_day=flat(1)), fatigue(offer_showings_week=flat(2))
    for limited in (by_day, by_week):
        assert limited.offer_cap_reached(contacts, "o1", Channel.APP, NOW)
        assert not limited.offer_cap_reached(contacts, "o1", Channel.EMAIL, NOW)
        assert not limited.offer_cap_reached(contacts, "o2", Channel.APP, NOW)
    assert not fatigue(offer_showings_day=flat(2), offer_showings_week=flat(3)).offer_cap_reached(
        contacts, "o1", Channel.APP, NOW
    )
    assert fatigue(offer_showings_day=flat(0)).offer_cap_reached(contacts, "o2", Channel.APP, NOW)


sends = st.lists(
    st.builds(
        Sent,
        st.integers(NOW - 40 * DAY_US, NOW),
        st.sampled_from([None, *MESSAGE_CHANNELS]),
        st.sampled_from([(), ("o1",)]),
        st.booleans(),
    ),
    max_size=20,
)
messages = st.sampled_from(MESSAGE_CHANNELS)
pasts = st.builds(Past, sent=st.integers(0, 30), answered=st.integers(0, 10), tier=st.sampled_from([None, *Tier]))


@settings(deadline=None)
@given(pasts, sends, st.integers(NOW - 28 * DAY_US, NOW), st.sampled_from([None, *CHANNELS]), messages)
def test_one_more_message_never_lowers_the_chance_to_leave(
    past: Past, sends: list[Sent], at_us: int, on: Channel | None, channel: Channel
) -> None:
    known = replace(past, sends=tuple(sorted(sends, key=lambda each: each.at_us)))
    answer = event("open", NOW - DAY_US, channel="email")
    one_more = event("send", at_us, channel=on)
    shop = fatigue()
    fewer, more = contacts_of(known, [answer]), contacts_of(known, [answer, one_more])
    chances = [shop.chance_to_leave(each, channel, NOW) for each in (fewer, more)]
    assert 0.0 <= chances[0] <= chances[1] <= 1.0
    assert shop.cost(more, channel, NOW, 10.0) >= shop.cost(fewer, channel, NOW, 10.0)


@settings(deadline=None)
@given(sends, messages, st.integers(0, 28 * DAY_US))
def test_the_same_messages_weigh_less_the_longer_ago_they_were(
    sends: list[Sent], channel: Channel, later_us: int
) -> None:
    contacts = of(sends)
    assert fatigue().load(contacts, channel, NOW + later_us) <= fatigue().load(contacts, channel, NOW)


@settings(deadline=None)
@given(sends, messages, st.integers(0, 28 * DAY_US))
def test_caps_that_are_reached_open_with_time_alone_and_close_with_messages_alone(
    sends: list[Sent], channel: Channel, later_us: int
) -> None:
    shop = Fatigue(POLICY, CAPS, OBSERVED)
    contacts, fewer = of(sends), of(sends[1:])
    if not shop.cap_reached(contacts, channel, NOW):
        assert not shop.cap_reached(contacts, channel, NOW + later_us)
        assert not shop.cap_reached(fewer, channel, NOW)


@settings(deadline=None)
@given(pasts, sends, messages, st.floats(allow_nan=True, allow_infinity=True))
def test_the_cost_is_a_finite_amount_of_at_least_0(
    past: Past, sends: list[Sent], channel: Channel, value: float
) -> None:
    shop = fatigue()
    contacts = contacts_of(replace(past, sends=tuple(sorted(sends, key=lambda each: each.at_us))), ())
    worth = shop.channel_worth(channel, min(value, 1e12))
    assert 0.0 <= shop.cost(contacts, channel, NOW, worth) <= worth


def test_the_example_of_the_page_by_hand() -> None:
    shop = Fatigue(default_policy().fatigue, CAPS, Observed({}, PLAIN_CUTS, margin_rate=0.25, mean_value=0.0))
    worth = shop.channel_worth(Channel.EMAIL, 100.0)
    contacts = sent(7.0)
    assert worth == pytest.approx(100 * 365 / 84 * 0.25 * 0.15)
    assert shop.tier(contacts) is Tier.LOW
    assert shop.chance_to_leave(contacts, Channel.EMAIL, NOW) == pytest.approx(0.0023)
    assert round(shop.cost(contacts, Channel.EMAIL, NOW, worth), 3) == 0.037
