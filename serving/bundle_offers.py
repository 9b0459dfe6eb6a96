"""The part of a bundle about offers: what they are, who answers them, and what was sent to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from serving.bundle_columns import (
    F32,
    I8,
    I32,
    I64,
    U8,
    Column,
    chance_column,
    count_column,
    number_column,
    offsets_column,
    row_column,
    share_column,
)
from serving.channels import CHANNELS, Channel
from serving.shares import Shares
from serving.strings import StringTable

OPEN_START_US, OPEN_END_US = int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max)
"""When an offer began that names no start, and when one ends that names no end."""

ALL_CHANNELS = (1 << len(CHANNELS)) - 1
"""`offers.channels` of an offer that is for every channel."""

NO_OFFER = -1
"""`sends.offer` of a message that was about no offer."""

NO_CHANNEL = -1
"""`sends.channel` of a message of which the source doesn't say where it went."""

SENDS_DAYS = 28
"""How many days before the as-of `sends` goes back."""


def channel_bit(channel: Channel) -> int:
    """Return the bit of a channel in `offers.channels`.

    Examples
    --------
    >>> channel_bit(Channel.STORE), channel_bit(Channel.EMAIL)
    (1, 8)
    """
    return 1 << CHANNELS.index(channel)


@dataclass(frozen=True)
class Offers:
    """One entry an offer that has not ended, in the order of their ids' hashes; those that begin later are there.

    `value` is what the customer gets when they redeem it and `cost` what that costs the shop, money, NaN where nobody
    knows; `budget` is money, NaN where there is none; `starts_us` and `ends_us` are epoch microseconds. `channels` has
    the `channel_bit` of each channel that it is for. `chance` is that of anybody to redeem it, given that they get it.
    """

    id: Annotated[StringTable, Column("str", "offers")]
    kind: Annotated[StringTable, Column("str", "offers")]
    value: Annotated[F32, number_column("offers", unknown=True, low=0)]
    cost: Annotated[F32, number_column("offers", unknown=True, low=0)]
    budget: Annotated[F32, number_column("offers", unknown=True, low=0)]
    starts_us: Annotated[I64, Column("<i8", "offers")]
    ends_us: Annotated[I64, Column("<i8", "offers")]
    channels: Annotated[U8, Column("|u1", "offers", low=0, high=ALL_CHANNELS)]
    chance: Annotated[F32, share_column("offers")]


@dataclass(frozen=True)
class OfferProducts:
    """The recommendable products that each offer is for, ascending; an offer for nothing in particular has none."""

    offsets: Annotated[I64, offsets_column("offers")]
    product: Annotated[I32, row_column("offer_products", "products")]


@dataclass(frozen=True)
class ProductOffers:
    """The same by product: the offers that are for it, ascending."""

    offsets: Annotated[I64, offsets_column("products")]
    offer: Annotated[I32, row_column("product_offers", "offers")]


@dataclass(frozen=True)
class Responses:
    """Chances that each customer redeems an offer, given that they get it; offers ascending within each customer."""

    offsets: Annotated[I64, offsets_column("customers")]
    offer: Annotated[I32, row_column("response", "offers")]
    p: Annotated[Shares, chance_column("response")]


@dataclass(frozen=True)
class Redeemed:
    """The offers that each customer has redeemed, ascending."""

    offsets: Annotated[I64, offsets_column("customers")]
    offer: Annotated[I32, row_column("redeemed", "offers")]


@dataclass(frozen=True)
class Sends:
    """The messages sent to each customer in the `SENDS_DAYS` before the as-of, in order of time.

    `channel` is a place in `CHANNELS`, or `NO_CHANNEL`; `offer` a row, or `NO_OFFER` (also for one that has ended).
    `is_answered`: 1 where they opened, clicked or redeemed something afterwards, on its channel or of its offer.
    """

    offsets: Annotated[I64, offsets_column("customers")]
    channel: Annotated[I8, Column("|i1", "sends", low=NO_CHANNEL, high=len(CHANNELS) - 1)]
    at_us: Annotated[I64, Column("<i8", "sends")]
    offer: Annotated[I32, row_column("sends", "offers", unknown=True)]
    is_answered: Annotated[U8, Column("|u1", "sends", low=0, high=1)]


@dataclass(frozen=True)
class Contacts:
    """What was sent to each customer and what came of it, all time before the as-of; columns by `CHANNELS`.

    `answered` counts opens, clicks and redemptions; `left` unsubscribing and blocking. `n_sent`, `n_answered` and
    `redeemed` (redemptions) are those on any channel or none. `return_share` is pieces returned ÷ pieces bought;
    `discount_share` is discount ÷ (amount + discount) of 26 weeks; `discounted_lines` the share of their lines bought
    at a discount.
    """

    sent: Annotated[I32, Column("<i4", "customers", width=len(CHANNELS), low=0)]
    answered: Annotated[I32, Column("<i4", "customers", width=len(CHANNELS), low=0)]
    left: Annotated[I32, Column("<i4", "customers", width=len(CHANNELS), low=0)]
    n_sent: Annotated[I32, count_column("<i4", "customers")]
    n_answered: Annotated[I32, count_column("<i4", "customers")]
    redeemed: Annotated[I32, count_column("<i4", "customers")]
    return_share: Annotated[F32, share_column("customers")]
    discount_share: Annotated[F32, share_column("customers")]
    discounted_lines: Annotated[F32, share_column("customers")]
