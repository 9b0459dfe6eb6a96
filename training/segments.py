"""Segments: groups of customers who shop alike, named by what sets them apart.

k-means on scaled recency, frequency and basket value. There are as many groups as come back when half of the customers
are taken away: more dimensions were tried, and gave groups that did not. Names follow from rules over the groups'
means, in standard deviations from the average customer, of these and of breadth, trend, taste for deals and for own
brands; so what a name says is true of its group on average.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from features import columns as c
from features.asof import Moment
from training import plots
from training.comparison import Contest, iso_days, loss_rows, squared_error
from training.history import History
from training.judge import Judgement
from training.segment_names import TRAITS, segment_names

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

GROUPED_BY = (c.RECENCY_DAYS, c.N_BASKETS_12W, c.SPEND_PER_BASKET)
GROUPED_WITHOUT_AMOUNTS = (c.RECENCY_DAYS, c.N_BASKETS_12W, c.LINES_PER_BASKET)
NAMED_BY = (c.RECENCY_DAYS, c.N_BASKETS_12W, *TRAITS)
FREQUENT_DAYS, RECENT_DAYS = 12, 28
"""The rule that stands in for groups: at least a trip a week over 12 weeks; a trip within 28 days."""

RULE_NAMES = ("Frequent shoppers", "Occasional shoppers", "Gone quiet")
N_STARTS, N_SPLITS = 4, 5
HORIZON_DAYS = 28
TASK = "trips in the next 28 days, told by segment"


@dataclass(frozen=True)
class SegmentsConfig:
    """Settings: how many groups are tried, and what a number of groups must hold to be taken."""

    min_groups: int = 3
    max_groups: int = 8
    min_share: float = 0.03
    min_stability: float = 0.7
    min_customers: int = 100
    n_fitted: int = 20_000
    seed: int = 20171009


@dataclass(frozen=True)
class Scaling:
    """How features become coordinates: signed logarithm, median where missing, cut at ±3, mean 0 and deviation 1."""

    columns: tuple[str, ...]
    fills: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]

    def apply(self, frame: pd.DataFrame) -> FloatArray:
        """Return coordinates, shape ``(n_rows, n_columns)``."""
        logs = _logs(frame, self.columns)
        filled = np.where(np.isnan(logs), np.array(self.fills), logs)
        return np.asarray(np.clip((filled - np.array(self.means)) / np.array(self.scales), -3.0, 3.0))


@dataclass(frozen=True)
class FittedSegments:
    """Fitted groups: centres in coordinates, shape ``(n_groups, n_columns)``, and their names; without, a rule."""

    config: SegmentsConfig
    scaling: Scaling | None
    centres: FloatArray
    names: tuple[str, ...]
    feature_names: tuple[str, ...]
    stability: Mapping[int, float]
    trips: tuple[float, ...]
    trips_of_all: float
    notes: tuple[str, ...] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, `segment` (a name) for everyone who ever bought."""
        customers = history.features("customers", moment)
        names = np.array(self.names, dtype=object)[self.groups(customers)]
        return pd.DataFrame({c.CUSTOMER_ROW: customers[c.CUSTOMER_ROW], c.SEGMENT: names})

    def groups(self, customers: pd.DataFrame) -> IntArray:
        """Return the group of each row of customer features: a place in `names`."""
        if self.scaling is None:
            return rule_groups(customers)
        return nearest(self.scaling.apply(customers), self.centres)

    @property
    def importance(self) -> dict[str, float]:
        """Return how far apart the centres lie on each dimension (variance between them)."""
        spread = self.centres.var(axis=0) if len(self.centres) else np.zeros(len(self.feature_names))
        return dict(zip(self.feature_names, (float(each) for each in spread), strict=True))

    def artifacts(self) -> dict[str, str]:
        """Return the file that holds the whole model."""
        scaling = self.scaling and {
            "columns": self.scaling.columns,
            "fills": self.scaling.fills,
            "means": self.scaling.means,
            "scales": self.scaling.scales,
        }
        stored = {"scaling": scaling, "centres": self.centres.tolist(), "names": self.names, "notes": self.notes}
        return {"segments.json": json.dumps(stored, indent=1)}


class SegmentsModel:
    """Finds groups among the customers of the end of a history."""

    name: ClassVar[str] = "segments"

    def __init__(self, config: SegmentsConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedSegments:
        """Return the fitted groups; with few customers, the frequency and recency rule that says so in its notes."""
        customers = history.features("customers", history.known_until)
        scaling = fit_scaling(customers, GROUPED_BY if history.tables.has_amounts else GROUPED_WITHOUT_AMOUNTS)
        points = scaling.apply(customers)
        rng = np.random.default_rng(self.config.seed)
        sample = points[rng.permutation(len(points))[: self.config.n_fitted]]
        n_different = len(np.unique(sample, axis=0))
        if n_different < self.config.min_customers:
            return self._by_rule(history, n_different)
        stability = {k: _stability(sample, k, rng) for k in self._numbers(sample)}
        k = choose_number(stability, self.config.min_stability)
        centres = _ordered(_k_means(sample, k, self.config.seed), scaling.columns)
        trips, overall = _trips_by_group(history, lambda frame: nearest(scaling.apply(frame), centres), k)
        return FittedSegments(
            config=self.config,
            scaling=scaling,
            centres=centres,
            names=_names(customers, nearest(points, centres), k),
            feature_names=scaling.columns,
            stability=stability,
            trips=trips,
            trips_of_all=overall,
        )

    def _by_rule(self, history: History, n_different: int) -> FittedSegments:
        note = (
            f"segments: {n_different} customers who differ, fewer than {self.config.min_customers}: "
            "a rule by the last trip and the number of trips"
        )
        trips, overall = _trips_by_group(history, rule_groups, len(RULE_NAMES))
        columns = (c.RECENCY_DAYS, c.N_BASKETS_12W)
        return FittedSegments(self.config, None, np.zeros((0, 2)), RULE_NAMES, columns, {}, trips, overall, (note,))

    def _numbers(self, points: FloatArray) -> list[int]:
        """Return the numbers of groups whose smallest group is large enough; at least the smallest number."""
        large = []
        for k in range(self.config.min_groups, self.config.max_groups + 1):
            sizes = np.bincount(nearest(points, _k_means(points, k, self.config.seed)), minlength=k)
            if sizes.min() >= self.config.min_share * len(points):
                large.append(k)
        return large or [self.config.min_groups]


def choose_number(stability: Mapping[int, float], min_stability: float) -> int:
    """Return the largest number of groups that is stable enough; where none is, the most stable one.

    Examples
    --------
    >>> choose_number({3: 0.95, 4: 0.85, 5: 0.4}, 0.8), choose_number({3: 0.6, 4: 0.5}, 0.8)
    (4, 3)
    """
    stable = [k for k, each in stability.items() if each >= min_stability]
    return max(stable) if stable else max(stability, key=lambda k: (stability[k], -k))


def rule_groups(customers: pd.DataFrame) -> IntArray:
    """Return places in ``RULE_NAMES``: gone quiet without a trip in 28 days, else frequent from a trip a week on."""
    is_recent = (customers[c.RECENCY_DAYS] <= RECENT_DAYS).to_numpy()
    is_frequent = (customers[c.N_BASKETS_12W] >= FREQUENT_DAYS).to_numpy()
    return np.where(~is_recent, 2, np.where(is_frequent, 0, 1)).astype(np.int64)


def fit_scaling(customers: pd.DataFrame, among: Sequence[str]) -> Scaling:
    """Return the scaling of those columns that the source has and that vary."""
    columns, fills, means, scales = [], [], [], []
    for column in among:
        logs = _logs(customers, (column,))[:, 0]
        known = logs[np.isfinite(logs)]
        if len(known) and known.std() > 1e-9:
            columns.append(column)
            fills.append(float(np.median(known)))
            means.append(float(known.mean()))
            scales.append(float(known.std()))
    return Scaling(tuple(columns), tuple(fills), tuple(means), tuple(scales))


def nearest(points: FloatArray, centres: FloatArray) -> IntArray:
    """Return the nearest centre of each point (the first of ties), shape ``(n_points,)``."""
    distances = (centres**2).sum(axis=1) - 2.0 * points @ centres.T
    return np.asarray(distances.argmin(axis=1), dtype=np.int64)


def evidence(fitted: Mapping[Moment, FittedSegments], history: History) -> Contest:
    """Return each customer's trips in the 28 days after a cutoff, beside what their group made before, pooled."""
    parts = []
    for moment, model in fitted.items():
        customers = history.features("customers", moment)
        ours = np.array(model.trips)[model.groups(customers)]
        overall = np.full(len(customers), model.trips_of_all)
        rows = customers[c.CUSTOMER_ROW].to_numpy(dtype=np.int64)
        later = _trips_after(history, moment, customers)
        parts.append(Contest(SegmentsModel.name, TASK, ours, {"one segment for all": overall}, later, rows))
    return Contest.pooled(parts)


def judge(fitted: Mapping[Moment, FittedSegments], history: History) -> Judgement:
    """Return how much better later trips are told by segment than without, as squared error."""
    return Judgement(
        model=SegmentsModel.name,
        cutoffs=iso_days(fitted),
        rows=tuple(loss_rows(evidence(fitted, history), "mse", squared_error, is_primary=True)),
        notes=tuple(sorted({note for model in fitted.values() for note in model.notes})),
    )


def figures(fitted: Mapping[Moment, FittedSegments], history: History) -> dict[str, Figure]:
    """Return pictures of the latest segments: their sizes, and what tells them apart."""
    moment = max(fitted)
    latest, customers = fitted[moment], history.features("customers", moment)
    sizes = np.bincount(latest.groups(customers), minlength=len(latest.names)) / max(len(customers), 1)
    named = dict(zip(latest.names, (float(each) for each in sizes), strict=True))
    return {
        "segments.png": plots.shares_figure(named, title="Segments", unit="share of customers"),
        "importance.png": plots.importance_figure(latest.importance, title="Segments: what tells them apart"),
    }


def _trips_by_group(
    history: History, group: Callable[[pd.DataFrame], IntArray], n_groups: int
) -> tuple[tuple[float, ...], float]:
    """Return the mean trips in 28 days by group and over all: after the latest cutoff, else before now."""
    cutoffs = history.cutoff_before(HORIZON_DAYS, 1)
    moment = cutoffs[0] if cutoffs else history.known_until
    customers = history.features("customers", moment)
    trips = _trips_after(history, moment, customers) if cutoffs else customers[c.N_BASKETS_4W].to_numpy(dtype=float)
    groups = group(customers)
    overall = float(trips.mean()) if len(trips) else 0.0
    sums, sizes = np.bincount(groups, weights=trips, minlength=n_groups), np.bincount(groups, minlength=n_groups)
    means = np.where(sizes > 0, sums / np.maximum(sizes, 1), overall)
    return tuple(float(each) for each in means), overall


def _trips_after(history: History, moment: Moment, customers: pd.DataFrame) -> FloatArray:
    """Return how many trips each customer makes in the 28 days after `moment`."""
    lines = history.purchases_after(moment, HORIZON_DAYS)
    trips = lines.groupby(c.CUSTOMER_ROW)[c.ORDER_ROW].nunique()
    return np.asarray(customers[c.CUSTOMER_ROW].map(trips).fillna(0.0), dtype=np.float64)


def _names(customers: pd.DataFrame, groups: IntArray, k: int) -> tuple[str, ...]:
    """Return a name for each group by its means over what names tell."""
    scaling = fit_scaling(customers, NAMED_BY)
    points = scaling.apply(customers)
    means = np.array([points[groups == group].mean(axis=0) for group in range(k)])
    return segment_names(means, scaling.columns)


def _k_means(points: FloatArray, k: int, seed: int) -> FloatArray:
    fitted = KMeans(n_clusters=k, n_init=N_STARTS, random_state=seed).fit(points)
    return np.asarray(fitted.cluster_centers_, dtype=np.float64)


def _stability(points: FloatArray, k: int, rng: np.random.Generator) -> float:
    """Return how alike the groupings are (adjusted Rand index, 1 is equal) that two halves of the points give."""
    alike = []
    for _ in range(N_SPLITS):
        halves = np.array_split(rng.permutation(len(points)), 2)
        labels = [nearest(points, _k_means(points[half], k, int(rng.integers(2**31)))) for half in halves]
        alike.append(adjusted_rand_score(*labels))
    return float(np.mean(alike))


def _ordered(centres: FloatArray, columns: Sequence[str]) -> FloatArray:
    """Return the centres, those who come most often first, so that equal groupings get an equal order."""
    by = columns.index(c.N_BASKETS_12W) if c.N_BASKETS_12W in columns else 0
    return centres[np.lexsort((centres[:, 0], -centres[:, by]))]


def _logs(frame: pd.DataFrame, columns: Sequence[str]) -> FloatArray:
    """Return columns on the signed logarithmic scale, shape ``(n_rows, n_columns)``; NaN where missing."""
    raw = frame[list(columns)].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(np.sign(raw) * np.log1p(np.abs(raw)), dtype=np.float64)
