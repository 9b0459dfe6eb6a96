"""How customers of one open bundle can be reached: their contacts, and what one more on a channel would mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

import numpy as np

from serving.bundle import Bundle
from serving.bundle_columns import F32
from serving.bundle_offers import NO_CHANNEL, NO_OFFER
from serving.channels import CHANNELS, Channel
from serving.decisioning.contact import NO_PAST, Contacts, Past, Sent, contacts_of
from serving.decisioning.fatigue import Fatigue, Observed
from serving.decisioning.quiet import QuietHours
from serving.decisioning.trust import trust
from serving.live import Shoppers, epoch_us
from serving.live_events import events_since
from serving.shelf import floats, ints
from serving.state.known import Live
from serving.tier import Tier

_N = len(CHANNELS)


@dataclass(frozen=True, slots=True)
class NextContact:
    """What one more message on a channel now, or one more showing on a page, would mean for one customer.

    `fatigue_cost` is money, 0 on a page. `is_capped` is about messages whatever they say; `is_offer_capped` about one
    offer, sent or shown.
    """

    contacts: Contacts
    channel: Channel
    at_us: int
    tier: Tier
    is_quiet: bool
    is_capped: bool
    fatigue_cost: float
    fatigue: Fatigue

    def is_offer_capped(self, offer_id: str) -> bool:
        """Return whether an offer was sent, or (on a page) shown, as often as the policy allows."""
        return self.fatigue.offer_cap_reached(self.contacts, offer_id, self.channel, self.at_us)


class ContactDesk:
    """Reads what a bundle knows of messages, and judges one more by its policy."""

    def __init__(self, bundle: Bundle, shoppers: Shoppers) -> None:
        self._shoppers = shoppers
        policy, numbers = bundle.policy, bundle.numbers
        self._value = floats(bundle.customers.value)
        observed = Observed(
            numbers.leaving,
            numbers.tiers,
            _margin_rate(bundle, policy.margin.rate_where_unknown),
            _mean(bundle.customers.value),
        )
        self.fatigue = Fatigue(policy.fatigue, policy.caps, observed)
        self.quiet = QuietHours(policy.quiet_hours)
        self._trust = policy.trust
        self._as_of_us = epoch_us(bundle.manifest.as_of)
        self._log_until_us = bundle.manifest.log_until_us
        contacts, sends = bundle.contacts, bundle.sends
        self._n_sent, self._n_answered = ints(contacts.n_sent), ints(contacts.n_answered)
        self._left, self._redeemed = ints(contacts.left), ints(contacts.redeemed)
        self._return_share = floats(contacts.return_share)
        # Where nobody ever gave anything back, the source has no returns: nothing is known of anybody's.
        has_returns = bool((contacts.return_share > 0.0).any())
        self._n_baskets = ints(bundle.customers.n_baskets if has_returns else np.zeros_like(bundle.customers.n_baskets))
        self._sends = (ints(sends.offsets), ints(sends.at_us), ints(sends.channel), ints(sends.offer))
        self._is_answered = ints(sends.is_answered)
        self._offer_ids = list(bundle.offers.id)
        named = {tier.value: tier for tier in Tier}
        self._tiers = [named.get(name.lower()) for name in bundle.tiers]
        self._tier = ints(bundle.customers.tier)

    def contacts(self, customer_id: str, live: Live) -> Contacts:
        """Return a customer's contacts, by all of their ids: what the bundle knows, and what happened since."""
        rows = self._shoppers.rows(customer_id, live)
        past = self._past(rows) if rows else NO_PAST
        return contacts_of(past, events_since(live, self._as_of_us, self._log_until_us))

    def tier(self, customer_id: str, live: Live) -> Tier:
        """Return the customer's engagement tier, as `contacts` has it."""
        if events_since(live, self._as_of_us, self._log_until_us):
            return self.fatigue.tier(self.contacts(customer_id, live))
        rows = self._shoppers.rows(customer_id, live)
        if not rows:
            return self.fatigue.tier_of(NO_PAST.sent, NO_PAST.answered, NO_PAST.tier)
        n_sent, n_answered = (sum(each[row] for row in rows) for each in (self._n_sent, self._n_answered))
        return self.fatigue.tier_of(n_sent, n_answered, self._past_tier(rows))

    def tier_of_row(self, row: int) -> Tier:
        """Return the tier of a customer of the bundle who was sent nothing since, and answered nothing."""
        return self.fatigue.tier_of(self._n_sent[row], self._n_answered[row], self._past_tier([row]))

    def trust(self, contacts: Contacts, live: Live, at_us: int) -> float:
        """Return how past messages, returns and challenges went, 0 to 1; 0.5 where nothing is known."""
        n_completed, n_missed = live.challenges_at(at_us)
        return trust(contacts, n_completed, n_missed, self._trust)

    def next_contact(
        self, contacts: Contacts, channel: Channel, at: datetime, zone: tzinfo, *, row: int
    ) -> NextContact:
        """Return what one more on the channel would mean; `zone` is their clock's, `row` speaks for them (-1: none)."""
        at_us = epoch_us(at)
        fatigue = self.fatigue
        worth = fatigue.channel_worth(channel, self._value[row] if row >= 0 else None)
        return NextContact(
            contacts,
            channel,
            at_us,
            fatigue.tier(contacts),
            is_quiet=self.quiet.is_quiet(channel, at, zone),
            is_capped=fatigue.cap_reached(contacts, channel, at_us),
            fatigue_cost=fatigue.cost(contacts, channel, at_us, worth),
            fatigue=fatigue,
        )

    def _past(self, rows: Sequence[int]) -> Past:
        """Return what the bundle knows of a customer with these rows, the one that speaks for them first."""
        sends = [sent for row in rows for sent in self._sends_of(row)]
        return Past(
            sum(self._n_sent[row] for row in rows),
            sum(self._n_answered[row] for row in rows),
            tuple(sum(self._left[row * _N + i] for row in rows) for i in range(_N)),
            sum(self._redeemed[row] for row in rows),
            self._return_share[rows[0]],
            self._n_baskets[rows[0]],
            tuple(sends),
            self._past_tier(rows),
        )

    def _past_tier(self, rows: Sequence[int]) -> Tier | None:
        tier = self._tier[rows[0]]
        return self._tiers[tier] if tier >= 0 else None

    def _sends_of(self, row: int) -> Iterator[Sent]:
        offsets, at_us, channel, offer = self._sends
        for e in range(offsets[row], offsets[row + 1]):
            yield Sent(
                at_us[e],
                None if channel[e] == NO_CHANNEL else CHANNELS[channel[e]],
                () if offer[e] == NO_OFFER else (self._offer_ids[offer[e]],),
                bool(self._is_answered[e]),
            )


def _mean(values: F32) -> float:
    """Return the mean of those that are known; 0 where none is."""
    known = values[np.isfinite(values)]
    return float(known.mean(dtype=np.float64)) if len(known) else 0.0


def _margin_rate(bundle: Bundle, where_unknown: float) -> float:
    """Return the margin ÷ price over all products of which both are known, held to 0 to 1."""
    price, margin = bundle.products.price, bundle.products.margin
    is_known = np.isfinite(price) & np.isfinite(margin)
    sold = float(price[is_known].sum(dtype=np.float64))
    if sold <= 0.0:
        return where_unknown
    return min(max(float(margin[is_known].sum(dtype=np.float64)) / sold, 0.0), 1.0)
