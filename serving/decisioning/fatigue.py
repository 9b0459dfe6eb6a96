"""Fatigue: whether one more message is allowed, and what it costs, as it may make the customer leave the channel.

The cost is the chance to leave × what the channel is worth to the shop (docs/fatigue.md has the reasons and sources).
The chance begins with the shop's own rate of leaving per message sent on that channel, drawn to the policy's prior; it
rises with what was sent lately (each message fading by half with every half-life) and with how little the customer's
tier answers. More messages never lower it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from serving.channels import MESSAGE_CHANNELS, Channel
from serving.decisioning.contact import DAY_US, Contacts
from serving.decisioning.policy_contact import CapsByTier, CapsPolicy, FatiguePolicy
from serving.tier import Tier, TierCuts, tier_of

VALUE_DAYS = 84
"""The days that a customer's lifetime value in the bundle spans."""

_WEEK_US = 7 * DAY_US
_FOUR_WEEKS_US = 28 * DAY_US


@dataclass(frozen=True)
class Observed:
    """What a shop has seen: how often each channel was left and how many messages went there, and cuts of tiers.

    `margin_rate` is the share of spend that is margin, `mean_value` what the mean customer spends in 84 days, money.
    """

    leaving: Mapping[str, tuple[int, int]]
    cuts: TierCuts
    margin_rate: float
    mean_value: float


class Fatigue:
    """The caps and the cost of messages, by the policy and what the shop has seen."""

    def __init__(self, policy: FatiguePolicy, caps: CapsPolicy, observed: Observed) -> None:
        self._policy = policy
        self._caps = caps
        self._observed = observed
        self._base = {channel: self._leaving_rate(channel) for channel in MESSAGE_CHANNELS}
        margin_share = observed.margin_rate * policy.lost_days / VALUE_DAYS
        shares = {Channel.EMAIL: policy.share_email, Channel.SMS: policy.share_sms, Channel.PUSH: policy.share_push}
        self._worth_rate = {channel: margin_share * share for channel, share in shares.items()}
        self._message_caps: dict[Channel, tuple[tuple[CapsByTier, int], ...]] = {
            channel: (
                (getattr(caps, f"{channel}_day"), DAY_US),
                (getattr(caps, f"{channel}_week"), _WEEK_US),
            )
            for channel in MESSAGE_CHANNELS
        }

    def tier(self, contacts: Contacts) -> Tier:
        """Return how the customer takes messages; in a shop that had sent nothing, by visits until that says more."""
        return self.tier_of(contacts.n_sent, contacts.n_answered, contacts.past_tier)

    def tier_of(self, n_sent: int, n_answered: int, past_tier: Tier | None) -> Tier:
        """Return the same of one whose messages and answers were counted; `past_tier` is the bundle's own label."""
        tier = tier_of(n_sent, n_answered, self._observed.cuts)
        return past_tier if tier is Tier.UNTESTED and past_tier is not None else tier

    def chance_to_leave(self, contacts: Contacts, channel: Channel, at_us: int) -> float:
        """Return the chance, 0 to 1, that one more message now makes the customer leave the channel; 0 on a page."""
        if channel not in self._base:
            return 0.0
        factor = self._policy.tier_factor.of(self.tier(contacts))
        return min(
            self._base[channel] * factor * (1.0 + self._policy.load_factor * self.load(contacts, channel, at_us)), 1.0
        )

    def load(self, contacts: Contacts, channel: Channel, at_us: int) -> float:
        """Return what was sent lately, in messages of full weight: sent now, on this channel and without an answer."""
        policy = self._policy
        half_life_us = policy.half_life_days * DAY_US
        return math.fsum(
            (1.0 if sent.channel is channel else policy.other_channel_share)
            * (policy.answered_share if sent.is_answered else 1.0)
            * math.exp2(-max(at_us - sent.at_us, 0) / half_life_us)
            for sent in contacts.sends
        )

    def channel_worth(self, channel: Channel, value: float | None) -> float:
        """Return what a customer's channel is worth to the shop, money, never below 0; 0 for a page.

        `value` is what they are expected to spend in 84 days; None or not finite: the mean customer's.
        """
        known = self._observed.mean_value if value is None or not math.isfinite(value) else value
        return max(known, 0.0) * self._worth_rate.get(channel, 0.0)

    def cost(self, contacts: Contacts, channel: Channel, at_us: int, channel_worth: float) -> float:
        """Return what one more message now is expected to cost the shop, money: chance to leave × worth."""
        return self.chance_to_leave(contacts, channel, at_us) * max(channel_worth, 0.0)

    def cap_reached(self, contacts: Contacts, channel: Channel, at_us: int) -> bool:
        """Return whether no more message may be sent on the channel now, whatever it is about; never so on a page."""
        if channel not in self._message_caps:
            return False
        tier = self.tier(contacts)
        own = any(contacts.n_sends(channel, at_us - us) >= cap.of(tier) for cap, us in self._message_caps[channel])
        across = ((self._caps.all_day, DAY_US), (self._caps.all_week, _WEEK_US))
        return own or any(contacts.n_sends(None, at_us - us) >= cap.of(tier) for cap, us in across)

    def offer_cap_reached(self, contacts: Contacts, offer_id: str, channel: Channel, at_us: int) -> bool:
        """Return whether an offer was sent, or (on a page) shown, as often as the policy allows."""
        caps = self._caps
        if channel.is_message:
            sends = ((caps.offer_sends_week, _WEEK_US), (caps.offer_sends_4w, _FOUR_WEEKS_US))
            return any(contacts.n_sends_of(offer_id, at_us - us) >= cap for cap, us in sends)
        tier = self.tier(contacts)
        showings = ((caps.offer_showings_day, DAY_US), (caps.offer_showings_week, _WEEK_US))
        return any(contacts.n_showings_of(offer_id, at_us - us) >= cap.of(tier) for cap, us in showings)

    def _leaving_rate(self, channel: Channel) -> float:
        """Return how often a message on the channel made somebody leave, drawn to the policy's prior; 0 to 1."""
        n_left, n_sent = self._observed.leaving.get(channel.value, (0, 0))
        weight = self._policy.prior_messages
        prior: float = getattr(self._policy, f"prior_{channel}")
        return min((n_left + weight * prior) / (n_sent + weight), 1.0)
