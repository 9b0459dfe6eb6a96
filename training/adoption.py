"""How fast categories are taken up by those to whom they are new: shares of the weeks before a moment.

Each window is judged as a stretch is: eligible are those whom a model would have learned from when it began, and to
whom the category was new then. The windows end at the moment, so that nothing later is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from features.asof import Moment
from training.baskets import binary_matrix
from training.history import History

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FOUR_WEEKS, TWO_WEEKS = 28, 14
_PRIOR_CUSTOMERS = 4.0  # customers that a category's share of buyers counts as, where nobody was eligible
_MIN_SHARE = 1e-4


@dataclass(frozen=True)
class Newness:
    """When something is new to a customer, and whom a model learns from (training.stretch_grid.StretchRules)."""

    new_days: int
    active_days: int
    min_baskets: int
    first_weeks_days: int

    def learners(self, history: History, moment: Moment) -> IntArray:
        """Return the rows of the customers to learn from, rising.

        `min_baskets` baskets in 26 weeks, the last within `active_days`, the first `new_days` ago or more (less where
        the source is younger: those of its first `first_weeks_days`).
        """
        span = moment.day - history.tables.first_day
        min_tenure = min(self.new_days, max(span - self.first_weeks_days, 0))
        frame = history.features(
            "customers", moment, [c.CUSTOMER_ROW, c.N_BASKETS_26W, c.RECENCY_DAYS, c.TENURE_DAYS]
        ).sort_values(c.CUSTOMER_ROW)
        is_learner = (
            (frame[c.N_BASKETS_26W] >= self.min_baskets)
            & (frame[c.RECENCY_DAYS] <= self.active_days)
            & (frame[c.TENURE_DAYS] >= min_tenure)
        )
        return frame.loc[is_learner, c.CUSTOMER_ROW].to_numpy(dtype=np.int64)


@dataclass(frozen=True)
class Adoption:
    """What was taken up before a moment, by category ``(n_items,)`` or by customer ``(n_customers,)``.

    Attributes
    ----------
    share, share_before, share_2w
        Of those to whom a category was new, those who bought it in the last 4 weeks, in the 4 before these, and in the
        last 2.
    n_4w, n_8w
        How many categories that were new to them a customer took up in the last 4 weeks, and in 8.
    """

    share: FloatArray
    share_before: FloatArray
    share_2w: FloatArray
    n_4w: FloatArray
    n_8w: FloatArray


def adoption(history: History, moment: Moment, who: IntArray, what: IntArray, newness: Newness) -> Adoption:
    """Return what the customers `who` took up of the categories `what` (rows, rising) before `moment`."""
    share = history.features("categories", moment, [c.CATEGORY_ROW, c.BUYER_SHARE_4W]).set_index(c.CATEGORY_ROW)
    prior = share[c.BUYER_SHARE_4W].reindex(what).fillna(0.0).to_numpy(dtype=np.float64)
    zone = history.tables.time_zone
    weeks_4, weeks_8, weeks_2 = (
        _window(history, moment.plus_days(-start, zone), days, (who, what), newness)
        for start, days in ((FOUR_WEEKS, FOUR_WEEKS), (2 * FOUR_WEEKS, FOUR_WEEKS), (TWO_WEEKS, TWO_WEEKS))
    )
    by_customer = np.asarray(weeks_4.taken.sum(axis=1), dtype=np.float64)
    return Adoption(
        share=weeks_4.share(prior),
        share_before=weeks_8.share(prior),
        share_2w=weeks_2.share(prior / 2),
        n_4w=by_customer,
        n_8w=by_customer + np.asarray(weeks_8.taken.sum(axis=1), dtype=np.float64),
    )


@dataclass(frozen=True)
class _Window:
    """What was taken up in one window ``(n_customers, n_items)``, and to how many each was new ``(n_items,)``."""

    taken: sp.csr_array
    n_eligible: FloatArray

    def share(self, prior: FloatArray) -> FloatArray:
        taken = np.asarray(self.taken.sum(axis=0), dtype=np.float64)
        found = (taken + _PRIOR_CUSTOMERS * prior) / (self.n_eligible + _PRIOR_CUSTOMERS)
        return np.asarray(np.maximum(found, _MIN_SHARE), dtype=np.float64)


def _window(history: History, start: Moment, days: int, rows: tuple[IntArray, IntArray], newness: Newness) -> _Window:
    """Return what was taken up in the `days` from `start`; before the source begins nobody was eligible."""
    if start.day < history.tables.first_day:
        return _Window(sp.csr_array((len(rows[0]), len(rows[1]))), np.zeros(len(rows[1])))
    learners = newness.learners(history, start)
    owned = history.features("customer_categories", start, [c.CUSTOMER_ROW, c.CATEGORY_ROW, c.RECENCY_DAYS])
    held = _matrix(owned[owned[c.RECENCY_DAYS] <= newness.new_days], rows)
    lines = history.purchases_after(start, days)
    bought = _matrix(lines[lines[c.IS_PURCHASE]], rows)
    is_learner = sp.diags_array(np.isin(rows[0], learners).astype(np.float64))
    held, bought = is_learner @ held, is_learner @ bought
    taken = sp.csr_array(bought - bought.multiply(held))
    taken.eliminate_zeros()
    n_learners = float(np.isin(learners, rows[0]).sum())
    return _Window(taken, np.asarray(n_learners - held.sum(axis=0), dtype=np.float64))


def _matrix(frame: pd.DataFrame, rows: tuple[IntArray, IntArray]) -> sp.csr_array:
    who = pd.Index(rows[0]).get_indexer(pd.Index(frame[c.CUSTOMER_ROW]))
    what = pd.Index(rows[1]).get_indexer(pd.Index(frame[c.CATEGORY_ROW]))
    is_known = (who >= 0) & (what >= 0)
    return binary_matrix(who[is_known], what[is_known], (len(rows[0]), len(rows[1])))
