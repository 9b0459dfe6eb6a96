"""How substitutes are judged: what households buy while a product of theirs is gone, against placebo products.

A natural experiment, found in the sales alone. A product that sold steadily is *gone* when nobody buys it for four
weeks: a silence that chance would hardly make. Of the households that had bought it, the purchases of the five that
were suggested, while it is gone ÷ before; divided by the same of placebo products: products of the same category that
sold as steadily and went on, so that season, and how households drift, cancel out. Suggestions are those of the latest
model that had learned before the silence began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from matplotlib.figure import Figure

from features import columns as c
from features.asof import Moment
from training import plots
from training.baskets import known_lines
from training.comparison import DRAWS, SEED, iso_days
from training.history import WEEK_DAYS, History
from training.intervals import statistic_interval
from training.judge import Judgement, MetricRow
from training.ranking import Label, Queries
from training.substitutes import FittedSubstitutes, SubstitutesModel
from training.topk import place_in_run, top_of_each

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

POPULARITY = "best sellers of the category"
GONE_TASK = "purchases of the suggested while a product is gone ÷ before, against placebo products"
LEFT_TASK = "what customers turn to in 28 days without a product of theirs"
N_SUGGESTED = 5
GONE_DAYS = 28
BEFORE_DAYS = 56
# Steady: 12 baskets are expected in the four weeks, and chance leaves none of them once in 160,000 times; a promotion
# or a season that has just begun fails the weeks.
MIN_BASKETS, MIN_WEEKS = 24, 7
MIN_OWN_BASKETS = 2


@dataclass(frozen=True)
class Sales:
    """One entry a basket and product: its customer (0..n_customers-1), product row and local day."""

    customer: IntArray
    product: IntArray
    day: IntArray
    n_customers: int
    n_products: int

    @classmethod
    def known(cls, history: History, n_products: int) -> Sales:
        """Return all purchases that the history knows."""
        lines = known_lines(history)
        lines = lines[lines[c.IS_PURCHASE]].drop_duplicates([c.ORDER_ROW, c.PRODUCT_ROW])
        customers, customer = np.unique(lines[c.CUSTOMER_ROW].to_numpy(), return_inverse=True)
        product, day = (lines[name].to_numpy(dtype=np.int64) for name in (c.PRODUCT_ROW, c.ORDERED_DAY))
        return cls(customer.astype(np.int64), product, day, len(customers), n_products)

    def between(self, first: int, end: int) -> sp.csr_array:
        """Return in how many baskets of the days from `first` to before `end` each customer bought each product."""
        kept = (self.day >= first) & (self.day < end)
        entries = (np.ones(int(kept.sum())), (self.customer[kept], self.product[kept]))
        return sp.csr_array(entries, shape=(self.n_customers, self.n_products))

    def steady(self, start: int) -> BoolArray:
        """Return which products sold steadily in the eight weeks before a day, and in the last of them."""
        kept = (self.day >= start - BEFORE_DAYS) & (self.day < start)
        n_weeks = BEFORE_DAYS // WEEK_DAYS
        week = (self.day[kept] - (start - BEFORE_DAYS)) // WEEK_DAYS
        cells = np.bincount(self.product[kept] * n_weeks + week, minlength=self.n_products * n_weeks)
        sold = cells.reshape(self.n_products, n_weeks)
        is_steady: BoolArray = (sold.sum(axis=1) >= MIN_BASKETS) & ((sold > 0).sum(axis=1) >= MIN_WEEKS)
        return is_steady & (sold[:, -1] > 0)


@dataclass(frozen=True)
class Silences:
    """The products that were gone from a day on, and their placebos with the weight of each."""

    start: int
    gone: IntArray
    placebo: IntArray
    weights: FloatArray


def silences(sales: Sales, start: int, groups: IntArray, is_answered: BoolArray) -> Silences:
    """Return what was gone in the four weeks from `start` on, among products for which something is suggested.

    A product is left out where its category (`groups`) has no placebo; the placebos of a category weigh together as
    much as its gone products.
    """
    is_steady = sales.steady(start) & is_answered
    n_sold = np.asarray(sales.between(start, start + GONE_DAYS).sum(axis=0)).ravel()
    gone, placebo = np.flatnonzero(is_steady & (n_sold == 0)), np.flatnonzero(is_steady & (n_sold > 0))
    size = int(groups.max(initial=0)) + 1
    n_gone = np.bincount(groups[gone], minlength=size)
    n_placebo = np.bincount(groups[placebo], minlength=size)
    gone = gone[n_placebo[groups[gone]] > 0]
    placebo = placebo[n_gone[groups[placebo]] > 0]
    return Silences(start, gone, placebo, n_gone[groups[placebo]] / n_placebo[groups[placebo]])


def purchases_around(sales: Sales, silent: Silences, suggested: sp.csr_array) -> FloatArray:
    """Return each customer's purchases of what is suggested, ``(4, n_customers)``.

    Rows: before and during of the gone products, before and during of the placebos. Only of customers who had bought
    the product itself in the eight weeks before. `suggested` is 1 at (product, suggestion).
    """
    before = sales.between(silent.start - BEFORE_DAYS, silent.start)
    during = sales.between(silent.start, silent.start + GONE_DAYS)
    buyers = before.copy()
    buyers.data[:] = 1.0
    rows = []
    for products, weights in ((silent.gone, np.ones(len(silent.gone))), (silent.placebo, silent.weights)):
        had, wanted = sp.csr_array(buyers[:, products]), sp.csr_array(suggested[products]).T
        rows += [np.asarray(had.multiply(each @ wanted) @ weights).ravel() for each in (before, during)]
    return np.array(rows)


def judge(fitted: Mapping[Moment, FittedSubstitutes], history: History) -> Judgement:
    """Return the judgement of models by the cutoff that each had learned up to.

    Beside the natural experiment, hit@5: a query is a customer and a product that they had bought in two baskets or
    more, did not buy in the 28 days after, while they bought of its category; a hit, that they bought one of the five.
    Best sellers win that one by being bought anyway.
    """
    notes = [note for model in fitted.values() for note in model.notes]
    rows = []
    around = [*_around(fitted, history)]
    n_gone = sum(each.n_gone for each in around)
    if n_gone:
        rows.append(gone_row(around))
        notes.append(f"substitutes: {n_gone} products that sold steadily were gone for four weeks")
    else:
        notes.append("substitutes: no product that sold steadily was gone for four weeks")
    queries = _pooled([left_queries(moment, model, history) for moment, model in fitted.items()])
    if len(queries.ours):
        rows.append(queries.row(Label(SubstitutesModel.name, LEFT_TASK, "hit@5", POPULARITY)))
    else:
        notes.append("substitutes: nobody had to do without")
    return Judgement(SubstitutesModel.name, iso_days(fitted), tuple(rows), (), tuple(sorted(set(notes))))


def figures(fitted: Mapping[Moment, FittedSubstitutes], history: History) -> dict[str, Figure]:
    """Return the pictures of the judgement: what it gains over the category's best sellers."""
    rows = judge(fitted, history).rows
    gains = [plots.Gain(row.metric, row.gain, row.gain_low, row.gain_high) for row in rows]
    return {"gains.png": plots.comparison_figure(gains, title="substitutes: ours minus best sellers")} if gains else {}


@dataclass(frozen=True)
class Around:
    """Purchases around the silences of one day (as `purchases_around` has them), by our list and the baseline's."""

    ours: FloatArray
    theirs: FloatArray
    n_gone: int


def _around(fitted: Mapping[Moment, FittedSubstitutes], history: History) -> Iterator[Around]:
    """Yield the purchases around each week's silences that end within the history."""
    if not fitted:
        return
    moments = sorted(fitted)
    sales = Sales.known(history, len(fitted[moments[0]].popularity))
    ends = [*(each.day for each in moments[1:]), history.known_until.day]
    for moment, end in zip(moments, ends, strict=True):
        yield from purchases_by_week(fitted[moment], sales, range(moment.day, end, WEEK_DAYS), history)


def purchases_by_week(
    model: FittedSubstitutes, sales: Sales, starts: Iterable[int], history: History
) -> Iterator[Around]:
    """Yield the purchases around the silences that begin on the days `starts` and end within the history."""
    ours = _as_matrix(_suggested(model), len(model.popularity))
    theirs = _as_matrix(_best_others(model), len(model.popularity))
    is_answered = np.diff(ours.indptr) > 0
    for start in starts:
        if start - BEFORE_DAYS < history.tables.first_day or start + GONE_DAYS > history.known_until.day:
            continue
        silent = silences(sales, start, model.groups, is_answered)
        if len(silent.gone):
            by_list = [purchases_around(sales, silent, each) for each in (ours, theirs)]
            yield Around(by_list[0], by_list[1], len(silent.gone))


def gone_row(around: Sequence[Around]) -> MetricRow:
    """Return the ratio of ratios by our lists, beside that by the baseline's, with intervals by customer."""
    ours = np.sum([each.ours for each in around], axis=0)
    theirs = np.sum([each.theirs for each in around], axis=0)
    took_part = np.flatnonzero((ours + theirs).any(axis=0))
    ours, theirs = ours[:, took_part], theirs[:, took_part]

    def interval(statistic: Callable[[FloatArray], float]) -> tuple[float, float, float]:
        found = statistic_interval(statistic, took_part, np.random.default_rng(SEED), draws=DRAWS)
        return found.value, found.low, found.high

    value, low, high = interval(lambda weights: _ratio_of_ratios(ours @ weights))
    gain, gain_low, gain_high = interval(
        lambda weights: _ratio_of_ratios(ours @ weights) - _ratio_of_ratios(theirs @ weights)
    )
    return MetricRow(
        model=SubstitutesModel.name,
        task=GONE_TASK,
        metric="ratio@5",
        ours=value,
        low=low,
        high=high,
        baseline=POPULARITY,
        baseline_value=_ratio_of_ratios(theirs.sum(axis=1)),
        gain=gain,
        gain_low=gain_low,
        gain_high=gain_high,
    )


def left_queries(moment: Moment, model: FittedSubstitutes, history: History) -> Queries:
    """Return whether each query of hit@5 (see `judge`) was a hit, by our list and by the category's best sellers."""
    lines = history.purchases_after(moment, GONE_DAYS)
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
    pairs = model.pairs
    return pairs[place_in_run(pairs[c.PRODUCT_ROW].to_numpy()) < N_SUGGESTED][[c.PRODUCT_ROW, c.OTHER_ROW]]


def _best_sellers(model: FittedSubstitutes) -> pd.DataFrame:
    """Return the best sellers of each category, one more than are suggested: the query itself may be among them."""
    order = np.argsort(model.groups, kind="stable")
    best = order[top_of_each(model.groups[order], model.popularity[order], N_SUGGESTED + 1)]
    return pd.DataFrame({c.CATEGORY_ROW: model.groups[best], c.OTHER_ROW: best.astype(np.int32)})


def _best_others(model: FittedSubstitutes) -> pd.DataFrame:
    """Return the five best sellers of its category beside each product that has suggestions."""
    asked = pd.DataFrame({c.PRODUCT_ROW: model.pairs[c.PRODUCT_ROW].unique()})
    asked[c.CATEGORY_ROW] = model.groups[asked[c.PRODUCT_ROW].to_numpy()]
    shown = asked.merge(_best_sellers(model), on=c.CATEGORY_ROW)
    shown = shown[shown[c.OTHER_ROW] != shown[c.PRODUCT_ROW]]
    return shown[shown.groupby(c.PRODUCT_ROW).cumcount() < N_SUGGESTED]


def _as_matrix(suggested: pd.DataFrame, n_products: int) -> sp.csr_array:
    rows, columns = suggested[c.PRODUCT_ROW].to_numpy(), suggested[c.OTHER_ROW].to_numpy()
    return sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=(n_products, n_products))


def _pooled(parts: Sequence[Queries]) -> Queries:
    ours, theirs = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ours", "theirs"))
    return Queries(ours, theirs, np.concatenate([part.customers for part in parts]))


def _ratio_of_ratios(sums: FloatArray) -> float:
    """Return (during ÷ before of the gone) ÷ (during ÷ before of the placebos); NaN where one can't be had."""
    gone_before, gone_during, placebo_before, placebo_during = sums
    below = gone_before * placebo_during
    return float(gone_during * placebo_before / below) if below > 0 else float("nan")


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
