"""What a shop's customers do by themselves, learned from its checked tables: when they come, what they buy again.

Trips and habits are renewals: the time between two has a gamma distribution about each customer's own mean, with one
shape for all. A habit's need comes up at its own pace, and is met on the first trip after that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features import columns as c
from features.tables import TableSet
from training.errors import SimulationError
from training.simulation.arrays import Floats
from training.simulation.sold import Goods, sold_of

N_TYPES = 250
MIN_TRIPS = 6
MIN_PURCHASES = 3
"""What a customer bought on fewer days than that is no habit."""

RECENT_DAYS = 56
"""Customers who were not seen for longer are not learned from: simulated ones do not leave the shop."""

MIN_CUSTOMERS = 20
STICK_DAYS = 84
MOST_PIECES = 6.0
SHAPES = (0.6, 12.0)
NEVER = np.inf
NEED_GRID = np.concatenate([[0.02], np.geomspace(0.05, 60.0, 40)])
"""Mean gaps of needs, in mean gaps of trips, among which habits are placed."""

HALF_A_DAY = 0.5
"""A gap is over within a day, and seen at its end: on average half a day later."""


@dataclass(frozen=True)
class FittedShop:
    """A shop's customers as learned; shapes are ``(n,)`` and ``(n, n_types)``.

    `trip_gap`: mean days between trips. `need_gap`: mean days between needs of a type, inf where it is no habit;
    `pieces`: how many are bought then, on average. `extras`: mean unplanned lines a trip; `extra_share`: of which type
    they are. `discount_share`: of their lines, bought at a discount; `discount_depth`: of the price, for all.
    `trip_shape` and `need_shape` are the gammas'. `type_gap`: the usual need gap of a type, days. `stick_share`: of
    first purchases, those that become a habit. `weekday`: how many trips fall on a day number modulo 7, 1 on average.
    """

    goods: Goods
    trip_gap: Floats
    need_gap: Floats
    pieces: Floats
    extras: Floats
    extra_share: Floats
    discount_share: Floats
    discount_depth: float
    trip_shape: float
    need_shape: float
    type_gap: Floats
    stick_share: float
    weekday: Floats
    time_zone: str
    currency: str


def fit_shop(tables: TableSet, n_types: int = N_TYPES) -> tuple[FittedShop, pd.DataFrame]:
    """Return what is learned from a shop's tables, and the lines that it was learned from.

    SimulationError where too few customers came often enough.
    """
    sold = sold_of(tables, n_types)
    end = tables.last_day + 1
    lines = _of_regulars(sold.lines, end)
    trips = days_of(lines, [c.CUSTOMER_ROW])
    n_trips = trips.groupby(c.CUSTOMER_ROW).size().to_numpy(np.float64)
    gaps = gaps_of(trips, [c.CUSTOMER_ROW])
    trip_gap = np.maximum(gaps.groupby(c.CUSTOMER_ROW)[c.GAP_DAYS].mean().to_numpy(np.float64) - HALF_A_DAY, HALF_A_DAY)
    trip_shape = float(np.clip(1.0 / _variation(gaps, [c.CUSTOMER_ROW]), *SHAPES))
    needs = _needs(lines, sold.goods, trip_gap, trip_shape, end)
    extra = _extra_lines(lines, needs.gap)
    cut = lines[lines[c.DISCOUNT] > 0]
    by_type = np.bincount(extra[c.TYPE_ROW], minlength=sold.goods.n_types).astype(np.float64)
    n_extras = np.bincount(extra[c.CUSTOMER_ROW], minlength=len(trip_gap))
    fitted = FittedShop(
        sold.goods,
        trip_gap,
        needs.gap,
        needs.pieces,
        n_extras / n_trips,
        (by_type + 0.5) / (by_type + 0.5).sum(),
        lines.assign(is_cut=lines[c.DISCOUNT] > 0).groupby(c.CUSTOMER_ROW)["is_cut"].mean().to_numpy(np.float64),
        float(cut[c.DISCOUNT].sum() / (cut[c.DISCOUNT] + cut[c.AMOUNT]).sum()) if len(cut) else 0.0,
        trip_shape,
        needs.shape,
        _type_gaps(needs.gap),
        _stick_share(lines, end),
        np.bincount(trips[c.ORDERED_DAY] % 7, minlength=7) / len(trips) * 7,
        tables.time_zone,
        tables.currency or "USD",
    )
    return fitted, lines


def days_of(lines: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the days on which each of the keys occurs, in order."""
    days = lines[[*keys, c.ORDERED_DAY]].drop_duplicates()
    return days.sort_values([*keys, c.ORDERED_DAY], ignore_index=True)


def gaps_of(days: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the days between one time and the next of each key, from what `days_of` gave."""
    gap = days.groupby(keys)[c.ORDERED_DAY].diff()
    return days[keys].assign(**{c.GAP_DAYS: gap})[gap.notna()]


def _of_regulars(lines: pd.DataFrame, end: int) -> pd.DataFrame:
    """Return the lines of customers who came often and lately, whose rows count from 0."""
    trips = days_of(lines, [c.CUSTOMER_ROW]).groupby(c.CUSTOMER_ROW)[c.ORDERED_DAY].agg(["size", "max"])
    kept = trips.index[(trips["size"] >= MIN_TRIPS) & (trips["max"] >= end - RECENT_DAYS)].to_numpy(np.int64)
    if len(kept) < MIN_CUSTOMERS:
        raise SimulationError(
            f"{len(kept)} customers came {MIN_TRIPS} times or more, and in the last {RECENT_DAYS} days; "
            f"{MIN_CUSTOMERS} are needed to learn from"
        )
    lines = lines[lines[c.CUSTOMER_ROW].isin(kept)].reset_index(drop=True)
    return lines.assign(**{c.CUSTOMER_ROW: np.searchsorted(kept, lines[c.CUSTOMER_ROW])})


def _variation(gaps: pd.DataFrame, keys: list[str]) -> float:
    """Return the squared coefficient of variation of gaps about each group's own mean."""
    by_group = gaps.groupby(keys)[c.GAP_DAYS].agg(["size", "mean", "var"])
    enough = by_group[by_group["size"] >= MIN_PURCHASES]
    return float(np.average(enough["var"] / enough["mean"] ** 2, weights=enough["size"])) if len(enough) else 1.0


@dataclass(frozen=True)
class _Needs:
    gap: Floats
    pieces: Floats
    shape: float


def _needs(lines: pd.DataFrame, goods: Goods, trip_gap: Floats, trip_shape: float, end: int) -> _Needs:
    """Return the needs behind habits.

    What passes between two purchases is the need's own gap and the wait for the next trip, which `_seen` works out.
    """
    keys = [c.CUSTOMER_ROW, c.TYPE_ROW]
    days = days_of(lines, keys)
    found = days.groupby(keys)[c.ORDERED_DAY].agg(["size", "min"])
    found = found[found["size"] >= MIN_PURCHASES]
    customer, kind = (found.index.get_level_values(key).to_numpy(np.int64) for key in keys)
    observed = (end - found["min"].to_numpy(np.float64)) / (found["size"].to_numpy(np.float64) - 1.0)
    per_trip = observed / trip_gap[customer]
    wait = (1.0 + 1.0 / trip_shape) / 2.0
    share = float(np.median(np.maximum(1.0 - wait / per_trip, 0.3)))
    of_need = max(_variation(gaps_of(days, keys), keys) - (1.0 - share) ** 2, 0.01)
    shape = float(np.clip(share**2 / of_need, *SHAPES))
    gap = np.full((len(trip_gap), goods.n_types), NEVER)
    gap[customer, kind] = np.interp(per_trip, _seen(NEED_GRID, shape, trip_shape), NEED_GRID) * trip_gap[customer]
    pieces = np.ones(gap.shape)
    pieces[customer, kind] = lines.groupby(keys)[c.QUANTITY].mean().reindex(found.index).clip(1, MOST_PIECES)
    return _Needs(gap, pieces, shape)


def _seen(need: Floats, need_shape: float, trip_shape: float) -> Floats:
    """Return the mean gaps seen between purchases for mean gaps of needs, both in mean gaps of trips; rising."""
    rng = np.random.default_rng(0)
    n, most = 2000, int(4 * need[-1]) + 20
    trips = np.cumsum(rng.gamma(trip_shape, 1.0 / trip_shape, (n, most)), axis=1)
    unit = rng.gamma(need_shape, 1.0 / need_shape, n)
    first = [np.minimum((trips < unit[:, None] * each).sum(axis=1), most - 1) for each in need]
    found: Floats = np.maximum.accumulate([trips[np.arange(n), place].mean() for place in first])
    return found


def _extra_lines(lines: pd.DataFrame, need_gap: Floats) -> pd.DataFrame:
    """Return what was bought besides habits, once a day and type."""
    is_habit = np.isfinite(need_gap[lines[c.CUSTOMER_ROW], lines[c.TYPE_ROW]])
    return lines[~is_habit].drop_duplicates([c.CUSTOMER_ROW, c.TYPE_ROW, c.ORDERED_DAY])


def _type_gaps(need_gap: Floats) -> Floats:
    """Return the median gap of each type; that of all types where it is nobody's habit."""
    is_habit = np.isfinite(need_gap)
    overall = float(np.median(need_gap[is_habit]))
    columns = zip(need_gap.T, is_habit.T, strict=True)
    return np.array([float(np.median(gap[known])) if known.any() else overall for gap, known in columns])


def _stick_share(lines: pd.DataFrame, end: int) -> float:
    """Return how many first purchases of a type, in the third quarter of the time, were followed by two more."""
    days = days_of(lines, [c.CUSTOMER_ROW, c.TYPE_ROW])
    order = days.groupby([c.CUSTOMER_ROW, c.TYPE_ROW]).cumcount()
    firsts = days[order == 0].set_index([c.CUSTOMER_ROW, c.TYPE_ROW])[c.ORDERED_DAY]
    thirds = days[order == MIN_PURCHASES - 1].set_index([c.CUSTOMER_ROW, c.TYPE_ROW])[c.ORDERED_DAY]
    begun = int(days[c.ORDERED_DAY].min())
    tried = firsts[(firsts >= (begun + end) / 2) & (firsts < end - STICK_DAYS)]
    if len(tried) == 0:
        return 0.0
    stuck = thirds.reindex(tried.index) - tried <= STICK_DAYS
    return float(stuck.mean())
