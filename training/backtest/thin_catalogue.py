"""A seeded shop with a large catalogue of which most products sell once: a marketplace, a bookseller.

Customers come at their own pace and buy half from a few favourites of theirs and half from what is popular among the
`n_heads` products that sell at all; every other product is sold once, to somebody. Written in portions, so that memory
does not grow with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

IntArray = npt.NDArray[np.int64]

_FIRST_DAY = date(2025, 1, 6)
_FLATTENED = 20.0  # ranks are counted from here, so that no product is in every basket
_AT_ONCE = 500  # customers


@dataclass(frozen=True)
class CatalogueConfig:
    """How large; of `n_products`, all but `n_heads` are sold once."""

    n_customers: int = 10_000
    n_products: int = 200_000
    n_heads: int = 20_000
    n_weeks: int = 52
    n_favourites: int = 30
    trips_a_week: float = 0.36
    lines_a_trip: float = 5.0
    popularity_power: float = 0.9
    seed: int = 5

    def scaled(self, share: float) -> CatalogueConfig:
        """Return the same shop with this share of its customers and products."""
        customers, products = int(self.n_customers * share), int(self.n_products * share)
        return CatalogueConfig(customers, products, int(self.n_heads * share), self.n_weeks, seed=self.seed)


def write_catalogue(config: CatalogueConfig, path: Path) -> int:
    """Write customer_id, order_id, product_id and ordered_at of all lines as Parquet; return how many there are."""
    schema = pa.schema(
        [
            ("customer_id", pa.string()),
            ("order_id", pa.string()),
            ("product_id", pa.string()),
            ("ordered_at", pa.date32()),
        ]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    share = 1.0 / (np.arange(config.n_heads) + _FLATTENED) ** config.popularity_power
    n_lines = 0
    with pq.ParquetWriter(path, schema) as file:
        for first in range(0, config.n_customers, _AT_ONCE):
            rows = _portion(config, first, share / share.sum())
            n_lines += len(rows)
            file.write_table(rows.cast(schema))
    return n_lines


def _portion(config: CatalogueConfig, first: int, share: npt.NDArray[np.float64]) -> pa.Table:
    """Return the lines of the customers from `first`, each product at most once an order."""
    n = min(_AT_ONCE, config.n_customers - first)
    rng = np.random.default_rng([config.seed, first])
    rates = rng.gamma(2.0, config.trips_a_week / 2.0, n)
    trips = rng.poisson(rates * config.n_weeks)
    customer_of_trip = np.repeat(np.arange(n), trips)
    day_of_trip = rng.integers(0, 7 * config.n_weeks, len(customer_of_trip))
    trip = np.repeat(np.arange(len(customer_of_trip)), 1 + rng.poisson(config.lines_a_trip - 1, len(customer_of_trip)))
    customer = customer_of_trip[trip]
    favourites = rng.choice(config.n_heads, (n, config.n_favourites), p=share)
    own = favourites[customer, rng.integers(0, config.n_favourites, len(trip))]
    product = np.where(rng.random(len(trip)) < 0.5, own, rng.choice(config.n_heads, len(trip), p=share))
    once = _sold_once(config, first, n)[: len(trip)]
    product[rng.choice(len(trip), len(once), replace=False)] = once
    _, kept = np.unique(trip * config.n_products + product, return_index=True)
    days = (np.datetime64(_FIRST_DAY) + day_of_trip[trip[kept]]).astype("datetime64[D]")
    return pa.table(
        {
            "customer_id": _named("c", first + customer[kept]),
            "order_id": _named(f"o{first}-", trip[kept]),
            "product_id": _named("p", product[kept]),
            "ordered_at": pa.array(days),
        }
    )


def _sold_once(config: CatalogueConfig, first: int, n: int) -> IntArray:
    """Return the products that are sold once, to one of `n` customers from `first`."""
    tail = config.n_products - config.n_heads
    ends = [config.n_heads + tail * place // config.n_customers for place in (first, first + n)]
    return np.arange(*ends, dtype=np.int64)


def _named(prefix: str, numbers: IntArray) -> pa.Array:
    return pa.array(np.char.add(prefix, numbers.astype(np.str_)).tolist())
