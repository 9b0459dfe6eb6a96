"""Random purchases for the peers of repeat, and what they are, basket by basket."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features import columns as c

TODAY = 40
N_ITEMS = 8


def purchases(rng: np.random.Generator, n_customers: int = 6) -> pd.DataFrame:
    """Baskets of 1 to 9 a customer, with an item twice in some, in no order."""
    rows = []
    for customer in range(n_customers):
        for basket in range(int(rng.integers(1, 10))):
            items = rng.integers(0, N_ITEMS, size=int(rng.integers(1, 5)))
            at = (100 * customer + basket, 1_000 * basket, 3 * basket)
            rows += [(10 * customer, *at, int(item)) for item in items]
    table = pd.DataFrame(rows, columns=[c.CUSTOMER_ROW, c.ORDER_ROW, c.ORDERED_US, c.ORDERED_DAY, c.TYPE_ROW])
    return table.sample(frac=1.0, random_state=3)


def baskets_by_customer(bought: pd.DataFrame) -> dict[int, list[set[int]]]:
    """Return the baskets of each customer in order of time."""
    found = {}
    for customer, own in bought.groupby(c.CUSTOMER_ROW):
        in_time = own.sort_values(c.ORDERED_US).groupby(c.ORDER_ROW, sort=True)[c.TYPE_ROW]
        found[int(str(customer))] = [set(items) for _, items in in_time]
    return found
