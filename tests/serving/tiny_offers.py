"""The offers of the hand-made shop (tests/serving/tiny.py), and what was sent to its customers.

Times are days from the bundle's as-of. `anna` answers e-mail, `cleo` never does, `emil` has left SMS, `fay` has
redeemed `dairy-off`, and nothing is known of `dora`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from serving import bundle_offers as fmt
from serving.bundle_columns import I64
from serving.channels import CHANNELS, Channel
from serving.shares import Shares
from serving.strings import StringTable

NAN = float("nan")
AS_OF_US = 1_514_782_800_000_000  # 2018-01-01T05:00Z, tiny.AS_OF
DAY_US = 86_400_000_000
PLACES = (Channel.STORE, Channel.WEB, Channel.APP)


@dataclass(frozen=True)
class TinyOffer:
    """An offer of the tiny shop; `cost` is its value and `channels` are all unless said otherwise."""

    products: tuple[str, ...]
    value: float = 1.0
    cost: float | None = None
    budget: float = NAN
    starts: float = -3.0
    ends: float = 11.0
    channels: Sequence[Channel] = CHANNELS
    chance: float = 0.1
    kind: str = "discount"


OFFERS: dict[str, TinyOffer] = {
    "coffee-off": TinyOffer(("coffee-1", "coffee-2"), value=2.0, cost=1.5, budget=100.0),
    "dairy-off": TinyOffer(("milk-1", "milk-2", "yogurt-1"), starts=-10.0, ends=20.0, chance=0.2),
    "brie-off": TinyOffer(("brie-1",), value=3.0, cost=2.0, budget=5.0),
    "bread-today": TinyOffer(("bread-1", "bread-2"), value=0.5, ends=0.5),
    "salad-mail": TinyOffer(("salad-1",), channels=(Channel.EMAIL, Channel.PUSH)),
    "banana-next-week": TinyOffer(("banana-1",), value=0.3, starts=7.0, ends=14.0),
    "free-delivery": TinyOffer((), value=4.0, channels=(Channel.WEB, Channel.APP), kind="free_shipping", chance=0.05),
    "gone-off": TinyOffer(("gone-1",), value=2.0),
    "wine-off": TinyOffer(("wine-1", "wine-2"), value=2.0, budget=20.0),
    "points": TinyOffer(("crisps-1", "crisps-2"), value=NAN, kind="points"),
}
# customer: chances that differ from the offer's own
RESPONSES: dict[str, dict[str, float]] = {
    "anna": {"coffee-off": 0.4, "dairy-off": 0.6, "brie-off": 0.3, "bread-today": 0.5, "salad-mail": 0.2},
    "cleo": {"dairy-off": 0.02, "coffee-off": 0.01},
    "emil": {"wine-off": 0.7, "bread-today": 0.3},
    "fay": {"coffee-off": 0.25, "dairy-off": 0.5},
}
NO_RESPONSE = ("dora",)
REDEEMED: dict[str, tuple[str, ...]] = {"fay": ("dairy-off",)}
# customer: (channel or None, days before as_of, offer or "")
SENDS: dict[str, list[tuple[Channel | None, float, str]]] = {
    "anna": [(Channel.EMAIL, 20.0, ""), (Channel.EMAIL, 9.0, "dairy-off"), (Channel.PUSH, 2.0, "")],
    "cleo": [(Channel.EMAIL, float(day), "") for day in range(27, 0, -2)],
    "emil": [(None, 12.0, "wine-off"), (Channel.SMS, 5.0, "wine-off")],
}
ANSWERED_DAYS = (20.0, 9.0)
"""Days of the messages in `SENDS` that were answered: anna's e-mails."""

# customer: (sent, answered, left) by channel, all time
CONTACTS: dict[str, dict[Channel, tuple[int, int, int]]] = {
    "anna": {Channel.EMAIL: (12, 9, 0), Channel.PUSH: (4, 1, 0)},
    "cleo": {Channel.EMAIL: (40, 0, 0)},
    "emil": {Channel.EMAIL: (10, 2, 0), Channel.SMS: (6, 0, 1)},
    "fay": {Channel.EMAIL: (8, 4, 0)},
}
# customer: (redemptions, return share, discount share, discounted lines)
HABITS_OF_DISCOUNT: dict[str, tuple[int, float, float, float]] = {
    "anna": (3, 0.0, 0.05, 0.10),
    "cleo": (0, 0.5, 0.0, 0.0),
    "emil": (1, 0.0, 0.30, 0.95),
    "fay": (5, 0.1, 0.10, 0.2),
}
WITHOUT_CHANNEL: dict[str, tuple[int, int]] = {"emil": (1, 0)}
"""Messages, and answers, of which nobody says where: they come on top of `CONTACTS`."""

LEAVING: dict[str, tuple[int, int]] = {
    Channel.STORE: (0, 0),
    Channel.WEB: (0, 0),
    Channel.APP: (0, 0),
    Channel.EMAIL: (4, 2000),
    Channel.SMS: (10, 1000),
    Channel.PUSH: (2, 1000),
}


class _Ids(Protocol):
    @property
    def ids(self) -> Sequence[str]: ...


class _Rows(Protocol):
    """What is read of `tiny.Rows`."""

    @property
    def customers(self) -> _Ids: ...

    @property
    def products(self) -> _Ids: ...

    def product(self, product_id: str) -> int: ...


def offer_groups(
    rows: _Rows,
    offers: Mapping[str, TinyOffer] | None = None,
    responses: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """Return every group of the bundle about offers; without `offers` those of this file."""
    known = OFFERS if offers is None else offers
    places = {offer_id: place for place, offer_id in enumerate(known)}
    chances = RESPONSES if responses is None else responses
    return {
        **_offers(rows, known),
        "response": _responses(rows, known, chances),
        "redeemed": _redeemed(rows, places),
        "sends": _sends(rows, places),
        "contacts": _contacts(rows),
    }


def no_offers(rows: _Rows) -> dict[str, Any]:
    """Return the same groups of a shop without offers; what was sent stays."""
    return offer_groups(rows, offers={})


def _offers(rows: _Rows, offers: Mapping[str, TinyOffer]) -> dict[str, Any]:
    known = list(offers.values())
    by_offer = [sorted(rows.product(each) for each in offer.products) for offer in known]
    by_product: list[list[int]] = [[] for _ in rows.products.ids]
    for place, products in enumerate(by_offer):
        for product in products:
            by_product[product].append(place)
    offer_offsets, products = _ragged(by_offer)
    product_offsets, owners = _ragged(by_product)
    bits = [sum(fmt.channel_bit(channel) for channel in each.channels) for each in known]
    return {
        "offers": fmt.Offers(
            id=StringTable.of(offers),
            kind=StringTable.of(each.kind for each in known),
            value=np.array([each.value for each in known], dtype="<f4"),
            cost=np.array([each.value if each.cost is None else each.cost for each in known], dtype="<f4"),
            budget=np.array([each.budget for each in known], dtype="<f4"),
            starts_us=np.array([AS_OF_US + int(each.starts * DAY_US) for each in known], dtype="<i8"),
            ends_us=np.array([AS_OF_US + int(each.ends * DAY_US) for each in known], dtype="<i8"),
            channels=np.array(bits, dtype="|u1"),
            chance=np.array([each.chance for each in known], dtype="<f4"),
        ),
        "offer_products": fmt.OfferProducts(offer_offsets, np.array(products, dtype="<i4")),
        "product_offers": fmt.ProductOffers(product_offsets, np.array(owners, dtype="<i4")),
    }


def _responses(
    rows: _Rows, offers: Mapping[str, TinyOffer], chances: Mapping[str, Mapping[str, float]]
) -> fmt.Responses:
    by_customer: list[list[tuple[int, float]]] = []
    for customer in rows.customers.ids:
        own = chances.get(customer, {})
        known = [(place, own.get(name, each.chance)) for place, (name, each) in enumerate(offers.items())]
        by_customer.append([] if customer in NO_RESPONSE else known)
    offsets, flat = _ragged(by_customer)
    offer = np.array([each[0] for each in flat], dtype="<i4")
    return fmt.Responses(offsets, offer, Shares.of([each[1] for each in flat]))


def _redeemed(rows: _Rows, places: Mapping[str, int]) -> fmt.Redeemed:
    by_customer = [
        sorted(places[each] for each in REDEEMED.get(customer, ()) if each in places) for customer in rows.customers.ids
    ]
    offsets, flat = _ragged(by_customer)
    return fmt.Redeemed(offsets, np.array(flat, dtype="<i4"))


def _sends(rows: _Rows, places: Mapping[str, int]) -> fmt.Sends:
    offsets, flat = _ragged([SENDS.get(customer, []) for customer in rows.customers.ids])
    channels = [fmt.NO_CHANNEL if channel is None else CHANNELS.index(channel) for channel, _, _ in flat]
    return fmt.Sends(
        offsets,
        np.array(channels, dtype="|i1"),
        np.array([AS_OF_US - int(days * DAY_US) for _, days, _ in flat], dtype="<i8"),
        np.array([places.get(offer, fmt.NO_OFFER) for _, _, offer in flat], dtype="<i4"),
        np.array([days in ANSWERED_DAYS for _, days, _ in flat], dtype="|u1"),
    )


def _contacts(rows: _Rows) -> fmt.Contacts:
    counts = np.zeros((len(rows.customers.ids), len(CHANNELS), 3), dtype="<i4")
    for row, customer in enumerate(rows.customers.ids):
        for channel, told in CONTACTS.get(customer, {}).items():
            counts[row, CHANNELS.index(channel)] = told
    elsewhere = np.array([WITHOUT_CHANNEL.get(customer, (0, 0)) for customer in rows.customers.ids], dtype="<i4")
    of_discount = [HABITS_OF_DISCOUNT.get(customer, (0, 0.0, 0.0, 0.0)) for customer in rows.customers.ids]
    return fmt.Contacts(
        sent=counts[:, :, 0],
        answered=counts[:, :, 1],
        left=counts[:, :, 2],
        n_sent=counts[:, :, 0].sum(axis=1, dtype="<i4") + elsewhere[:, 0],
        n_answered=counts[:, :, 1].sum(axis=1, dtype="<i4") + elsewhere[:, 1],
        redeemed=np.array([each[0] for each in of_discount], dtype="<i4"),
        return_share=np.array([each[1] for each in of_discount], dtype="<f4"),
        discount_share=np.array([each[2] for each in of_discount], dtype="<f4"),
        discounted_lines=np.array([each[3] for each in of_discount], dtype="<f4"),
    )


def _ragged(lists: Sequence[Sequence[Any]]) -> tuple[I64, list[Any]]:
    offsets = np.zeros(len(lists) + 1, dtype=np.int64)
    np.cumsum([len(each) for each in lists], out=offsets[1:])
    return offsets, [entry for each in lists for entry in each]
