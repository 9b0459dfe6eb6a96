"""Drawing what large bundles share, from a seed: customers with their scores, messages, and offers for them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from features.ids import hash_ids
from serving import bundle_format as fmt
from serving import bundle_offers as offers_fmt
from serving.channels import CHANNELS, Channel
from serving.shares import Shares
from serving.strings import StringTable
from tests.serving.tiny_offers import AS_OF_US, DAY_US

SEGMENTS, TIERS = ("Weekly", "Now and then", "New"), ("high", "medium", "low", "silent")
LABELS = {
    "segments": StringTable.of(SEGMENTS),
    "tiers": StringTable.of(TIERS),
    "channels": StringTable.of(["app", "email", "push", "sms", "store", "web"]),
}
_STORE_TEXTS = ("id", "time_zone")

Rng = np.random.Generator


def customers_of(rng: Rng, n: int) -> fmt.Customers:
    """Return n customers of one store, who agreed to personalised answers and said nothing of messages."""
    ids = [f"c{i:07d}" for i in range(n)]
    hashes = hash_ids(ids)
    order = np.argsort(hashes, kind="stable")
    consent = np.full((n, 6), fmt.CONSENT_UNKNOWN, dtype="|u1")
    consent[:, 0] = fmt.CONSENT_YES
    share = rng.uniform(0.05, 0.9, n).astype("<f4")
    within = np.cumsum(rng.uniform(0.02, 0.13, (n, 7)), axis=1)
    return fmt.Customers(
        id=StringTable.of([ids[i] for i in order]),
        hash=hashes[order],
        store=np.zeros(n, dtype="<i4"),
        consent=consent,
        churn=share,
        next_days=(share * 14).astype("<f4"),
        value=rng.gamma(2.0, 60.0, n).astype("<f4"),
        score=(share * 100).astype("<f4"),
        usual_price=rng.uniform(2.0, 6.0, n).astype("<f4"),
        private_label=share,
        healthy=np.full(n, np.nan, dtype="<f4"),
        p_shop=Shares.of(within),
        segment=rng.integers(0, len(SEGMENTS), n).astype("<i2"),
        tier=rng.integers(0, len(TIERS), n).astype("<i2"),
        channel=rng.integers(-1, 6, n).astype("<i2"),
        hour=rng.integers(8, 21, n).astype("|i1"),
        n_baskets=rng.integers(1, 60, n).astype("<i4"),
    )


def one_store(stores: fmt.Stores) -> fmt.Stores:
    """Return the first store of some."""
    parts: dict[str, Any] = {each.name: getattr(stores, each.name)[:1] for each in fields(fmt.Stores)}
    parts |= {name: StringTable.of(parts[name]) for name in _STORE_TEXTS}
    return fmt.Stores(**parts)


def offers_of(rng: Rng, n_offers: int, n_customers: int, products: fmt.Products) -> dict[str, Any]:
    n_products = len(products.id)
    is_for = np.sort(np.argsort(rng.random((n_offers, n_products)), axis=1)[:, :12], axis=1)
    pairs = is_for.reshape(-1).astype("<i4")
    owner = np.repeat(np.arange(n_offers), 12)
    order = np.lexsort((owner, pairs))
    value = np.round(rng.uniform(0.2, 1.0, n_offers), 2).astype("<f4")
    budget = np.where(np.arange(n_offers) % 3 == 0, value * np.maximum(n_customers // 20, 1), np.nan).astype("<f4")
    chance = rng.uniform(0.02, 0.3, n_offers).astype("<f4")
    p = rng.beta(2.0, 8.0, (n_customers, n_offers)).astype("<f4")
    return {
        "offers": offers_fmt.Offers(
            id=StringTable.of([f"offer-{i:03d}" for i in range(n_offers)]),
            kind=StringTable.of(["discount"] * n_offers),
            value=value,
            cost=value,
            budget=budget,
            starts_us=np.full(n_offers, AS_OF_US - DAY_US, dtype="<i8"),
            ends_us=np.full(n_offers, AS_OF_US + 14 * DAY_US, dtype="<i8"),
            channels=np.full(n_offers, offers_fmt.ALL_CHANNELS, dtype="|u1"),
            chance=chance,
        ),
        "offer_products": offers_fmt.OfferProducts(np.arange(n_offers + 1, dtype="<i8") * 12, pairs),
        "product_offers": offers_fmt.ProductOffers(
            offsets_of(np.bincount(pairs, minlength=n_products)), owner[order].astype("<i4")
        ),
        "response": offers_fmt.Responses(
            np.arange(n_customers + 1, dtype="<i8") * n_offers,
            np.tile(np.arange(n_offers, dtype="<i4"), n_customers),
            Shares.of(p.reshape(-1)),
        ),
    }


def messages_of(rng: Rng, n: int) -> dict[str, Any]:
    n_each = rng.poisson(1.0, n)
    total = int(n_each.sum())
    days = rng.uniform(1.0, 27.0, total)
    owner = np.repeat(np.arange(n), n_each)
    days = days[np.lexsort((-days, owner))]
    sent = rng.poisson(3.0, (n, len(CHANNELS))).astype("<i4")
    answered = (sent * rng.random((n, len(CHANNELS))) * 0.6).astype("<i4")
    share = rng.uniform(0.0, 0.4, n).astype("<f4")
    return {
        "redeemed": offers_fmt.Redeemed(np.zeros(n + 1, dtype="<i8"), np.zeros(0, dtype="<i4")),
        "sends": offers_fmt.Sends(
            offsets_of(n_each),
            np.full(total, CHANNELS.index(Channel.EMAIL), dtype="|i1"),
            (AS_OF_US - days * DAY_US).astype("<i8"),
            np.full(total, offers_fmt.NO_OFFER, dtype="<i4"),
            (rng.random(total) < 0.3).astype("|u1"),
        ),
        "contacts": offers_fmt.Contacts(
            sent=sent,
            answered=answered,
            left=np.zeros((n, len(CHANNELS)), dtype="<i4"),
            n_sent=sent.sum(axis=1, dtype="<i4"),
            n_answered=answered.sum(axis=1, dtype="<i4"),
            redeemed=rng.poisson(1.0, n).astype("<i4"),
            return_share=share,
            discount_share=share,
            discounted_lines=share,
        ),
    }


def offsets_of(lengths: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, dtype="<i8")
    np.cumsum(lengths, out=offsets[1:])
    return offsets
