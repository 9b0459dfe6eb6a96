"""Substitutes: what meets the same need. Households buy both over time, but not in the same basket.

signal = ln(household lift) − ln(basket lift), for products of one category: lift is how often two are together, over
what their popularity gives, both drawn to 1 by `prior` pairs. Above 0 they stand for each other; below 0 they go
together: the complement signal (`complements`). Substitutes rank by signal + popularity_weight · ln(baskets + 1). Where
the source has no categories, implicit's nearest products by household stand in for the category.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from matplotlib.figure import Figure

from features import columns as c
from features.asof import Moment
from training import plots
from training.baskets import Baskets, baskets_of, entries_at, known_lines
from training.comparison import iso_days
from training.history import History
from training.item_to_item import nearest_items
from training.judge import Judgement
from training.ranking import Label, Queries
from training.topk import place_in_run, top_of_each

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

POPULARITY = "best sellers of the category"
TASK = "what customers turn to in 28 days without a product of theirs"
HORIZON_DAYS = 28
N_SUGGESTED = 5
MIN_OWN_BASKETS = 2


@dataclass(frozen=True)
class SubstitutesConfig:
    """Settings of the substitutes; only products with `min_customers` customers have any."""

    prior: float = 3.0
    popularity_weight: float = 0.3
    min_customers: int = 5
    min_households: int = 3
    n_neighbours: int = 20
    max_category_products: int = 3000
    max_household_products: int = 300
    n_threads: int = 2


@dataclass(frozen=True)
class FittedSubstitutes:
    """`pairs` has product_row, other_row and score of both kinds, by product and falling score."""

    config: SubstitutesConfig
    pairs: pd.DataFrame
    groups: IntArray
    popularity: FloatArray
    notes: tuple[str, ...] = ()
    feature_names: ClassVar[tuple[str, ...]] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:  # noqa: ARG002  # the models' common form
        """Return product_row, other_row and score (> 0) of at most `n_neighbours` substitutes of each product."""
        kept = self.pairs[self.pairs[c.SCORE] > 0]
        place = place_in_run(kept[c.PRODUCT_ROW].to_numpy())
        return kept[place < self.config.n_neighbours].reset_index(drop=True)

    def complements(self) -> pd.DataFrame:
        """Return product_row, other_row, score (< 0) of what goes together within a category, strongest first."""
        kept = self.pairs[self.pairs[c.SCORE] < 0]
        return kept.sort_values([c.PRODUCT_ROW, c.SCORE, c.OTHER_ROW], ignore_index=True)

    @property
    def importance(self) -> dict[str, float]:
        """Return nothing: the score has no learned weights."""
        return {}

    def artifacts(self) -> dict[str, str]:
        """Return the settings; the pairs themselves are arrays of the bundle."""
        summary = {"config": asdict(self.config), "n_pairs": len(self.pairs), "notes": list(self.notes)}
        return {"substitutes.json": json.dumps(summary, indent=1)}


class SubstitutesModel:
    """Learns from all lines of merchandise that the history knows."""

    name: ClassVar[str] = "substitutes"

    def __init__(self, config: SubstitutesConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedSubstitutes:
        """Return the pairs; where nothing is known of any, a note says so."""
        products = history.tables.read("products", [c.PRODUCT_ROW, c.CATEGORY_ROW]).sort_values(c.PRODUCT_ROW)
        groups = products[c.CATEGORY_ROW].to_numpy(dtype=np.int64)
        lines = known_lines(history)
        baskets = baskets_of(lines[lines[c.IS_PURCHASE]], len(products))
        if not history.tables.has_categories:
            groups = np.zeros(len(products), dtype=np.int64)
        pairs = substitutes(baskets, groups, self.config, has_categories=history.tables.has_categories)
        notes = () if len(pairs) else ("substitutes: no two products of a category have enough households in common",)
        return FittedSubstitutes(self.config, pairs, groups, baskets.popularity, notes)


def substitutes(
    baskets: Baskets, groups: IntArray, config: SubstitutesConfig, *, has_categories: bool = True
) -> pd.DataFrame:
    """Return product_row, other_row and score of pairs within a group that enough households have both of.

    `groups` has each product's category. Sorted by product, then falling score.
    """
    households = baskets.by_customer()
    n_customers = np.bincount(households.indices, minlength=len(groups))
    if has_categories:
        counted = _pairs_in_groups(
            households, baskets.matrix, np.where(n_customers >= config.min_customers, groups, -1), config
        )
    else:
        counted = iter([_nearest_pairs(households, baskets, n_customers >= config.min_customers, config)])
    parts = [_scored(pairs, households.shape[0], baskets, n_customers, config) for pairs in counted]
    frame = pd.concat([_empty(), *parts], ignore_index=True)
    order = np.lexsort((frame[c.OTHER_ROW], -frame[c.SCORE], frame[c.PRODUCT_ROW]))
    return frame.iloc[order].reset_index(drop=True)


@dataclass(frozen=True)
class _Pairs:
    """Pairs of products with the number of households and of baskets that have both."""

    one: IntArray
    other: IntArray
    n_households: FloatArray
    n_baskets: FloatArray


def _pairs_in_groups(
    households: sp.csr_array, baskets: sp.csr_array, groups: IntArray, config: SubstitutesConfig
) -> Iterator[_Pairs]:
    """Yield the pairs of each group; of very large groups only those of the products with most households."""
    by_household, by_basket = sp.csc_array(households), sp.csc_array(baskets)
    members = np.argsort(groups, kind="stable")
    members = members[groups[members] >= 0]
    n_customers = np.diff(by_household.indptr)
    for group in np.split(members, np.flatnonzero(np.diff(groups[members])) + 1):
        if len(group) < 2:
            continue
        best = group[np.argsort(-n_customers[group], kind="stable")[: config.max_category_products]]
        chosen = np.sort(best)
        both = sp.csr_array(by_household[:, chosen].T @ by_household[:, chosen]).tocoo()
        kept = (both.row != both.col) & (both.data >= config.min_households)
        row, column = both.row[kept], both.col[kept]
        together = sp.csr_array(by_basket[:, chosen].T @ by_basket[:, chosen])
        yield _Pairs(chosen[row], chosen[column], both.data[kept], entries_at(together, row, column))


def _nearest_pairs(
    households: sp.csr_array, baskets: Baskets, is_known: npt.NDArray[np.bool_], config: SubstitutesConfig
) -> _Pairs:
    """Return each product's nearest ones by household, with their counts."""
    n_items = households.shape[1]
    small = np.flatnonzero(np.diff(households.indptr) <= config.max_household_products)
    kept = sp.csr_array(households[small] @ sp.diags_array(is_known.astype(np.float64)))
    kept.eliminate_zeros()
    popularity = np.maximum(np.bincount(kept.indices, minlength=n_items), 1.0)
    scaled = sp.csr_array(kept @ sp.diags_array(popularity**-0.5))
    near = nearest_items(scaled, n_items, k=3 * config.n_neighbours, n_threads=config.n_threads).tocoo()
    both = np.rint(near.data * np.sqrt(popularity[near.row] * popularity[near.col]))
    enough = both >= config.min_households
    one, other = near.row[enough].astype(np.int64), near.col[enough].astype(np.int64)
    together = _together(baskets.matrix, one, other)
    return _Pairs(one, other, both[enough], together)


def _together(matrix: sp.csr_array, one: IntArray, other: IntArray) -> FloatArray:
    """Return how many rows have both of each pair, a thousand pairs at a time."""
    by_item = sp.csc_array(matrix)
    parts = [
        np.asarray(by_item[:, one[i : i + 1000]].multiply(by_item[:, other[i : i + 1000]]).sum(axis=0)).ravel()
        for i in range(0, len(one), 1000)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _scored(
    pairs: _Pairs, n_households: int, baskets: Baskets, n_customers: IntArray, config: SubstitutesConfig
) -> pd.DataFrame:
    popularity, n_baskets = baskets.popularity, max(baskets.matrix.shape[0], 1)
    by_household = n_customers[pairs.one] * n_customers[pairs.other] / max(n_households, 1)
    by_basket = popularity[pairs.one] * popularity[pairs.other] / n_baskets
    score = np.log((pairs.n_households + config.prior) / (by_household + config.prior))
    score -= np.log((pairs.n_baskets + config.prior) / (by_basket + config.prior))
    likely = config.popularity_weight * np.log1p(popularity[pairs.other])
    return pd.DataFrame(
        {
            c.PRODUCT_ROW: pairs.one.astype(np.int32),
            c.OTHER_ROW: pairs.other.astype(np.int32),
            c.SCORE: np.where(score > 0, score + likely, score),
        }
    )


def _empty() -> pd.DataFrame:
    rows = np.zeros(0, dtype=np.int32)
    return pd.DataFrame({c.PRODUCT_ROW: rows, c.OTHER_ROW: rows, c.SCORE: np.zeros(0)})


def judge(fitted: Mapping[Moment, FittedSubstitutes], history: History) -> Judgement:
    """Return the judgement of models by the cutoff that each had learned up to.

    A query is a customer and a product that they had bought in two baskets or more, did not buy in the 28 days after,
    while they bought of its category; hit@5 is whether they bought one of the five suggested.
    """
    notes = tuple(sorted({note for model in fitted.values() for note in model.notes}))
    parts = [_queries(moment, model, history) for moment, model in fitted.items()]
    ours, theirs = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ours", "theirs"))
    queries = Queries(ours, theirs, np.concatenate([part.customers for part in parts]))
    if len(queries.ours) == 0:
        return Judgement(
            SubstitutesModel.name, iso_days(fitted), (), (), (*notes, "substitutes: nobody had to do without")
        )
    label = Label(SubstitutesModel.name, TASK, "hit@5", POPULARITY)
    return Judgement(SubstitutesModel.name, iso_days(fitted), (queries.row(label),), (), notes)


def figures(fitted: Mapping[Moment, FittedSubstitutes], history: History) -> dict[str, Figure]:
    """Return the pictures of the judgement: what it gains over the category's best sellers."""
    rows = judge(fitted, history).rows
    gains = [plots.Gain(row.metric, row.gain, row.gain_low, row.gain_high) for row in rows]
    return {"gains.png": plots.comparison_figure(gains, title="substitutes: ours minus best sellers")} if gains else {}


def _queries(moment: Moment, model: FittedSubstitutes, history: History) -> Queries:
    lines = history.purchases_after(moment, HORIZON_DAYS)
    lines = lines.loc[lines[c.IS_PURCHASE], [c.CUSTOMER_ROW, c.PRODUCT_ROW]].drop_duplicates()
    own = history.features("customer_products", moment, [c.CUSTOMER_ROW, c.PRODUCT_ROW, c.N_BASKETS])
    own = own.loc[own[c.N_BASKETS] >= MIN_OWN_BASKETS, [c.CUSTOMER_ROW, c.PRODUCT_ROW]]
    bought = lines.assign(**{c.CATEGORY_ROW: model.groups[lines[c.PRODUCT_ROW].to_numpy()]})
    own = own.merge(lines.assign(is_bought=True), on=[c.CUSTOMER_ROW, c.PRODUCT_ROW], how="left")
    own = own[own["is_bought"].isna()]
    own = own.assign(**{c.CATEGORY_ROW: model.groups[own[c.PRODUCT_ROW].to_numpy()]})
    went = bought[[c.CUSTOMER_ROW, c.CATEGORY_ROW]].drop_duplicates()
    gone = own.merge(went, on=[c.CUSTOMER_ROW, c.CATEGORY_ROW])
    ours, theirs = _suggested(model), _best_sellers(model)
    gone = gone[gone[c.PRODUCT_ROW].isin(ours[c.PRODUCT_ROW])].reset_index(drop=True)
    hits = [_hits(gone, each, key, lines) for each, key in ((ours, c.PRODUCT_ROW), (theirs, c.CATEGORY_ROW))]
    return Queries(hits[0], hits[1], gone[c.CUSTOMER_ROW].to_numpy(dtype=np.int64))


def _suggested(model: FittedSubstitutes) -> pd.DataFrame:
    pairs = model.pairs[model.pairs[c.SCORE] > 0]
    return pairs[place_in_run(pairs[c.PRODUCT_ROW].to_numpy()) < N_SUGGESTED][[c.PRODUCT_ROW, c.OTHER_ROW]]


def _best_sellers(model: FittedSubstitutes) -> pd.DataFrame:
    """Return the best sellers of each category, one more than are suggested: the query itself may be among them."""
    order = np.argsort(model.groups, kind="stable")
    best = order[top_of_each(model.groups[order], model.popularity[order], N_SUGGESTED + 1)]
    return pd.DataFrame({c.CATEGORY_ROW: model.groups[best], c.OTHER_ROW: best.astype(np.int32)})


def _hits(gone: pd.DataFrame, suggested: pd.DataFrame, key: str, lines: pd.DataFrame) -> FloatArray:
    """Return 1 for each query of which one of the first five suggested products was bought, else 0."""
    query = gone[[c.CUSTOMER_ROW, c.PRODUCT_ROW, c.CATEGORY_ROW]].assign(query=np.arange(len(gone)))
    shown = query.merge(suggested, on=key)
    shown = shown[shown[c.OTHER_ROW] != shown[c.PRODUCT_ROW]]
    shown = shown[shown.groupby("query").cumcount() < N_SUGGESTED]
    bought = lines.rename(columns={c.PRODUCT_ROW: c.OTHER_ROW})
    found = shown.merge(bought, on=[c.CUSTOMER_ROW, c.OTHER_ROW])["query"].unique()
    hits = np.zeros(len(gone))
    hits[found] = 1.0
    return hits
