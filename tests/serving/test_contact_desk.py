from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from serving.api import ScoresRequest
from serving.bundle import Bundle, open_bundle, write_bundle
from serving.channels import CHANNELS, Channel
from serving.contact_desk import ContactDesk, NextContact
from serving.desk import Desk
from serving.engine import Engine
from serving.live import epoch_us
from serving.state.known import Known, Live, Tried
from serving.strings import StringTable
from serving.tier import Tier
from tests.serving.happenings import after, event, known
from tests.serving.tiny import AS_OF, tiny_contents

NEW_YORK = ZoneInfo("America/New_York")
NOON = after(12)
NOTHING = known()
Build = Callable[..., Desk]


@pytest.fixture(scope="module")
def desk(tiny_bundle: Bundle) -> Desk:
    return Desk(tiny_bundle, applies_rules=True)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def made(policy: Mapping[str, Any] | None = None, **meta: Any) -> Desk:  # any value of the policy or the manifest
        contents = tiny_contents(policy)
        contents = replace(contents, meta=replace(contents.meta, **meta))
        return Desk(open_bundle(tmp_path / write_bundle(contents, tmp_path)), applies_rules=True)

    return made


def judged(desk: Desk, customer: str, channel: Channel, told: Known = NOTHING, at: datetime = NOON) -> NextContact:
    contacts = desk.contacts.contacts(customer, told.live)
    return desk.contacts.next_contact(contacts, channel, at, NEW_YORK, row=desk.shoppers.row(customer, told.live))


def test_the_bundles_account_of_a_customer(desk: Desk) -> None:
    contacts = desk.contacts.contacts("anna", NOTHING.live)
    assert (contacts.n_sent, contacts.n_answered, contacts.n_redeemed, contacts.n_baskets) == (16, 10, 3, 30)
    found = [(each.channel, each.offer_ids, each.is_answered) for each in contacts.sends]
    assert found == [("email", (), True), ("email", ("dairy-off",), True), ("push", (), False)]
    assert contacts.sends[1].at_us == epoch_us(AS_OF - timedelta(days=9))


def test_what_the_source_names_no_channel_for_counts_across_channels(desk: Desk) -> None:
    contacts = desk.contacts.contacts("emil", NOTHING.live)
    since = epoch_us(AS_OF - timedelta(days=28))
    assert contacts.n_sent == 17
    assert (contacts.n_sends(None, since), contacts.n_sends(Channel.SMS, since)) == (2, 1)
    assert contacts.n_left(Channel.SMS) == contacts.n_left() == 1


@pytest.mark.parametrize("customer", ["", "who", "anna "])
def test_nobody_knows_a_stranger(desk: Desk, customer: str) -> None:
    contacts = desk.contacts.contacts(customer, NOTHING.live)
    assert (contacts.n_sent, contacts.sends) == (0, ())
    assert judged(desk, customer, Channel.EMAIL).tier is Tier.UNTESTED
    assert desk.contacts.trust(contacts, NOTHING.live, 0) == pytest.approx(0.5)


def test_an_event_that_the_bundle_holds_is_not_counted_again(build: Build) -> None:
    log_until_us = epoch_us(after(-1))
    reader = build(log_until_us=log_until_us).contacts
    held = known(event("send", hours=-30, channel="email"))
    late = known(event("send", hours=-30, accepted=1, channel="email"))
    assert reader.contacts("anna", held.live).n_sent == 16
    assert reader.contacts("anna", late.live).n_sent == 17


def test_customers_who_are_one_have_all_messages_of_both(desk: Desk) -> None:
    both = desk.contacts.contacts("anna", Live("anna", also=("cleo",)))
    assert (both.n_sent, both.n_answered) == (16 + 40, 10)
    assert len(both.sends) == 3 + 14
    assert list(both.sends) == sorted(both.sends, key=lambda each: each.at_us)


def test_of_one_who_was_forgotten_only_what_came_after_counts(desk: Desk) -> None:
    events = (event("send", hours=1.0, channel="email"), event("send", hours=5.0, channel="email"))
    live = Live("anna", events=events, is_erased=True, erased_us=epoch_us(after(2)))
    assert desk.contacts.contacts("anna", live).n_sent == 1


def test_a_message_of_this_morning_reaches_the_cap_of_the_day(desk: Desk) -> None:
    told = known(event("send", hours=8.0, channel="push"))
    quiet_day = [judged(desk, "fay", channel).is_capped for channel in CHANNELS]
    assert quiet_day == [False] * 6
    assert [judged(desk, "fay", channel, told).is_capped for channel in CHANNELS] == [
        False
    ] * 6  # two a day: she answers
    twice = known(*(event("send", hours=hours, channel="push") for hours in (8.0, 9.0)))
    by_channel = {channel: judged(desk, "fay", channel, twice).is_capped for channel in CHANNELS}
    assert [channel for channel in CHANNELS if by_channel[channel]] == ["email", "sms", "push"]


def test_showings_of_an_offer_reach_its_cap_on_pages_only(desk: Desk) -> None:
    told = known(*(event("impression", hours=1.0 + i / 10, channel="web", offer_id="brie-off") for i in range(10)))
    assert judged(desk, "fay", Channel.WEB, told).is_offer_capped("brie-off")
    assert not judged(desk, "fay", Channel.WEB, told).is_offer_capped("coffee-off")
    assert not judged(desk, "fay", Channel.EMAIL, told).is_offer_capped("brie-off")


def test_messages_about_an_offer_that_the_bundle_knows_of_count(desk: Desk) -> None:
    assert judged(desk, "emil", Channel.EMAIL).is_offer_capped("wine-off")  # sent 5 and 12 days ago
    assert not judged(desk, "anna", Channel.EMAIL).is_offer_capped("dairy-off")  # once, 9 days ago


def test_at_night_nothing_is_sent_and_pages_stay_open(desk: Desk) -> None:
    night = {channel: judged(desk, "fay", channel, at=after(22)).is_quiet for channel in CHANNELS}
    assert [channel for channel in CHANNELS if night[channel]] == ["sms", "push"]
    assert not any(judged(desk, "fay", channel).is_quiet for channel in CHANNELS)


def test_a_message_costs_more_the_more_the_customer_is_worth_and_the_less_they_answer(desk: Desk) -> None:
    tired, fresh = judged(desk, "cleo", Channel.EMAIL), judged(desk, "dora", Channel.EMAIL)
    assert tired.fatigue_cost / desk.bundle.customers.value[desk.shoppers.row("cleo", NOTHING.live)] > (
        fresh.fatigue_cost / desk.bundle.customers.value[desk.shoppers.row("dora", NOTHING.live)]
    )
    assert judged(desk, "cleo", Channel.WEB).fatigue_cost == 0.0
    one_more = known(event("send", hours=11.0, channel="email"))
    assert judged(desk, "dora", Channel.EMAIL, one_more).fatigue_cost > fresh.fatigue_cost


def test_a_stranger_is_worth_what_the_mean_customer_is(desk: Desk) -> None:
    fatigue, mean = desk.contacts.fatigue, float(desk.bundle.customers.value.mean(dtype=np.float64))
    expected = fatigue.chance_to_leave(
        desk.contacts.contacts("who", NOTHING.live), Channel.EMAIL, epoch_us(NOON)
    ) * fatigue.channel_worth(Channel.EMAIL, mean)
    assert judged(desk, "who", Channel.EMAIL).fatigue_cost == pytest.approx(expected)


def test_margins_are_those_of_what_the_shop_sells(desk: Desk) -> None:
    price, margin = desk.bundle.products.price, desk.bundle.products.margin
    known_both = np.isfinite(price) & np.isfinite(margin)
    rate = float(margin[known_both].sum() / price[known_both].sum())
    policy = desk.bundle.policy.fatigue
    worth = desk.contacts.fatigue.channel_worth(Channel.EMAIL, 84.0)
    assert worth == pytest.approx(policy.lost_days * rate * policy.share_email, rel=1e-6)


def test_a_shop_without_margins_goes_by_the_policys_rate(tmp_path: Path) -> None:
    contents = tiny_contents({"margin.rate_where_unknown": 0.5})
    products = replace(contents.products, margin=np.full_like(contents.products.margin, np.nan))
    bundle = open_bundle(tmp_path / write_bundle(replace(contents, products=products), tmp_path))
    policy = bundle.policy.fatigue
    worth = Desk(bundle, applies_rules=True).contacts.fatigue.channel_worth(Channel.SMS, 84.0)
    assert worth == pytest.approx(policy.lost_days * 0.5 * policy.share_sms)


def test_trust_knows_the_challenges_that_were_tried(desk: Desk) -> None:
    done, missed, running = Tried(100, 50), Tried(100, None), Tried(10_000, None)
    contacts = desk.contacts.contacts("who", NOTHING.live)
    trusts = [
        desk.contacts.trust(contacts, Live("who", tried=tried), 200) for tried in ((done,), (running,), (missed,))
    ]
    assert trusts[0] > trusts[1] > trusts[2]
    assert trusts[1] == pytest.approx(0.5)


def test_in_a_source_without_returns_nothing_is_known_of_them(tmp_path: Path) -> None:
    contents = tiny_contents()
    contacts = replace(contents.contacts, return_share=np.zeros_like(contents.contacts.return_share))
    bundle = open_bundle(tmp_path / write_bundle(replace(contents, contacts=contacts), tmp_path))
    reader = Desk(bundle, applies_rules=True).contacts
    assert reader.trust(reader.contacts("dora", NOTHING.live), NOTHING.live, 0) == pytest.approx(0.5)


def test_challenges_count_as_they_stood_at_a_moment() -> None:
    live = Live("who", tried=(Tried(100, 50), Tried(200, None), Tried(300, 250)))
    found = [live.challenges_at(at_us) for at_us in (50, 51, 100, 200, 250, 251)]
    assert found == [(0, 0), (1, 0), (1, 0), (1, 1), (1, 1), (2, 1)]
    assert replace(live, erased_us=100).challenges_at(251) == (1, 1)


@pytest.mark.parametrize("customer", ["anna", "cleo", "emil", "fay", "dora"])
@pytest.mark.parametrize("kinds", [(), ("send",) * 3, ("open",), ("send", "open", "send")])
def test_scores_tell_the_tier_that_caps_go_by(tiny_bundle: Bundle, customer: str, kinds: tuple[str, ...]) -> None:
    told = known(*(event(kind, hours=i + 1.0, channel="email") for i, kind in enumerate(kinds)))
    engine, desk = Engine(tiny_bundle), Desk(tiny_bundle, applies_rules=True)
    answer = engine.scores(ScoresRequest(customer_ids=[customer]), NOON, "", {customer: told})
    assert answer["scores"][0]["engagement_tier"] == judged(desk, customer, Channel.EMAIL, told).tier


def test_without_consent_no_tier_is_told(tiny_bundle: Bundle) -> None:
    answer = Engine(tiny_bundle).scores(ScoresRequest(customer_ids=["ben", "who"]), NOON, "")
    assert [score["engagement_tier"] for score in answer["scores"]] == [None, None]


def test_a_bundle_that_names_other_tiers_says_nothing_by_them(tmp_path: Path) -> None:
    contents = replace(tiny_contents(), tiers=StringTable.of(["Platinum"]))
    bundle = open_bundle(tmp_path / write_bundle(contents, tmp_path))
    contacts: ContactDesk = Desk(bundle, applies_rules=True).contacts
    assert contacts.tier("dora", NOTHING.live) is Tier.UNTESTED


def test_the_next_allowed_moment_is_by_the_customers_clock(desk: Desk) -> None:
    assert desk.contacts.quiet.next_allowed(Channel.SMS, after(22), NEW_YORK) == datetime(2018, 1, 2, 13, tzinfo=UTC)
