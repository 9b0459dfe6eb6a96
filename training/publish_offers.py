"""The part of a bundle about offers (serving/bundle_offers.py): what they are, who answers them, what was sent."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving import bundle_offers as form
from serving.channels import CHANNELS
from serving.strings import StringTable


def no_offers(n_customers: int, n_products: int) -> dict[str, Any]:  # Any: groups of several classes
    """Return the groups about offers of a shop that has none, and where nothing was sent."""
    none, names = np.zeros(0, dtype=np.int32), StringTable.of([])
    of_customers, shares = np.zeros(n_customers + 1, dtype=np.int64), np.zeros(n_customers, dtype=np.float32)
    counts = np.zeros((n_customers, len(CHANNELS)), dtype=np.int32)
    floats, times = np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int64)
    return {
        "offers": form.Offers(names, names, floats, floats, floats, times, times, np.zeros(0, dtype=np.uint8), floats),
        "offer_products": form.OfferProducts(np.zeros(1, dtype=np.int64), none),
        "product_offers": form.ProductOffers(np.zeros(n_products + 1, dtype=np.int64), none),
        "response": form.Responses(of_customers, none, floats),
        "redeemed": form.Redeemed(of_customers, none),
        "sends": form.Sends(of_customers, np.zeros(0, dtype=np.int8), times, none),
        "contacts": form.Contacts(
            counts, counts, counts, np.zeros(n_customers, dtype=np.int32), shares, shares, shares
        ),
    }
