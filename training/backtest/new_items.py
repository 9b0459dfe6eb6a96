"""Customers × items that are new to them: what stretch and discover are judged on, for ours and every peer alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from features.asof import Moment
from training.backtest.observation import OURS, Observation
from training.baskets import binary_matrix, entries_at
from training.history import History
from training.metrics import RANK
from training.ranking import Ranked
from training.topk import place_in_run, top_of_each

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

K = 10
SPAN_DAYS, ACTIVE_DAYS, MIN_BASKETS = 182, 56, 3
FIRST_WEEKS_DAYS = 28
NOTHING = -1


@dataclass(frozen=True)
class Board:
    """Customers ``(n,)`` × items ``(m,)``, rows ascending.

    `owned` ``(n, m)`` is 1 where an item is not new to the customer; `day` ``(n, m)`` is 1 + the first day from the
    cutoff on which they bought it, where they did and it was new to them.
    """

    customers: IntArray
    items: IntArray
    owned: sp.csr_array
    day: sp.csr_array

    @classmethod
    def of(cls, customers: IntArray, items: IntArray, owned: pd.DataFrame, bought: pd.DataFrame) -> Board:
        """Return the board of frames of (customer_row, item row); `bought` has `day_offset` as its last column."""
        shape = (len(customers), len(items))
        held = binary_matrix(*_places(owned, customers, items)[:2], shape)
        who, what, is_known = _places(bought, customers, items)
        day = bought[c.DAY_OFFSET].to_numpy(dtype=np.float64)[is_known] + 1.0
        is_new = entries_at(held, who, what) == 0
        first = pd.DataFrame({"who": who[is_new], "what": what[is_new], "day": day[is_new]})
        earliest = first.groupby(["who", "what"])["day"].min().reset_index()
        place = (earliest["who"].to_numpy(), earliest["what"].to_numpy())
        return cls(customers, items, held, sp.csr_array((earliest["day"].to_numpy(), place), shape=shape))

    def n_true(self, days: int) -> IntArray:
        """Return how many new items each customer bought within `days`."""
        within = self.day.data <= days
        who = np.repeat(np.arange(len(self.customers)), np.diff(self.day.indptr))[within]
        return np.bincount(who, minlength=len(self.customers)).astype(np.int64)

    def days_of(self, firsts: IntArray) -> FloatArray:
        """Return on which day (from 0) each place of a list ``(n, k)`` was first bought, inf where it wasn't."""
        who = np.repeat(np.arange(len(firsts)), firsts.shape[1])
        found = entries_at(self.day, who, np.maximum(firsts.ravel(), 0))
        is_bought = (found > 0) & (firsts.ravel() >= 0)
        return np.where(is_bought, found - 1.0, np.inf).reshape(firsts.shape)

    def ranked(self, firsts: IntArray, days: int) -> Ranked:
        """Return how lists ``(n, k)`` of places in `items` (−1: nothing) did within `days`."""
        return Ranked(self.days_of(firsts) < days, self.n_true(days))

    def best(self, scores: FloatArray, k: int = K) -> IntArray:
        """Return the places of each customer's `k` best new items ``(n, k)`` by scores ``(n, m)``; −1: no more."""
        firsts = np.full((len(self.customers), k), NOTHING, dtype=np.int64)
        if scores.size:
            is_owned = np.asarray(self.owned.todense()) > 0
            flat = np.where(is_owned, -np.inf, scores).ravel()
            best = top_of_each(np.repeat(np.arange(scores.shape[0]), scores.shape[1]), flat, k)
            best = best[np.isfinite(flat[best])]
            who, what = np.divmod(best, scores.shape[1])
            firsts[who, place_in_run(who)] = what
        return firsts

    def served(self, lists: pd.DataFrame, item: str, k: int = K) -> IntArray:
        """Return the places of each customer's first `k` new items ``(n, k)`` in served lists; −1: there are fewer.

        `lists` has customer_row, `item` and rank. What is not new to the customer, or no item of the board, is passed
        over: it can be no hit.
        """
        who, what, is_known = _places(lists[[c.CUSTOMER_ROW, item]], self.customers, self.items)
        rank = lists[RANK].to_numpy()[is_known]
        is_new = entries_at(self.owned, who, what) == 0
        order = np.lexsort((rank[is_new], who[is_new]))
        who, what = who[is_new][order], what[is_new][order]
        place = place_in_run(who)
        firsts = np.full((len(self.customers), k), NOTHING, dtype=np.int64)
        firsts[who[place < k], place[place < k]] = what[place < k]
        return firsts


@dataclass(frozen=True)
class Lists:
    """The first items of every ranker, by name, on one board; `OURS` is one of them."""

    board: Board
    firsts: dict[str, IntArray]

    def observation(self, task: str, metric: str, days: int) -> Observation:
        """Return one of precision@1, recall@10 and nDCG@10 within `days`, a number a customer."""
        read = {"precision@1": Ranked.precision_at_1, "recall@10": Ranked.recall, "nDCG@10": Ranked.ndcg}[metric]
        ranked = {name: self.board.ranked(firsts, days) for name, firsts in self.firsts.items()}
        return Observation(task, metric, {name: read(each) for name, each in ranked.items()}, self.board.customers)

    def n_unserved(self) -> dict[str, float]:
        """Return which share of the customers each ranker has nothing for."""
        return {name: float((firsts[:, 0] == NOTHING).mean()) for name, firsts in self.firsts.items()}


def chances_of(board: Board, shown: IntArray, lists: pd.DataFrame, column: str) -> FloatArray:
    """Return `column` of the item that each customer is shown (its place, −1: nothing), NaN where there is none.

    `lists` has customer_row, the item's row and `column`, one row a pair.
    """
    item = next(name for name in (c.CATEGORY_ROW, c.PRODUCT_ROW) if name in lists)
    who, what, is_known = _places(lists[[c.CUSTOMER_ROW, item]], board.customers, board.items)
    is_shown = shown[who] == what
    found = np.full(len(board.customers), np.nan)
    found[who[is_shown]] = lists[column].to_numpy(dtype=np.float64)[is_known][is_shown]
    return found


def judged_customers(known: History, moment: Moment) -> IntArray:
    """Return who is judged: 3 baskets or more in 26 weeks, the last within 56 days, the first 26 weeks ago or more.

    Where the source has no 26 weeks before the cutoff, those count who began in its first four weeks.
    """
    min_tenure = min(SPAN_DAYS, max(moment.day - known.tables.first_day - FIRST_WEEKS_DAYS, 0))
    frame = known.features(
        "customers", moment, [c.CUSTOMER_ROW, c.N_BASKETS_26W, c.RECENCY_DAYS, c.TENURE_DAYS]
    ).sort_values(c.CUSTOMER_ROW)
    is_judged = (
        (frame[c.N_BASKETS_26W] >= MIN_BASKETS)
        & (frame[c.RECENCY_DAYS] <= ACTIVE_DAYS)
        & (frame[c.TENURE_DAYS] >= min_tenure)
    )
    return frame.loc[is_judged, c.CUSTOMER_ROW].to_numpy(dtype=np.int64)


def asked_only(customers: IntArray, asked: npt.ArrayLike | None) -> IntArray:
    """Return those of the customers who were asked for; None is everyone."""
    return customers if asked is None else customers[np.isin(customers, np.asarray(asked))]


def calibration(task: str, board: Board, shown: IntArray, chance: FloatArray, days: int) -> tuple[Observation, ...]:
    """Return ECE, expected ÷ observed and Brier skill of the chances of the one item shown, within `days`."""
    is_shown = (shown >= 0) & np.isfinite(chance)
    outcomes = (board.days_of(shown[:, None])[:, 0] < days).astype(np.float64)[is_shown]
    ece = Observation(
        task,
        "ECE",
        {OURS: chance[is_shown]},
        board.customers[is_shown],
        "ece",
        higher_is_better=False,
        outcomes=outcomes,
    )
    ratio = replace(ece, metric="expected ÷ observed", statistic="expected_over_observed")
    return ece, ratio, replace(ece, metric="Brier skill", statistic="brier_skill", higher_is_better=True)


def _places(
    frame: pd.DataFrame, customers: IntArray, items: IntArray
) -> tuple[IntArray, IntArray, npt.NDArray[np.bool_]]:
    """Return the places of customer and item of the rows that are on the board, and which rows those are."""
    item = next(name for name in frame.columns if name not in (c.CUSTOMER_ROW, c.DAY_OFFSET))
    who = pd.Index(customers).get_indexer(pd.Index(frame[c.CUSTOMER_ROW]))
    what = pd.Index(items).get_indexer(pd.Index(frame[item]))
    is_known = (who >= 0) & (what >= 0)
    return who[is_known].astype(np.int64), what[is_known].astype(np.int64), is_known
