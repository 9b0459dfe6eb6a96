"""The peers that can be tuned, as the backtest's tasks measure them: a report beside untuned peers proves nothing.

Those that rank stand here, those of the scores in `score_peers`. What a peer learns from and is judged on does not
depend on its settings: it is made once a cutoff.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, cast

import numpy as np
import scipy.sparse as sp

from features import columns as c
from features.asof import Moment
from training.backtest import basket_task, discover_task, repeat_task, stretch_task
from training.backtest.new_items import Board, judged_customers
from training.backtest.task import Served, Task
from training.basket_tasks import K, Tasks
from training.baskets import Baskets, baskets_of, known_lines
from training.errors import TuningError
from training.habit_truth import habit_truth
from training.history import History
from training.pairs import named_categories
from training.peers import ease, factors, frequency, item_knn, rp3beta, swing, tifu_knn, up_cf, user_knn
from training.peers.past_baskets import PastBaskets, first_items, past_baskets
from training.sums import CustomerSums
from training.tuning import score_peers
from training.tuning.peer import FOLDER, Peer
from training.tuning.score_peers import SCORE_PEERS
from training.tuning.tunable import Reached, Term, Tunable

_N_KEPT = 8  # boards at once: those of all cutoffs of one search
_N_BASKETS = 10_000
_THIRD = 1 / 3

Fit = Callable[[Any, Any], Any]  # Any: each peer has a config and a scorer of its own


@dataclass(frozen=True)
class At:
    """A cutoff, as far as the tasks need it to say what is to be ranked (training.backtest.task.Served)."""

    history: History
    moment: Moment

    @property
    def known(self) -> History:
        """Return what was known at the cutoff."""
        return self.history.until(self.moment)


def peer_tunables() -> dict[str, Tunable]:
    """Return every peer that can be tuned by the name of its config, ``peers/<peer>-<task>``."""
    ranking = {FOLDER + name: peer.tunable(name, __name__) for name, peer in RANKING_PEERS.items()}
    return ranking | {FOLDER + name: peer.tunable(name, score_peers.__name__) for name, peer in SCORE_PEERS.items()}


@lru_cache(maxsize=_N_KEPT)
def _stretch(history: History, moment: Moment) -> tuple[Board, stretch_task.Past]:
    """Return what is ranked at a cutoff, and what is known of it."""
    served = cast(Served, At(history, moment))
    customers = judged_customers(served.known, moment)
    categories = named_categories(served.known)
    if len(customers) == 0 or len(categories) < 2:
        raise TuningError("stretch can't be judged here: too few customers or categories to tune on")
    board = stretch_task.stretch_board(served, customers, categories)
    return board, stretch_task.past(served, board)


def _stretch_reached(fit: Fit, config: Any, known: History, cutoff: Moment) -> Reached:
    board, past = _stretch(known, cutoff)
    scores = fit(past.ever, config).scores(sp.csr_array(past.ever[past.judged]))
    ranked = board.ranked(board.best(scores), stretch_task.WINDOW_DAYS)
    values = (ranked.precision_at_1(), ranked.recall(), ranked.ndcg())
    return Reached(tuple(Term(CustomerSums.of(each, board.customers), _THIRD) for each in values))


@lru_cache(maxsize=_N_KEPT)
def _discover(history: History, moment: Moment) -> tuple[Board, discover_task.Sellers]:
    """Return what is ranked at a cutoff, and the best sellers before it."""
    served = cast(Served, At(history, moment))
    board = discover_task.discover_board(served, judged_customers(served.known, moment))
    known = discover_task.sellers(served, board)
    if len(board.customers) == 0 or len(known.columns) == 0:
        raise TuningError("discover can't be judged here: too few customers or products to tune on")
    return board, known


def _discover_reached(fit: Fit, config: Any, known: History, cutoff: Moment) -> Reached:
    board, sold = _discover(known, cutoff)
    firsts = sold.firsts(board, fit(sold.matrix, config))
    recall = board.ranked(firsts, discover_task.WINDOW_DAYS).recall()
    return Reached((Term(CustomerSums.of(recall, board.customers)),))


@lru_cache(maxsize=_N_KEPT)
def _repeat(item: str, history: History, moment: Moment) -> tuple[repeat_task.Board, PastBaskets]:
    """Return who is judged at a cutoff and on what, and the baskets before it."""
    past = past_baskets(history.until(moment), moment, item)
    board = repeat_task.Board.of(past, habit_truth(history, moment, item), past.customers, item)
    if not board.next_basket.nnz:
        raise TuningError("the next basket can't be judged here: nobody has one to tune on")
    return board, past


def _repeat_reached(at: repeat_task.AtLevel, fit: Fit, config: Any, known: History, cutoff: Moment) -> Reached:
    board, past = _repeat(at.level.item, known, cutoff)
    best = first_items(past, fit(past, config), board.places, repeat_task.K).best
    recall = board.ranked(np.asarray(best), board.next_basket, repeat_task.K).recall()
    return Reached((Term(CustomerSums.of(recall, board.customers)),))


@lru_cache(maxsize=_N_KEPT)
def _baskets(history: History, moment: Moment) -> tuple[Tasks, Baskets]:
    """Return the tasks of the baskets after a cutoff, and the baskets before it."""
    n_products = len(history.tables.read("products", [c.PRODUCT_ROW]))
    known = baskets_of(known_lines(history.until(moment)), n_products)
    later = baskets_of(history.purchases_after(moment, basket_task.WINDOW_DAYS), n_products)
    tasks = Tasks.draw(later, known.popularity, n=_N_BASKETS, seed=basket_task.SEED)
    if len(tasks) == 0:
        raise TuningError("also bought can't be judged here: no later basket has two products that were sold before")
    return tasks, known


def _basket_reached(from_one: bool, fit: Fit, config: Any, known: History, cutoff: Moment) -> Reached:
    tasks, before = _baskets(known, cutoff)
    similar = fit(before.matrix, config).similar
    if from_one:
        value = tasks.from_one(tasks.neighbours_of_one(similar))[0]
    else:
        value = (tasks.places(similar) <= K).astype(np.float64)
    return Reached((Term(CustomerSums.of(value, tasks.baskets.customers)),))


def _of_baskets(config_class: type[Any], fit: Fit, *, from_one: bool = True) -> Peer:
    metric = "recall@10 from one product" if from_one else "hit@10 from the rest of a basket"
    return Peer((basket_task.BASKETS,), config_class, metric, partial(_basket_reached, from_one, fit))


def _of_stretch(config_class: type[Any], fit: Fit) -> Peer:
    metric = "mean of precision@1, recall@10, ndcg@10"
    return Peer((stretch_task.STRETCH,), config_class, metric, partial(_stretch_reached, fit))


def _of_discover(config_class: type[Any], fit: Fit) -> Peer:
    return Peer((discover_task.DISCOVER,), config_class, "recall@10, 28 days", partial(_discover_reached, fit))


def _of_repeat(at: repeat_task.AtLevel, task: Task) -> dict[str, Peer]:
    fits: dict[str, tuple[type[Any], Fit]] = {
        "decayed_frequency": (frequency.DecayedConfig, frequency.decayed),
        "tifu_knn": (tifu_knn.TifuConfig, tifu_knn.fit),
        "up_cf": (up_cf.UpCfConfig, up_cf.fit),
    }
    return {
        f"{name}-{at.file}": Peer((task,), kind, "recall@10", partial(_repeat_reached, at, fit))
        for name, (kind, fit) in fits.items()
    }


RANKING_PEERS: Mapping[str, Peer] = {
    "ease-stretch": _of_stretch(ease.EaseConfig, ease.fit),
    "als-stretch": _of_stretch(factors.AlsConfig, factors.fit_als),
    "bpr-stretch": _of_stretch(factors.BprConfig, factors.fit_bpr),
    "user_knn-stretch": _of_stretch(user_knn.UserKnnConfig, user_knn.fit),
    "item_knn-stretch": _of_stretch(item_knn.CosineConfig, item_knn.fit_cosine),
    "rp3beta-stretch": _of_stretch(rp3beta.Rp3BetaConfig, rp3beta.fit),
    "ease-discover": _of_discover(ease.EaseConfig, ease.fit),
    "als-discover": _of_discover(factors.AlsConfig, factors.fit_als),
    "item_knn-discover": _of_discover(item_knn.CosineConfig, item_knn.fit_cosine),
    "user_knn-discover": _of_discover(user_knn.UserKnnConfig, user_knn.fit),
    **_of_repeat(repeat_task.TYPES, repeat_task.REPEAT_TYPES),
    **_of_repeat(repeat_task.PRODUCTS, repeat_task.REPEAT_PRODUCTS),
    "item_knn-basket_one": _of_baskets(item_knn.CosineConfig, item_knn.fit_cosine),
    "item_knn-basket_rest": _of_baskets(item_knn.CosineConfig, item_knn.fit_cosine, from_one=False),
    "bm25-basket": _of_baskets(item_knn.Bm25Config, item_knn.fit_bm25),
    "rp3beta-basket_one": _of_baskets(rp3beta.Rp3BetaConfig, rp3beta.fit),
    "swing-basket": _of_baskets(swing.SwingConfig, swing.fit),
}
