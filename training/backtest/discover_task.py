"""Discover: merchandise that a customer has never bought, and which of it they buy in the next week and four weeks.

The same customers as stretch. recall@10 is over all that they bought for the first time, whether any ranker had it
among its candidates or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from serving.api_codes import Level
from training.backtest.new_items import SPAN_DAYS, Board, Lists, asked_only, calibration, chances_of, judged_customers
from training.backtest.observation import OURS, Fact, Findings
from training.backtest.task import Served, Task
from training.baskets import binary_matrix
from training.config import load_config
from training.peers import ease, factors, item_knn, user_knn
from training.peers.item_scorer import ItemScorer

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

WINDOW_DAYS, WEEK_DAYS = 28, 7
POPULARITY, BUYERS = "popularity", "popularity by buyers"
N_SERVED = 10
_NOBODY = "discover: nobody was a customer for long enough to be judged here"
_NOTHING_NEW = "discover: nothing on sale in the four weeks before, so that there is nothing to rank"


def task_of(days: int) -> str:
    """Return the task's name in the report."""
    return f"discover: product never bought before, {days} days"


@dataclass(frozen=True)
class Offered:
    """The best sellers that the collaborative peers rank: at most `n_items`, by buyers in 26 weeks."""

    n_items: int = 5_000


def observe(served: Served) -> Findings:
    """Return what tercet and the peers put first, and how likely tercet said that the very first was."""
    customers = asked_only(judged_customers(served.known, served.moment), served.customers)
    sold = served.known.features("products", served.moment, [c.PRODUCT_ROW, c.N_BASKETS_4W, c.N_CUSTOMERS_4W])
    if len(customers) == 0 or not sold[c.N_BASKETS_4W].any():
        return Findings(notes=(_NOBODY if len(customers) == 0 else _NOTHING_NEW,))
    board = discover_board(served, customers)
    ours = served.recommendations("discover", Level.PRODUCT.value, N_SERVED)
    firsts = {OURS: board.served(ours, c.PRODUCT_ROW)} | _popular(board, sold) | _collaborative(served, board)
    lists = Lists(board, firsts)
    shown = board.served(ours, c.PRODUCT_ROW, k=1)[:, 0]
    within_7 = chances_of(board, shown, ours, "probability")
    return Findings(
        observations=(
            *(lists.observation(task_of(days), "recall@10", days) for days in (WEEK_DAYS, WINDOW_DAYS)),
            *calibration("discover: the first one shown, 7 days", board, shown, within_7, WEEK_DAYS),
        ),
        facts=(
            Fact(task_of(WINDOW_DAYS), "share of customers without a list", lists.n_unserved()),
            Fact(task_of(WINDOW_DAYS), "different products in the first ten", _variety(lists)),
        ),
    )


def discover_board(served: Served, customers: IntArray) -> Board:
    """Return the customers × all merchandise, with what they had ever bought and what they bought first after."""
    products = served.known.tables.read("products", [c.PRODUCT_ROW, c.IS_MERCHANDISE])
    items = np.sort(products.loc[products[c.IS_MERCHANDISE], c.PRODUCT_ROW].to_numpy(dtype=np.int64))
    owned = served.known.features("customer_products", served.moment, [c.CUSTOMER_ROW, c.PRODUCT_ROW])
    lines = served.history.purchases_after(served.moment, WINDOW_DAYS)
    bought = lines.loc[lines[c.IS_PURCHASE], [c.CUSTOMER_ROW, c.PRODUCT_ROW, c.DAY_OFFSET]]
    return Board.of(customers, items, owned, bought)


def first_places(board: Board, columns: IntArray, scores: FloatArray) -> IntArray:
    """Return the places of the ten best new items of the board by scores ``(n, len(columns))`` of some of its items."""
    part = Board(board.customers, board.items[columns], sp.csr_array(board.owned[:, columns]), board.day)
    firsts = part.best(scores)
    return np.where(firsts >= 0, columns[np.maximum(firsts, 0)], -1)


def by_place(n: int, n_items: int) -> FloatArray:
    """Return scores ``(n, n_items)`` that fall with the place, so that of equal counts the first is in."""
    return np.tile(-np.arange(n_items, dtype=np.float64), (n, 1))


def _popular(board: Board, sold: pd.DataFrame) -> dict[str, IntArray]:
    """Return the new items in most baskets, and of most customers, of the four weeks before.

    Customers have bought some of them: so many best sellers are looked at that ten are left to everyone.
    """
    n_owned = int(np.diff(board.owned.indptr).max(initial=0))
    found = {}
    for name, column in ((POPULARITY, c.N_BASKETS_4W), (BUYERS, c.N_CUSTOMERS_4W)):
        counts = sold.set_index(c.PRODUCT_ROW)[column].reindex(board.items).fillna(0.0).to_numpy(dtype=np.float64)
        columns = np.argsort(-counts, kind="stable")[: n_owned + 10]
        columns = columns[counts[columns] > 0]
        found[name] = first_places(board, columns, by_place(len(board.customers), len(columns)))
    return found


def _collaborative(served: Served, board: Board) -> dict[str, IntArray]:
    """Return the first ten of the peers that learn from who bought what in 26 weeks."""
    known = sellers(served, board)
    if not len(known.columns):
        return {}
    return {name: known.firsts(board, _fitted(name, known.matrix)) for name in _PEERS}


@dataclass(frozen=True)
class Sellers:
    """The best sellers that the collaborative peers rank, in 26 weeks.

    `matrix` ``(n, m)`` says who bought which, `rows` has the judged customers of it, `columns` ``(m,)`` are the items'
    places on the board.
    """

    matrix: sp.csr_array
    rows: sp.csr_array
    columns: IntArray

    def firsts(self, board: Board, scorer: ItemScorer) -> IntArray:
        """Return the places of each customer's ten best new items by a peer's scores."""
        return first_places(board, self.columns, scorer.scores(self.rows))


def sellers(served: Served, board: Board) -> Sellers:
    """Return what the collaborative peers learn from."""
    owned = served.known.features("customer_products", served.moment, [c.CUSTOMER_ROW, c.PRODUCT_ROW, c.RECENCY_DAYS])
    owned = owned[(owned[c.RECENCY_DAYS] <= SPAN_DAYS) & owned[c.PRODUCT_ROW].isin(board.items)]
    n_items = load_config(Offered, "peers/offered-discover").n_items
    counts = owned.groupby(c.PRODUCT_ROW).size()
    kept = np.sort(counts.sort_index().nlargest(n_items, keep="first").index.to_numpy(dtype=np.int64))
    owned = owned[owned[c.PRODUCT_ROW].isin(kept)]
    everyone = np.union1d(owned[c.CUSTOMER_ROW].to_numpy(dtype=np.int64), board.customers)
    who, what = np.searchsorted(everyone, owned[c.CUSTOMER_ROW]), np.searchsorted(kept, owned[c.PRODUCT_ROW])
    matrix = binary_matrix(who, what, (len(everyone), len(kept)))
    rows = sp.csr_array(matrix[np.searchsorted(everyone, board.customers)])
    return Sellers(matrix, rows, np.searchsorted(board.items, kept).astype(np.int64))


_PEERS: Mapping[str, tuple[Any, Any, str]] = {  # Any: each fitter has a config class of its own
    "EASE": (ease.fit, ease.EaseConfig, "ease"),
    "ALS": (factors.fit_als, factors.AlsConfig, "als"),
    "item-KNN": (item_knn.fit_cosine, item_knn.CosineConfig, "item_knn"),
    "user-KNN": (user_knn.fit, user_knn.UserKnnConfig, "user_knn"),
}


def _fitted(name: str, matrix: sp.csr_array) -> ItemScorer:
    fit, config, file = _PEERS[name]
    scorer: ItemScorer = fit(matrix, load_config(config, f"peers/{file}-discover"))
    return scorer


def _variety(lists: Lists) -> dict[str, float]:
    return {name: float(len(np.unique(firsts[firsts >= 0]))) for name, firsts in lists.firsts.items()}


DISCOVER = Task(
    name="discover", group="Stretch", window_days=WINDOW_DAYS, n_cutoffs=3, needs=("discover",), observe=observe
)
