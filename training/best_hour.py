"""Best hour: when in the week a customer shops, and at which local hour most.

A week has 42 buckets: 7 weekdays × 6 parts of the day (`PART_STARTS`). Two beliefs are averaged. By the first a
customer's own habits count as far as there are trips behind them: the weekday and the part each, shrunk towards the
shop's; then the two together, shrunk towards the product of both times the shop's own interplay (Saturdays start
later). How strongly is chosen on the latest weeks. By the second the customer is of a few kinds (`week_profiles`). Both
take trips of the latest 12 weeks for more than those before, and an hour's trip partly for one of the hours beside it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from features import columns as c
from features.asof import Moment
from training import plots
from training.comparison import Contest, iso_days, loss_rows
from training.history import History
from training.judge import Judgement
from training.peers import factorised_week
from training.peers.factorised_week import FactorisedConfig
from training.week_profiles import WeekProfiles, fit_profiles

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PART_STARTS = (0, 8, 11, 14, 17, 20)
"""The local hours at which the parts of a day begin: night and early morning, four of three hours each, the evening."""

N_DAYS, N_HOURS, N_PARTS = 7, 24, len(PART_STARTS)
N_BUCKETS = N_DAYS * N_PARTS
OLDER_WEIGHT = 0.4
"""What a trip of more than 12 weeks ago counts for."""

NEIGHBOURS = (0.25, 0.5, 0.25)
"""Weights of the hour before, the hour itself and the hour after: a habit is not as sharp as a clock."""

BESIDE = 0.2
SHOP, FACTORISED = "shop's histogram", "factorised histogram"
TOO_SHORT = (
    "best hour: too short a history to choose how far a customer's own hours count: weekday times part stands in"
)
NO_BETTER = "best hour: later trips are told no better than by weekday and part of the day alone, which stand in"
NO_HOURS = "best hour: off, the source has no times of day"
TASK = "when they shop, 42 buckets of the week"
JUDGED_DAYS = 28
"""How long after a cutoff it is judged, whatever it validated on."""


@dataclass(frozen=True)
class BestHourConfig:
    """Settings: the strengths to choose from, and how many days back they are tried on."""

    validation_days: int = 28
    n_tuning_customers: int = 5_000
    strengths: tuple[float, ...] = (10.0, 20.0, 40.0, 80.0, 160.0)
    n_kinds: int = 24
    seed: int = 20171009


@dataclass(frozen=True)
class Strengths:
    """How many trips the belief before is worth: of weekdays, of parts of the day, of the two together."""

    weekday: float = 20.0
    part: float = 20.0
    joint: float = 160.0


@dataclass(frozen=True)
class FittedBestHour:
    """The shop's trips by weekday and hour ``(7, 24)``, how strongly customers are drawn to it, and kinds of weeks."""

    config: BestHourConfig
    shop_hours: FloatArray | None
    strengths: Strengths
    profiles: WeekProfiles | None = None
    is_factorised: bool = False
    """Whether weekday times part of the day, each shrunk towards the shop's, stands in: later trips showed no more."""
    notes: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = (c.WEEKDAY, c.HOUR, c.N_BASKETS)

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, `best_hour` (0 to 23, local) for customers with trips; no rows without times."""
        hours = history.features("customer_hours", moment)
        if self.shop_hours is None or hours.empty:
            return pd.DataFrame({c.CUSTOMER_ROW: pd.Series(dtype="int32"), c.BEST_HOUR: pd.Series(dtype="int8")})
        customers, counts = _counts(hours, hours[c.HOUR], c.N_BASKETS, N_HOURS)
        best = best_hours(counts, self.shop_hours.sum(axis=0), self.strengths.part)
        return pd.DataFrame({c.CUSTOMER_ROW: customers.astype(np.int32), c.BEST_HOUR: best.astype(np.int8)})

    def week(self, hours: FloatArray) -> FloatArray:
        """Return each customer's chances of the 42 buckets, ``(n, 7, 6)``, from trips by weekday and hour.

        `hours` ``(n, 7, 24)`` is as `known_hours` counts them.
        """
        if self.is_factorised:
            return factorised_week.chances(parts_of(hours, beside=0.0), self.shop_week, FactorisedConfig())
        counts = parts_of(hours)
        own = week_chances(counts, self.shop_week, self.strengths)
        if self.profiles is None:
            return own
        kind = self.profiles.expected(counts.reshape(-1, N_BUCKETS)).reshape(own.shape)
        return np.asarray((own + kind) / 2, dtype=np.float64)

    @property
    def shop_week(self) -> FloatArray:
        """Return the shop's shares of the 42 buckets, shape ``(7, 6)``; even where nothing is known."""
        if self.shop_hours is None:
            return np.full((N_DAYS, N_PARTS), 1.0 / N_BUCKETS)
        return _smoothed_shares(parts_of(self.shop_hours, beside=0.0))

    @property
    def importance(self) -> dict[str, float]:
        """Return the strengths by name."""
        return asdict(self.strengths)

    def artifacts(self) -> dict[str, str]:
        """Return the file that holds the whole model."""
        shop = None if self.shop_hours is None else self.shop_hours.tolist()
        kinds = self.profiles and {"kinds": self.profiles.kinds.tolist(), "shares": self.profiles.shares.tolist()}
        stored = {"shop_hours": shop, "strengths": asdict(self.strengths), "profiles": kinds}
        stored |= {"is_factorised": self.is_factorised, "notes": self.notes}
        return {"best_hour.json": json.dumps(stored, indent=1)}


class BestHourModel:
    """Learns the shop's week, and how far to trust a customer's own."""

    name: ClassVar[str] = "best_hour"

    def __init__(self, config: BestHourConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedBestHour:
        """Return the fitted model; without times an empty one, without later weeks to prove it the factorised one."""
        hours = history.features("customer_hours", history.known_until)
        if hours.empty:
            return FittedBestHour(self.config, None, Strengths(), notes=(NO_HOURS,))
        strengths, notes = self._strengths(history)
        profiles = self._profiles(known_hours(hours)[1])
        return FittedBestHour(self.config, _of_the_shop(hours), strengths, profiles, bool(notes), notes)

    def _profiles(self, hours: FloatArray) -> WeekProfiles | None:
        return fit_profiles(parts_of(hours).reshape(-1, N_BUCKETS), self.config.n_kinds, self.config.seed)

    def _strengths(self, history: History) -> tuple[Strengths, tuple[str, ...]]:
        """Return the strengths of the latest weeks; with a note where these prove nothing."""
        tried = history.cutoff_before(self.config.validation_days, 1)
        known, later = _NOTHING, _NOTHING
        if tried:
            known, later, _ = trips_around(history, tried[0], self.config.validation_days)
        if known.sum() == 0 or later.sum() == 0:
            return Strengths(), (TOO_SHORT,)
        keep = slice(None, self.config.n_tuning_customers)
        known, later = known[keep], later[keep]
        strengths = choose_strengths(parts_of(known), later, self.config.strengths)
        return strengths, () if self._is_worth(known, later) else (NO_BETTER,)

    def _is_worth(self, known: FloatArray, later: FloatArray) -> bool:
        """Return whether later trips of every other customer are told better than by weekday and part alone."""
        strengths = choose_strengths(parts_of(known[::2]), later[::2], self.config.strengths)
        trial = FittedBestHour(self.config, known.sum(axis=0), strengths, self._profiles(known))
        plain = replace(trial, is_factorised=True)
        ours, simpler = (float((later[1::2] * np.log(each.week(known[1::2]))).sum()) for each in (trial, plain))
        return ours > simpler


_NOTHING: FloatArray = np.zeros((0, N_DAYS, N_HOURS))


def week_chances(counts: FloatArray, shop: FloatArray, strengths: Strengths) -> FloatArray:
    """Return chances of the buckets, shape ``(n, 7, 6)`` like `counts`, each customer's adding up to 1."""
    shop_day, shop_part = shop.sum(axis=1), shop.sum(axis=0)
    n = counts.sum(axis=(1, 2))[:, None]
    day = (counts.sum(axis=2) + strengths.weekday * shop_day) / (n + strengths.weekday)
    part = (counts.sum(axis=1) + strengths.part * shop_part) / (n + strengths.part)
    interplay = shop / (shop_day[:, None] * shop_part)
    before = day[:, :, None] * part[:, None, :] * interplay
    before /= before.sum(axis=(1, 2), keepdims=True)
    together = counts + strengths.joint * before
    return np.asarray(together / together.sum(axis=(1, 2), keepdims=True), dtype=np.float64)


def best_hours(counts: FloatArray, shop: FloatArray, strength: float) -> IntArray:
    """Return the hour, 0 to 23, with the largest smoothed share; the earliest of ties.

    Parameters
    ----------
    counts
        Trips by hour of the day, shape ``(n, 24)``.
    shop
        The shop's trips by hour, shape ``(24,)``; they count as `strength` trips in all.
    """
    shares = counts + strength * shop / max(shop.sum(), 1.0)
    before, here, after = NEIGHBOURS
    smooth = before * np.roll(shares, 1, axis=1) + here * shares + after * np.roll(shares, -1, axis=1)
    return np.asarray(smooth.argmax(axis=1), dtype=np.int64)


def choose_strengths(known: FloatArray, later: FloatArray, grid: tuple[float, ...]) -> Strengths:
    """Return the strengths by which `known` counts say most about `later` ones, both ``(n, 7, 6)``, same customers."""
    shop = _smoothed_shares(known.sum(axis=0))
    tried = [Strengths(*each) for each in itertools.product(grid, repeat=3)]
    losses = [-float((later * np.log(week_chances(known, shop, each))).sum()) for each in tried]
    return tried[int(np.argmin(losses))]


def evidence(fitted: Mapping[Moment, FittedBestHour], history: History) -> Contest:
    """Return, for every trip of the days after each cutoff, the chance that was given to its bucket (outcome 1)."""
    parts = [_trips(moment, model, history) for moment, model in fitted.items()]
    return Contest.pooled(parts)


def judge(fitted: Mapping[Moment, FittedBestHour], history: History) -> Judgement:
    """Return the judgement: mean log-loss of a trip, against the shop's histogram and the factorised one."""
    contest = evidence(fitted, history)
    return Judgement(
        model=BestHourModel.name,
        cutoffs=iso_days(fitted),
        rows=tuple(loss_rows(contest, "log_loss", _surprise, is_primary=True)),
        notes=tuple(sorted({note for model in fitted.values() for note in model.notes})),
    )


def figures(fitted: Mapping[Moment, FittedBestHour], history: History) -> dict[str, Figure]:  # noqa: ARG001  # the models' common form
    """Return the picture of the shop's day, as the latest model knows it."""
    shop = fitted[max(fitted)].shop_hours
    if shop is None:
        return {}
    shares = shop.sum(axis=0) / shop.sum()
    named = {f"{hour:02d}:00": float(shares[hour]) for hour in range(24)}
    return {"hours.png": plots.shares_figure(named, title="When the shop is visited", unit="share of trips")}


def _trips(moment: Moment, model: FittedBestHour, history: History) -> Contest:
    """Return a row a trip in the `JUDGED_DAYS` after `moment`, by customers with trips before it."""
    known, later, customers = trips_around(history, moment, JUDGED_DAYS)
    chances = {
        SHOP: np.broadcast_to(model.shop_week, later.shape),
        FACTORISED: factorised_chances(history, moment, FactorisedConfig()),
    }
    given = {name: of_each_trip(each, later) for name, each in chances.items()}
    ours = of_each_trip(model.week(known), later)
    return Contest(BestHourModel.name, TASK, ours, given, np.ones(len(ours)), whose_trips(customers, later))


def of_each_trip(values: npt.NDArray[Any], later: FloatArray) -> npt.NDArray[Any]:
    """Return the value of each trip's customer and bucket, ``(n_trips,)``; both arguments are ``(n, 7, 6)``."""
    return np.repeat(values[later > 0], later[later > 0].astype(np.int64))


def whose_trips(customers: IntArray, later: FloatArray) -> IntArray:
    """Return the customer of each trip, ``(n_trips,)``."""
    return of_each_trip(np.broadcast_to(customers[:, None, None], later.shape), later)


def factorised_chances(history: History, moment: Moment, config: FactorisedConfig) -> FloatArray:
    """Return the factorised histogram of all trips before `moment`, ``(n, 7, 6)``, of those of `trips_around`."""
    hours = history.features("customer_hours", moment)
    counts = parts_of(_hour_counts(hours, hours[c.N_BASKETS])[1], beside=0.0)
    shop = _smoothed_shares(parts_of(_of_the_shop(hours), beside=0.0))
    return factorised_week.chances(counts, shop, config)


def trips_around(history: History, moment: Moment, days: int) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return weighed trips by hour before `moment`, trips by part in the `days` after it, and whose.

    Shapes ``(n, 7, 24)``, ``(n, 7, 6)`` and ``(n,)``: the customers with trips before `moment`, in order.
    """
    before = history.features("customer_hours", moment)
    until = history.features("customer_hours", moment.plus_days(days, history.tables.time_zone))
    customers, known = known_hours(before)
    _, plain = _hour_counts(before, before[c.N_BASKETS])
    everyone, total = _hour_counts(until, until[c.N_BASKETS])
    later = total[np.searchsorted(everyone, customers)] - plain
    return known, parts_of(np.maximum(later, 0.0), beside=0.0), customers


def known_hours(hours: pd.DataFrame) -> tuple[IntArray, FloatArray]:
    """Return customers in order and their trips by weekday and hour ``(n, 7, 24)``, older ones counting for less."""
    older = hours[c.N_BASKETS] - hours[c.N_BASKETS_12W]
    return _hour_counts(hours, hours[c.N_BASKETS_12W] + OLDER_WEIGHT * older)


def parts_of(hours: FloatArray, *, beside: float = BESIDE) -> FloatArray:
    """Return trips by part of the day, ``(…, 6)``, from trips by hour ``(…, 24)``.

    `beside` is the share of an hour's trips that count as of the hour before, and as many as of the one after.
    """
    spread = (1.0 - 2.0 * beside) * hours + beside * (np.roll(hours, 1, axis=-1) + np.roll(hours, -1, axis=-1))
    return np.asarray(np.add.reduceat(spread, PART_STARTS, axis=-1), dtype=np.float64)


def _of_the_shop(hours: pd.DataFrame) -> FloatArray:
    """Return the shop's trips by weekday and hour, ``(7, 24)``."""
    shop = np.zeros((N_DAYS, N_HOURS))
    np.add.at(shop, (hours[c.WEEKDAY].to_numpy(), hours[c.HOUR].to_numpy()), hours[c.N_BASKETS].to_numpy())
    return shop


def _hour_counts(hours: pd.DataFrame, trips: pd.Series[float]) -> tuple[IntArray, FloatArray]:
    bucket = hours[c.WEEKDAY] * N_HOURS + hours[c.HOUR]
    customers, counts = _counts(hours.assign(_trips=trips), bucket, "_trips", N_DAYS * N_HOURS)
    return customers, counts.reshape(-1, N_DAYS, N_HOURS)


def _counts(hours: pd.DataFrame, bucket: pd.Series[int], trips: str, n: int) -> tuple[IntArray, FloatArray]:
    """Return the customers in order and their trips by bucket, 0 to n − 1, shape ``(n_customers, n)``."""
    customers, rows = np.unique(hours[c.CUSTOMER_ROW].to_numpy(dtype=np.int64), return_inverse=True)
    counts = np.zeros((len(customers), n))
    np.add.at(counts, (rows, bucket.to_numpy(dtype=np.int64)), hours[trips].to_numpy(dtype=np.float64))
    return customers, counts


def _smoothed_shares(counts: FloatArray) -> FloatArray:
    """Return shares that add up to 1, half a trip added to each bucket so that none is impossible."""
    return np.asarray((counts + 0.5) / (counts + 0.5).sum(), dtype=np.float64)


def _surprise(given: FloatArray, _: FloatArray) -> FloatArray:
    """Return −ln of the chance that was given to what happened."""
    return np.asarray(-np.log(given), dtype=np.float64)
