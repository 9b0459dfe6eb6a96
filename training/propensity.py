"""Category propensity: the chance that a customer buys something of a category within 28 days.

Boosted trees over customer × category pairs, for the categories that at least 1 % of the customers buy in four weeks;
among what they read is how much the customer's other categories speak for this one.
Learned from a plain sample of all pairs (no class is thinned out), so that the chances need no correction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from features import columns as c
from features.asof import Moment
from training import metrics
from training.boosting import BoostedTrees, BoostingConfig, fit_trees
from training.category_likings import Likings, likings
from training.comparison import (
    Contest,
    auc_rows,
    contest_calibration,
    iso_days,
    loss_rows,
    macro_auc_rows,
    probability_figures,
)
from training.examples import Examples, feature_columns, gather, sampled
from training.history import History
from training.judge import Judgement
from training.logistic import LogisticConfig, LogisticModel, fit_logistic
from training.pairs import BASE_RATE, CUSTOMER, EXPECTED_BASKETS, PAIR, PairGrid, pair_grid
from training.ragged import best_of_each

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MIN_EVENTS = 200
"""With fewer purchases or non-purchases to learn from, the recency-frequency model stands alone."""

RECENCY_FREQUENCY = (
    *(PAIR + c.RECENCY_DAYS, PAIR + c.N_BASKETS, EXPECTED_BASKETS, BASE_RATE),
    *(CUSTOMER + c.RECENCY_DAYS, CUSTOMER + c.N_BASKETS_4W),
)
PLAIN = "recency-frequency logistic"
BASELINE = LogisticConfig(n_knots=0, inverse_penalty=1.0)
TASK = "category bought in 28 days, active customers"
CALIBRATION_BINS = 15
CUSTOMERS_AT_ONCE = 2_000
DRAWN_PAIRS = 50_000


@dataclass(frozen=True)
class PropensityConfig:
    """Settings of the propensity model; `n_rows` pairs are learned from, over all cutoffs together."""

    horizon_days: int = 28
    active_days: int = 56
    n_cutoffs: int = 12
    min_base_rate: float = 0.01
    max_categories: int = 400
    n_rows: int = 500_000
    n_baseline_rows: int = 100_000
    max_per_customer: int = 64
    seed: int = 20171009
    trees: BoostingConfig = field(default_factory=BoostingConfig)


@dataclass(frozen=True)
class FittedPropensity:
    """A fitted propensity model; without trees it is its plain logistic model."""

    config: PropensityConfig
    plain: LogisticModel
    trees: BoostedTrees | None
    feature_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, `category_row`, `p28`: the most likely categories of everyone who ever bought.

        At most ``max_per_customer`` a customer, by customer and falling chance. Customers are scored in portions, so
        that memory does not grow with their number.
        """
        grid = _grid(history, moment, self.config, active_days=None)
        liked = likings(history, moment, grid.categories, self.config.max_categories)
        width = len(grid.categories)
        parts = [grid.rows(np.zeros(0, dtype=np.int64)).assign(**{c.P28: np.zeros(0)})]
        for start in range(0, len(grid.customers) if width else 0, CUSTOMERS_AT_ONCE):
            stop = min(start + CUSTOMERS_AT_ONCE, len(grid.customers))
            cells = np.arange(start * width, stop * width, dtype=np.int64)
            frame = grid.rows(cells).assign(**{c.P28: self.score(_features(grid, liked, cells))})
            parts.append(
                best_of_each(frame, c.CUSTOMER_ROW, c.P28, n=self.config.max_per_customer, ties=[c.CATEGORY_ROW])
            )
        return pd.concat(parts, ignore_index=True)

    def score(self, features: pd.DataFrame) -> FloatArray:
        """Return the chance of a purchase for each row of pair features."""
        return self.plain.predict(features) if self.trees is None else self.trees.predict(features)

    @property
    def importance(self) -> dict[str, float]:
        """Return what the trees gained by each feature, or the weights of the plain model."""
        return self.plain.importance if self.trees is None else self.trees.importance

    def artifacts(self) -> dict[str, str]:
        """Return the files that hold the whole model."""
        texts = {"plain.json": self.plain.to_json(), "notes.json": json.dumps(self.notes)}
        return texts | ({"trees.txt": self.trees.to_text()} if self.trees else {})


class PropensityModel:
    """Learns propensities from the latest cutoffs whose 28 days had ended."""

    name: ClassVar[str] = "propensity"

    def __init__(self, config: PropensityConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedPropensity:
        """Return the fitted model; with too little to learn from, a simpler one that says so in its notes."""
        config = self.config
        cutoffs = history.cutoff_before(config.horizon_days, config.n_cutoffs)
        share = config.n_rows // max(len(cutoffs), 1)
        examples = gather(cutoffs, lambda moment: examples_at(history, moment, config, n_rows=share))
        few = sampled(examples, config.n_baseline_rows, config.seed)
        plain = fit_logistic(few.features, few.labels, RECENCY_FREQUENCY, BASELINE)
        rare = min(examples.n_positive, len(examples) - examples.n_positive)
        if rare < MIN_EVENTS:
            note = f"propensity: {rare} of the rarer outcome in {len(examples)} pairs, fewer than {MIN_EVENTS}: {PLAIN}"
            return FittedPropensity(config, plain, None, RECENCY_FREQUENCY, (note,))
        names = feature_columns(examples.features)
        trees = fit_trees(examples.features[list(names)], examples.labels, config.trees)
        return FittedPropensity(config, plain, trees, names)


def pairs_at(history: History, moment: Moment, config: PropensityConfig) -> pd.DataFrame:
    """Return `customer_row` and `category_row` of all the pairs that `examples_at` has, in its order."""
    grid = _grid(history, moment, config, active_days=config.active_days)
    return grid.rows(np.arange(len(grid), dtype=np.int64))


def examples_at(history: History, moment: Moment, config: PropensityConfig, *, n_rows: int | None = None) -> Examples:
    """Return pairs of active customers at `moment`, labelled 1 where they bought of the category in the days after it.

    At most `n_rows` pairs drawn evenly, or all of them.
    """
    grid = _grid(history, moment, config, active_days=config.active_days)
    cells = np.arange(len(grid), dtype=np.int64)
    if n_rows is not None and len(grid) > n_rows:
        drawn = np.random.default_rng([config.seed, moment.day]).choice(len(grid), n_rows, replace=False, shuffle=False)
        cells = np.sort(drawn)
    bought = grid.bought(history.purchases_after(moment, config.horizon_days))[cells]
    liked = likings(history, moment, grid.categories, config.max_categories)
    return Examples(
        _features(grid, liked, cells), bought.astype(np.float64), grid.rows(cells)[c.CUSTOMER_ROW].to_numpy()
    )


def evidence(fitted: Mapping[Moment, FittedPropensity], history: History, *, n_rows: int | None = None) -> Contest:
    """Return what each fitted model and its baseline said of the pairs at its own cutoff, and what happened, pooled.

    All pairs, or `n_rows` a cutoff drawn evenly.
    """
    return Contest.pooled([_contest(moment, model, history, n_rows) for moment, model in fitted.items()])


def judge(fitted: Mapping[Moment, FittedPropensity], history: History) -> Judgement:
    """Return the judgement: log-loss (decides), pooled AUC, and AUC within a category, averaged over categories."""
    contest = evidence(fitted, history)
    categories = np.concatenate([_categories(moment, model, history) for moment, model in fitted.items()])
    rows = loss_rows(contest, "log_loss", metrics.log_losses, is_primary=True)
    rows += auc_rows(contest, is_primary=False)
    rows += macro_auc_rows(contest, categories)
    return Judgement(
        model=PropensityModel.name,
        cutoffs=iso_days(fitted),
        rows=tuple(rows),
        calibration=(contest_calibration(contest, bins=CALIBRATION_BINS),),
        notes=tuple(sorted({note for model in fitted.values() for note in model.notes})),
    )


def figures(fitted: Mapping[Moment, FittedPropensity], history: History) -> dict[str, Figure]:
    """Return the pictures of the judgement, by a sample of the pairs, and what the latest model looks at."""
    return probability_figures(evidence(fitted, history, n_rows=DRAWN_PAIRS), fitted[max(fitted)].importance)


def _contest(moment: Moment, model: FittedPropensity, history: History, n_rows: int | None) -> Contest:
    at = examples_at(history, moment, model.config, n_rows=n_rows)
    baselines = {
        PLAIN: model.plain.predict(at.features),
        "popularity": at.features[BASE_RATE].to_numpy(dtype=np.float64),
    }
    return Contest(PropensityModel.name, TASK, model.score(at.features), baselines, at.labels, at.customers)


def _categories(moment: Moment, model: FittedPropensity, history: History) -> IntArray:
    """Return the category of each of the pairs that `examples_at` has at `moment`."""
    grid = _grid(history, moment, model.config, active_days=model.config.active_days)
    return np.tile(grid.categories, len(grid.customers))


def _features(grid: PairGrid, liked: Likings, cells: IntArray) -> pd.DataFrame:
    """Return the features of cells, with how much the customer's other categories speak for each."""
    who, what = np.divmod(cells, max(len(grid.categories), 1))
    return pd.concat([grid.features(cells), liked.features(grid.customers[who], what)], axis=1)


def _grid(history: History, moment: Moment, config: PropensityConfig, *, active_days: int | None) -> PairGrid:
    return pair_grid(
        history, moment, active_days=active_days, min_base_rate=config.min_base_rate, most=config.max_categories
    )
