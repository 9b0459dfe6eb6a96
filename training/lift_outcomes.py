"""What each exposed customer did before and after their first exposure, as arrays, one row a customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from serving.experiments import LiftPolicy
from training.lift_doings import Doings, is_leaving
from training.lift_estimates import FloatArray, Sample
from training.lift_exposures import Exposure

DAY_US = 86_400_000_000

CONVERSION, REVENUE, MARGIN, REDEEMED, LEFT, VALUE = "conversion", "revenue", "margin", "redeemed", "left", "value"
METRICS: Mapping[str, str] = {
    CONVERSION: "share of customers who bought anything",
    REVENUE: "money paid, net of returns",
    MARGIN: "money paid, less what the goods cost",
    REDEEMED: "offers and rewards redeemed",
    LEFT: "message channels left",
    VALUE: "margin, less rewards that lower no price, less what each left channel costs",
}
"""What is measured, a customer; `value` decides."""

MONEY = (REVENUE, MARGIN, VALUE)

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Outcomes:
    """The customers of an experiment whose days are over, in order of their first exposure.

    `outcomes` by metric, shape ``(n,)`` each; `covariates` (what was bought before: money, baskets, days since the
    last), shape ``(n, 3)``; `n_waiting` more customers were exposed too lately to be measured.
    """

    arm: npt.NDArray[np.object_]
    tier: npt.NDArray[np.object_]
    exposed_us: npt.NDArray[np.int64]
    outcomes: Mapping[str, FloatArray]
    covariates: FloatArray
    n_waiting: int

    def sample(self, metric: str, mask: BoolArray) -> Sample:
        """Return some customers' outcomes and covariates."""
        return Sample(self.outcomes[metric][mask], self.covariates[mask])


def outcomes_of(
    exposures: Sequence[Exposure], tiers: Sequence[str], doings: Doings, policy: LiftPolicy, until_us: int
) -> Outcomes:
    """Return what was done within the policy's days after each first exposure, of those whose days ended by `until_us`.

    Everybody is measured over equally many days, once and for good: so looks at different times see the same outcomes
    of the same customers, and more customers.
    """
    exposed = np.array([each.at_us for each in exposures], dtype=np.int64)
    span = policy.days * DAY_US
    is_over = exposed + span <= until_us
    found = [each for each, over in zip(exposures, is_over, strict=True) if over]
    exposed = exposed[is_over]
    spent = _Sums(pd.Index([each.customer_id for each in found]), exposed)
    return Outcomes(
        np.array([each.arm for each in found], dtype=object),
        np.array(tiers, dtype=object)[is_over],
        exposed,
        _outcomes(spent, doings, span, policy.unsubscribe_cost),
        _covariates(spent, doings.purchases, policy.before_days * DAY_US),
        int((~is_over).sum()),
    )


class _Sums:
    """Adds rows up by customer, within a span of time about each one's first exposure."""

    def __init__(self, customers: pd.Index, exposed_us: npt.NDArray[np.int64]) -> None:
        self.customers = customers
        self._exposed_us = exposed_us

    def offsets(self, rows: pd.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return each row's customer, −1 for nobody of these, and its µs since their exposure."""
        places = self.customers.get_indexer(pd.Index(rows[c.CUSTOMER_ID])).astype(np.int64)
        since = np.full(len(rows), np.iinfo(np.int64).max)
        known = places >= 0
        since[known] = rows[c.AT_US].to_numpy(np.int64)[known] - self._exposed_us[places[known]]
        return places, since

    def within(self, rows: pd.DataFrame, weights: FloatArray, low_us: int, high_us: int) -> FloatArray:
        """Return the sum of the weights of each customer's rows in [low_us, high_us) of their exposure."""
        places, since = self.offsets(rows)
        inside = (places >= 0) & (since >= low_us) & (since < high_us)
        sums = np.bincount(places[inside], weights=weights[inside], minlength=len(self.customers))
        return sums.astype(np.float64)


def _outcomes(spent: _Sums, doings: Doings, span: int, unsubscribe_cost: float) -> dict[str, FloatArray]:
    purchases, events, rewards = doings.purchases, doings.events, doings.rewards
    leaves = np.asarray(is_leaving(events), dtype=np.float64)
    is_bought = np.asarray(purchases[c.QUANTITY] > 0, dtype=np.float64)
    n_bought = spent.within(purchases, is_bought, 0, span)
    margin = spent.within(purchases, purchases[c.MARGIN].to_numpy(np.float64), 0, span)
    n_left = spent.within(events, leaves, 0, span)
    granted = spent.within(rewards, rewards[c.COST].to_numpy(np.float64), 0, span)
    return {
        CONVERSION: (n_bought > 0).astype(np.float64),
        REVENUE: spent.within(purchases, purchases[c.AMOUNT].to_numpy(np.float64), 0, span),
        MARGIN: margin,
        REDEEMED: spent.within(events, 1.0 - leaves, 0, span),
        LEFT: n_left,
        VALUE: margin - granted - unsubscribe_cost * n_left,
    }


def _covariates(spent: _Sums, purchases: pd.DataFrame, before: int) -> FloatArray:
    """Return money and baskets before the first exposure, and days since the last (all of them where there is none)."""
    bought = purchases[purchases[c.QUANTITY] > 0]
    baskets = bought.drop_duplicates([c.CUSTOMER_ID, c.ORDER_ID])
    places, since = spent.offsets(bought)
    last = np.full(len(spent.customers), -before, dtype=np.int64)
    earlier = (places >= 0) & (since < 0) & (since >= -before)
    np.maximum.at(last, places[earlier], since[earlier])
    return np.column_stack(
        [
            spent.within(purchases, purchases[c.AMOUNT].to_numpy(np.float64), -before, 0),
            spent.within(baskets, np.ones(len(baskets)), -before, 0),
            -last / DAY_US,
        ]
    )
