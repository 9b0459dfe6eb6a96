"""Stretch: product categories that a customer has not bought in 26 weeks, and which of them they buy in the next four.

Merchandise only. Eligible are the product categories of the source (a product without one is none) with any
merchandise. The order is judged on purchases within 28 days; the chance of the one shown on 28 days and, as the
challenge shows it, on 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from features import columns as c
from serving.api_codes import Level
from training.backtest import stretch_worth
from training.backtest.new_items import (
    SPAN_DAYS,
    Board,
    Lists,
    asked_only,
    calibration,
    chances_of,
    judged_customers,
)
from training.backtest.observation import OURS, Fact, Findings, Observation
from training.backtest.task import Served, Task
from training.baskets import binary_matrix
from training.config import load_config
from training.pairs import named_categories
from training.peers import ease, factors, item_knn, rp3beta, user_knn
from training.peers.item_scorer import ItemScorer

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TASK = "stretch: new category in 28 days"
SHOWN_28, SHOWN_7 = "stretch: the one shown, 28 days", "stretch: the one shown, 7 days"
POPULARITY = "popularity"
WINDOW_DAYS, WEEK_DAYS = 28, 7
N_SERVED = 24
N_CATEGORIES = 1_500
_NOBODY = "stretch: nobody was a customer for long enough to be judged here"
_NOTHING_NEW = "stretch: fewer than two categories, so that there is nothing to rank"


@dataclass(frozen=True)
class Past:
    """What the peers learn from, all customers ``(n, m)``: what each ever bought, and in the last 26 weeks.

    `judged` are the rows of the judged customers.
    """

    ever: sp.csr_array
    recent: sp.csr_array
    judged: IntArray


def observe(served: Served) -> Findings:
    """Return what tercet and the peers put first, and how likely tercet said it was."""
    customers = asked_only(judged_customers(served.known, served.moment), served.customers)
    categories = ranked_categories(served)
    if len(customers) == 0 or len(categories) < 2:
        return Findings(notes=(_NOBODY if len(customers) == 0 else _NOTHING_NEW,))
    board = stretch_board(served, customers, categories)
    ours = served.recommendations("discover", Level.CATEGORY.value, N_SERVED)
    peers = peer_scores(past(served, board))
    lists = Lists(
        board,
        {OURS: board.served(ours, c.CATEGORY_ROW)} | {name: board.best(scores) for name, scores in peers.items()},
    )
    return Findings(
        observations=(*_rankings(lists), *_chances(served, board, lists), *stretch_worth.observations(served, board)),
        facts=(
            Fact(TASK, "share of customers without a list", lists.n_unserved()),
            *stretch_worth.facts(served, lists),
        ),
        tables=stretch_worth.tables(served, lists),
        notes=stretch_worth.notes(served),
    )


def ranked_categories(served: Served) -> IntArray:
    """Return the categories that everybody ranks, ascending: at most `N_CATEGORIES`, those that most customers bought.

    Without categories each product is its own, and no peer that weighs all pairs of them could be fitted.
    """
    categories = named_categories(served.known)
    if len(categories) <= N_CATEGORIES:
        return categories
    buyers = served.known.features("categories", served.moment, [c.CATEGORY_ROW, c.N_CUSTOMERS])
    counts = buyers.set_index(c.CATEGORY_ROW)[c.N_CUSTOMERS].reindex(categories).fillna(0.0).to_numpy()
    return np.sort(categories[np.argsort(-counts, kind="stable")[:N_CATEGORIES]])


def stretch_board(served: Served, customers: IntArray, categories: IntArray) -> Board:
    """Return the customers × the eligible categories: bought in the 26 weeks before, and in the 28 days after."""
    owned = served.known.features(
        "customer_categories", served.moment, [c.CUSTOMER_ROW, c.CATEGORY_ROW, c.RECENCY_DAYS]
    )
    owned = owned.loc[owned[c.RECENCY_DAYS] <= SPAN_DAYS, [c.CUSTOMER_ROW, c.CATEGORY_ROW]]
    lines = served.history.purchases_after(served.moment, WINDOW_DAYS)
    bought = lines.loc[lines[c.IS_PURCHASE], [c.CUSTOMER_ROW, c.CATEGORY_ROW, c.DAY_OFFSET]]
    return Board.of(customers, categories, owned, bought)


def past(served: Served, board: Board) -> Past:
    """Return what is known of everyone's purchases before the cutoff, over the categories of the board."""
    owned = served.known.features(
        "customer_categories", served.moment, [c.CUSTOMER_ROW, c.CATEGORY_ROW, c.RECENCY_DAYS]
    )
    owned = owned[owned[c.CATEGORY_ROW].isin(board.items)]
    everyone = np.union1d(owned[c.CUSTOMER_ROW].to_numpy(dtype=np.int64), board.customers)
    who, what = np.searchsorted(everyone, owned[c.CUSTOMER_ROW]), np.searchsorted(board.items, owned[c.CATEGORY_ROW])
    is_recent = (owned[c.RECENCY_DAYS] <= SPAN_DAYS).to_numpy()
    shape = (len(everyone), len(board.items))
    return Past(
        ever=binary_matrix(who, what, shape),
        recent=binary_matrix(who[is_recent], what[is_recent], shape),
        judged=np.searchsorted(everyone, board.customers),
    )


def peer_scores(known: Past) -> dict[str, FloatArray]:
    """Return each peer's scores of the judged customers ``(n, m)``, with the settings of `configs/peers`.

    Popularity is the customers of 26 weeks; the others learn from all that was ever bought, which served them better
    on the cutoffs that they were tuned on.
    """
    buyers = np.asarray(known.recent.sum(axis=0), dtype=np.float64)
    popularity = np.empty(len(buyers))
    popularity[np.argsort(-buyers, kind="stable")] = -np.arange(len(buyers))  # of equals, the lower row
    rows = sp.csr_array(known.ever[known.judged])
    fitted: Mapping[str, ItemScorer] = {name: _fitted(name, known.ever) for name in _PEERS}
    scores = {name: scorer.scores(rows) for name, scorer in fitted.items()}
    return {POPULARITY: np.tile(popularity, (len(known.judged), 1))} | scores


_PEERS: Mapping[str, tuple[Any, Any, str]] = {  # Any: each fitter has a config class of its own
    "EASE": (ease.fit, ease.EaseConfig, "ease"),
    "ALS": (factors.fit_als, factors.AlsConfig, "als"),
    "BPR": (factors.fit_bpr, factors.BprConfig, "bpr"),
    "user-KNN": (user_knn.fit, user_knn.UserKnnConfig, "user_knn"),
    "item-KNN": (item_knn.fit_cosine, item_knn.CosineConfig, "item_knn"),
    "RP3beta": (rp3beta.fit, rp3beta.Rp3BetaConfig, "rp3beta"),
}


def _fitted(name: str, matrix: sp.csr_array) -> ItemScorer:
    fit, config, file = _PEERS[name]
    scorer: ItemScorer = fit(matrix, load_config(config, f"peers/{file}-stretch"))
    return scorer


def _rankings(lists: Lists) -> list[Observation]:
    return [lists.observation(TASK, metric, WINDOW_DAYS) for metric in ("precision@1", "recall@10", "nDCG@10")]


def _chances(served: Served, board: Board, lists: Lists) -> list[Observation]:
    """Return how true the chances of the one shown are, within 28 days and within 7."""
    ours = served.recommendations("discover", Level.CATEGORY.value, N_SERVED)
    shown = lists.firsts[OURS][:, 0]
    within_28 = chances_of(board, shown, stretch_worth.held(served), c.P28)
    within_7 = chances_of(board, shown, ours, "probability")
    return [
        *calibration(SHOWN_28, board, shown, within_28, WINDOW_DAYS),
        *calibration(SHOWN_7, board, shown, within_7, WEEK_DAYS),
    ]


STRETCH = Task(
    name="stretch",
    group="Stretch",
    window_days=WINDOW_DAYS,
    n_cutoffs=3,
    needs=("stretch", "discover"),
    observe=observe,
)
