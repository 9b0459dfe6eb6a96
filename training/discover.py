"""Discover: the chance that a customer buys a product that they have never bought, within 28 and within 7 days.

Candidates are what is expected (their rate of the product's type × its share there), what is akin to what they own
(implicit's nearest products by household) and what is popular; boosted trees give the chance of each. Learned from some
customers of the latest cutoffs, calibrated on others. The same model picks the products within a new category
(`best_products`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from training.boosting import BoostedTrees, BoostingConfig, FitOptions, fit_trees
from training.calibration import fit_calibration, log_odds
from training.discover_grid import BUYER_SHARE, DiscoverGrid, DiscoverRules, discover_grid
from training.discover_judging import figures, judge
from training.first_week import TwoChances, fit_first_week
from training.guard import ranks_better
from training.history import History
from training.topk import place_in_run, top_of_each

__all__ = ["DiscoverConfig", "DiscoverModel", "FittedDiscover", "figures", "judge"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MIN_EVENTS = 200
"""With fewer first purchases than this to learn from, a product's share of buyers stands in for the trees."""

HORIZON_DAYS = 28
NO_BETTER = "discover: the trees rank no better than a product's share of buyers here, which stands in"
TOO_FEW = "discover: too few first purchases to learn from; a product's share of buyers stands in"


@dataclass(frozen=True)
class DiscoverConfig:
    """Settings of the discovery model; of `n_customers` a cutoff, the share `held_out` calibrates.

    Of the candidates that the others did not buy the share `learned` is learned from, weighted back.
    Only the `n_shown` best of each count there: they are what is shown, and the best of many look better than they are.
    """

    n_cutoffs: int = 4
    step_days: int = 14
    n_customers: int = 700
    held_out: float = 0.35
    learned: float = 0.35
    events_per_tree: float = 15.0
    n_shown: int = 20
    max_per_customer: int = 100
    n_stretches: int = 24
    n_best: int = 3
    seed: int = 20171009
    rules: DiscoverRules = field(default_factory=DiscoverRules)
    trees: BoostingConfig = field(default_factory=BoostingConfig)


@dataclass(frozen=True)
class FittedDiscover:
    """A fitted discovery model; without trees a product's share of buyers ranks."""

    config: DiscoverConfig
    trees: BoostedTrees | None
    chances: TwoChances
    notes: tuple[str, ...] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return customer_row, product_row, p28, p7 of everyone's most likely first purchases.

        At most ``max_per_customer`` each, by customer and falling chance. Customers are scored in portions.
        """
        grid = discover_grid(history, moment, self.config.rules)
        rows = np.zeros(0, dtype=np.int32)
        parts = [pd.DataFrame({c.CUSTOMER_ROW: rows, c.PRODUCT_ROW: rows, c.P28: np.zeros(0), c.P7: np.zeros(0)})]
        for who in grid.blocks(np.arange(len(grid.customers))):
            cells, margin = self.ranked(grid, who)
            parts.append(self._frame(grid, cells, margin))
        return pd.concat(parts, ignore_index=True)

    def ranked(self, grid: DiscoverGrid, who: IntArray) -> tuple[IntArray, FloatArray]:
        """Return the best cells of the customers at the places `who`, best first, and their margins."""
        block = grid.block(who)
        cells = block.candidates()
        margin = self.margin(block.features(cells))
        best = top_of_each(cells // grid.width, margin, self.config.max_per_customer)
        return cells[best], margin[best]

    def best_products(self, history: History, moment: Moment, stretches: pd.DataFrame) -> pd.DataFrame:
        """Return customer_row, category_row, product_row, rank: the best products for each customer × new category.

        `stretches` has customer_row, category_row and p28, of which each customer's best `n_stretches` are looked at;
        rank 1 is best, `n_best` is last. A category without a product on sale has no row.
        """
        grid = discover_grid(history, moment, self.config.rules)
        wanted = _best_stretches(stretches, self.config.n_stretches)
        offered = _offered(grid)
        parts = [_no_products()]
        place = pd.Index(grid.customers).get_indexer(pd.Index(wanted[c.CUSTOMER_ROW]))
        for who in grid.blocks(np.arange(len(grid.customers))):
            pairs = wanted[(place >= who[0]) & (place <= who[-1])]
            if len(pairs):
                parts.append(self._best_of(grid, who, pairs.merge(offered, on=c.CATEGORY_ROW)))
        return pd.concat(parts, ignore_index=True)

    def margin(self, features: pd.DataFrame) -> FloatArray:
        """Return log-odds before calibration, ``(n_rows,)``."""
        return margin_of(self.trees, features)

    @property
    def rules(self) -> DiscoverRules:
        """Return what there is to discover."""
        return self.config.rules

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return what the model reads."""
        return self.trees.feature_names if self.trees else (BUYER_SHARE,)

    @property
    def importance(self) -> dict[str, float]:
        """Return what the trees gained by each feature."""
        return self.trees.importance if self.trees else {BUYER_SHARE: 1.0}

    def artifacts(self) -> Mapping[str, str]:
        """Return the files that hold the whole model."""
        texts = {
            "discover.json": json.dumps({"config": asdict(self.config), "notes": self.notes}, indent=1),
            "chances.json": self.chances.to_json(),
        }
        return texts | ({"trees.txt": self.trees.to_text()} if self.trees else {})

    def _frame(self, grid: DiscoverGrid, cells: IntArray, margin: FloatArray) -> pd.DataFrame:
        row, column = np.divmod(cells, grid.width)
        return pd.DataFrame(
            {
                c.CUSTOMER_ROW: grid.customers[row].astype(np.int32),
                c.PRODUCT_ROW: grid.products[column].astype(np.int32),
                c.P28: self.chances.p28(margin),
                c.P7: self.chances.p7(margin),
            }
        )

    def _best_of(self, grid: DiscoverGrid, who: IntArray, offers: pd.DataFrame) -> pd.DataFrame:
        """Return the best offered products of each pair; `offers` has customer_row, category_row and a column."""
        if len(offers) == 0:
            return _no_products()
        place = pd.Index(grid.customers).get_indexer(pd.Index(offers[c.CUSTOMER_ROW]))
        cells = place * grid.width + offers[_COLUMN].to_numpy(dtype=np.int64)
        margin = self.margin(grid.block(who).features(cells))
        best = top_of_each(offers[_PAIR].to_numpy(), margin, self.config.n_best)
        chosen = offers.iloc[best]
        return pd.DataFrame(
            {
                c.CUSTOMER_ROW: chosen[c.CUSTOMER_ROW].to_numpy(dtype=np.int32),
                c.CATEGORY_ROW: chosen[c.CATEGORY_ROW].to_numpy(dtype=np.int32),
                c.PRODUCT_ROW: grid.products[chosen[_COLUMN].to_numpy()].astype(np.int32),
                c.RANK: (place_in_run(chosen[_PAIR].to_numpy()) + 1).astype(np.int32),
            }
        )


class DiscoverModel:
    """Learns first purchases from the latest cutoffs whose 28 days had ended."""

    name: ClassVar[str] = "discover"

    def __init__(self, config: DiscoverConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedDiscover:
        """Return the fitted model; with too few first purchases, popularity calibrated, which its notes say."""
        config = self.config
        cutoffs = history.cutoff_before(HORIZON_DAYS, config.n_cutoffs, step_days=config.step_days)
        weeks = [_week(history, moment, config) for moment in cutoffs]
        learned = _Rows.of([rows.only(~rows.is_held_out) for rows in weeks])
        trees = _trees(learned, config)
        held_out = _Rows.of([rows.only(rows.is_held_out) for rows in weeks])
        notes = () if trees else (TOO_FEW,)
        if trees and not _is_worth(trees, held_out):
            trees, notes = None, (NO_BETTER,)
        margin = margin_of(trees, held_out.features)
        shown = top_of_each(held_out.owner, margin, config.n_shown)
        within_28 = fit_calibration(margin[shown], np.isfinite(held_out.day[shown]), n_bends=0)
        # On the same rows: the trees' margins of rows that they had seen say more than those of any other.
        first_week = fit_first_week(margin[shown], held_out.day[shown])
        return FittedDiscover(config, trees, TwoChances(within_28, first_week), notes)


def margin_of(trees: BoostedTrees | None, features: pd.DataFrame) -> FloatArray:
    """Return log-odds before calibration: the trees', or those of each product's share of buyers."""
    if trees is not None:
        return trees.margin(features.reindex(columns=list(trees.feature_names)))
    share = features.get(BUYER_SHARE, pd.Series(0.0, index=features.index))
    return log_odds(share.fillna(0.0).clip(1e-4, 0.5))


@dataclass(frozen=True)
class _Rows:
    """Candidates with their customer, the first day of a purchase within 28 days (inf: none), and if they calibrate."""

    features: pd.DataFrame
    owner: IntArray
    day: FloatArray
    is_held_out: npt.NDArray[np.bool_]
    weight: FloatArray

    @classmethod
    def of(cls, parts: list[_Rows]) -> _Rows:
        if not parts:
            return cls(
                pd.DataFrame(), np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.bool_), np.zeros(0)
            )
        return cls(
            pd.concat([part.features for part in parts], ignore_index=True),
            np.concatenate([part.owner for part in parts]),
            np.concatenate([part.day for part in parts]),
            np.concatenate([part.is_held_out for part in parts]),
            np.concatenate([part.weight for part in parts]),
        )

    def only(self, keep: npt.NDArray[np.bool_]) -> _Rows:
        return _Rows(self.features[keep], self.owner[keep], self.day[keep], self.is_held_out[keep], self.weight[keep])


def _week(history: History, moment: Moment, config: DiscoverConfig) -> _Rows:
    """Return the candidates of some active customers at a cutoff; a customer calibrates at every cutoff or at none."""
    grid = discover_grid(history, moment, config.rules)
    rng = np.random.default_rng([config.seed, moment.day])
    active = np.flatnonzero(grid.is_active)
    who = np.sort(rng.choice(active, min(config.n_customers, len(active)), replace=False))
    calibrates = np.random.default_rng(config.seed).random(int(grid.customers.max(initial=-1)) + 1) < config.held_out
    first = first_days(grid, history.purchases_after(moment, HORIZON_DAYS))
    parts = []
    for places in grid.blocks(who):
        block = grid.block(places)
        cells = block.candidates()
        held_out = calibrates[grid.customers[cells // grid.width]]
        day = np.asarray(first.reindex(cells).fillna(np.inf), dtype=np.float64)
        is_all_kept = held_out | np.isfinite(day)
        weight = np.where(is_all_kept, 1.0, 1.0 / config.learned)
        kept = is_all_kept | (rng.random(len(cells)) < config.learned)
        owner = cells[kept] // grid.width
        parts.append(_Rows(block.features(cells[kept]), owner, day[kept], held_out[kept], weight[kept]))
    return _Rows.of(parts)


def first_days(grid: DiscoverGrid, lines: pd.DataFrame) -> pd.Series[float]:
    """Return the first day (from 0) on which each cell was bought in the lines, by cell; only cells that were."""
    bought = lines[lines[c.IS_PURCHASE]]
    who = pd.Index(grid.customers).get_indexer(pd.Index(bought[c.CUSTOMER_ROW]))
    what = pd.Index(grid.products).get_indexer(pd.Index(bought[c.PRODUCT_ROW]))
    known = (who >= 0) & (what >= 0)
    days = pd.Series(bought[c.DAY_OFFSET].to_numpy(dtype=np.float64)[known])
    return days.groupby(who[known] * grid.width + what[known]).min()


def _trees(rows: _Rows, config: DiscoverConfig) -> BoostedTrees | None:
    labels = np.isfinite(rows.day).astype(np.float64)
    if min(labels.sum(), len(labels) - labels.sum()) < MIN_EVENTS:
        return None
    n_trees = int(np.clip(labels.sum() / config.events_per_tree, 1, config.trees.n_trees))
    features = rows.features.loc[:, rows.features.notna().any()]
    trees = replace(config.trees, n_trees=n_trees)
    return fit_trees(features, labels, trees, FitOptions(weights=rows.weight))


def _is_worth(trees: BoostedTrees, rows: _Rows) -> bool:
    """Return whether the trees rank what customers bought whom they have not seen better than popularity does."""
    learned, popular = (margin_of(each, rows.features) for each in (trees, None))
    return ranks_better(learned, popular, groups=rows.owner, is_hit=np.isfinite(rows.day))


_COLUMN, _PAIR = "grid_column", "pair"


def _best_stretches(stretches: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return each customer's best new categories, customers rising, with a number for each pair."""
    ordered = stretches.sort_values([c.CUSTOMER_ROW, c.P28, c.CATEGORY_ROW], ascending=[True, False, True])
    kept = ordered[place_in_run(ordered[c.CUSTOMER_ROW].to_numpy()) < n][[c.CUSTOMER_ROW, c.CATEGORY_ROW]]
    return kept.reset_index(drop=True).assign(**{_PAIR: np.arange(len(kept))})


def _offered(grid: DiscoverGrid) -> pd.DataFrame:
    """Return the columns of the best sellers of each category: category_row and the column of the grid."""
    category = grid.product_features[c.CATEGORY_ROW].to_numpy(dtype=np.int64)
    buyers = grid.product_features[c.N_CUSTOMERS_4W].to_numpy(dtype=np.float64)
    order = np.argsort(category, kind="stable")
    best = order[top_of_each(category[order], buyers[order], grid.rules.n_per_category)]
    return pd.DataFrame({c.CATEGORY_ROW: category[best], _COLUMN: best})


def _no_products() -> pd.DataFrame:
    rows = np.zeros(0, dtype=np.int32)
    return pd.DataFrame({c.CUSTOMER_ROW: rows, c.CATEGORY_ROW: rows, c.PRODUCT_ROW: rows, c.RANK: rows})
