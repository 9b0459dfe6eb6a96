"""Substitutes: what customers buy instead while a product of theirs is gone, and of what they turn to without it.

Two views of the five that are suggested, beside the five best sellers of the product's category; definitions are those
of training.substitutes_judging. The silences of a cutoff are those that begin in the four weeks after it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features import columns as c
from training.backtest.observation import OURS, Findings, Observation
from training.backtest.task import Served, Task
from training.baskets import baskets_of, known_lines
from training.history import WEEK_DAYS
from training.substitutes import FittedSubstitutes, SubstitutesConfig
from training.substitutes_judging import GONE_DAYS, POPULARITY, Around, Sales, left_queries, purchases_by_week

GONE = "substitutes: purchases of the five while a product is gone ÷ before, against placebo products"
LEFT = "substitutes: what customers turn to in 28 days without a product of theirs"
WINDOW_DAYS = 28
_NONE_GONE = "substitutes: no product that sold steadily was gone for four weeks"
_NOBODY = "substitutes: nobody had to do without"


def observe(served: Served) -> Findings:
    """Return what was bought of the substitutes in the bundle."""
    lists = served_lists(served)
    sales = Sales.known(served.history, len(lists.popularity))
    starts = range(served.moment.day, served.moment.day + WINDOW_DAYS, WEEK_DAYS)
    around = [*purchases_by_week(lists, sales, starts, served.history)]
    queries = left_queries(served.moment, lists, served.history)
    found, notes = [], []
    if around:
        found.append(_of_silences(around))
        notes.append(f"substitutes: {sum(each.n_gone for each in around)} products were gone, counted by week")
    else:
        notes.append(_NONE_GONE)
    if len(queries.ours):
        hits = {OURS: queries.ours, POPULARITY: queries.theirs}
        found.append(Observation(LEFT, "hit@5", hits, queries.customers))
    else:
        notes.append(_NOBODY)
    return Findings(tuple(found), notes=tuple(notes))


def served_lists(served: Served) -> FittedSubstitutes:
    """Return the substitutes of the bundle, with the category and the baskets of every product as of the cutoff."""
    products = served.history.tables.read("products", [c.PRODUCT_ROW, c.CATEGORY_ROW]).sort_values(c.PRODUCT_ROW)
    groups = products[c.CATEGORY_ROW].to_numpy(dtype=np.int64)
    if not served.history.tables.has_categories:
        groups = np.zeros(len(products), dtype=np.int64)
    lines = known_lines(served.known)
    baskets = baskets_of(lines[lines[c.IS_PURCHASE]], len(products))
    held = served.bundle.substitute
    pairs = pd.DataFrame(
        {
            c.PRODUCT_ROW: np.repeat(np.arange(len(products), dtype=np.int32), np.diff(held.offsets)),
            c.OTHER_ROW: np.asarray(held.product, dtype=np.int32),
            c.SCORE: np.asarray(held.score, dtype=np.float64),
        }
    )
    return FittedSubstitutes(SubstitutesConfig(), pairs, groups, baskets.popularity)


def _of_silences(around: list[Around]) -> Observation:
    """Return each customer's four sums; those that have none in any are left out."""
    sums = {name: np.sum([getattr(each, side) for each in around], axis=0) for name, side in _SIDES.items()}
    took_part = np.flatnonzero(sum(sums.values()).any(axis=0))
    return Observation(
        GONE,
        "ratio@5",
        {name: each[:, took_part].ravel() for name, each in sums.items()},
        np.tile(took_part, 4).astype(np.int64),
        statistic="ratio_of_ratios",
        groups=np.repeat(np.arange(4), len(took_part)),
    )


_SIDES = {OURS: "ours", POPULARITY: "theirs"}

SUBSTITUTES = Task(
    name="substitutes",
    group="Also bought",
    window_days=GONE_DAYS,
    n_cutoffs=3,
    needs=("substitutes",),
    observe=observe,
)
