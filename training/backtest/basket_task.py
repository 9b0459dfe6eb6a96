"""Also bought: from one product to the rest of its basket, and from the rest of a basket to the product left out.

On 20,000 baskets of the 84 days after the cutoff, of all lines, with at least two products that were sold before
(training.basket_tasks). There is one list a product: what is served is judged on all lines of the report at once, as is
each peer. The place of the product left out counts up to the hundredth, the most that a call may ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from features import columns as c
from training.backtest.observation import OURS, Fact, Findings, Observation, Table
from training.backtest.task import Served, Task
from training.basket_tasks import BEST_SELLERS, K, Tasks
from training.baskets import Baskets, baskets_of, known_lines
from training.config import load_config
from training.peers import item_knn, rp3beta, swing
from training.peers.item_scorer import SimilarItems
from training.side_by_side import n_cores

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ONE = "also bought: one product to the rest of its basket"
BEYOND = f"also bought: one product to the rest, beyond the {BEST_SELLERS} best sellers"
REST = "also bought: the rest of a basket to one product"
POPULARITY = "popularity"
WINDOW_DAYS = 84
N_BASKETS, N_QUICK_BASKETS = 20_000, 2_000
SEED = 7
DEEPEST = 100
_N_SHOWN = 10
_NOTHING = "also bought: no later basket has two products that were sold before"


@dataclass(frozen=True)
class Shown:
    """What a ranker answers: ``(n_baskets, 10)`` products to each query (−1: none), and places of the left out.

    A place counts from 1; it is inf beyond the hundredth.
    """

    answers: IntArray
    places: FloatArray


def observe(served: Served) -> Findings:
    """Return what tercet and the peers put into baskets that came later."""
    n_products = len(served.history.tables.read("products", [c.PRODUCT_ROW]))
    known = baskets_of(known_lines(served.known), n_products)
    later = baskets_of(served.history.purchases_after(served.moment, WINDOW_DAYS), n_products)
    n = N_QUICK_BASKETS if served.is_quick else N_BASKETS
    tasks = Tasks.draw(later, known.popularity, n=n, seed=SEED)
    if len(tasks) == 0:
        return Findings(notes=(_NOTHING,))
    shown = {OURS: of_served(served, tasks), POPULARITY: of_popularity(tasks)}
    shown |= {name: of_scores(tasks, peer.similar) for name, peer in fitted_peers(known).items()}
    return Findings(observations(tasks, shown), facts(tasks, shown), (most_shown(served, tasks, shown),))


def of_served(served: Served, tasks: Tasks) -> Shown:
    """Return what the batch answers: a list for each product, and one for each basket less the product left out."""
    products, which = np.unique(tasks.query, return_inverse=True)
    lists = served.also_bought([[int(each)] for each in products], K)
    table = np.full((len(products), K), -1, dtype=np.int64)
    table[lists["query"].to_numpy(), lists["rank"].to_numpy() - 1] = lists[c.PRODUCT_ROW].to_numpy()
    matrix = tasks.baskets.matrix
    baskets = np.split(matrix.indices, matrix.indptr[1:-1])
    rests = [basket[basket != out].tolist() for basket, out in zip(baskets, tasks.held_out.tolist(), strict=True)]
    found = served.also_bought(rests, DEEPEST)
    is_hit = found[c.PRODUCT_ROW].to_numpy() == tasks.held_out[found["query"].to_numpy()]
    places = np.full(len(tasks), np.inf)
    places[found["query"].to_numpy()[is_hit]] = found["rank"].to_numpy()[is_hit]
    return Shown(table[which], places)


def of_popularity(tasks: Tasks) -> Shown:
    """Return the best sellers, without what is asked about."""
    return Shown(tasks.popular_from_one(), within(tasks.popular_places()))


def of_scores(tasks: Tasks, scores: sp.csr_array) -> Shown:
    """Return the best by a product's scores, and by their sum over a basket."""
    return Shown(tasks.neighbours_of_one(scores), within(tasks.places(scores)))


PEERS: Mapping[str, tuple[Any, Any, str]] = {  # Any: each fitter has a config class of its own
    "cosine + shrinkage, for one product": (item_knn.fit_cosine, item_knn.CosineConfig, "item_knn-basket_one"),
    "cosine + shrinkage, for a basket": (item_knn.fit_cosine, item_knn.CosineConfig, "item_knn-basket_rest"),
    "BM25": (item_knn.fit_bm25, item_knn.Bm25Config, "bm25-basket"),
    "RP3beta": (rp3beta.fit, rp3beta.Rp3BetaConfig, "rp3beta-basket"),
    "RP3beta, for one product": (rp3beta.fit, rp3beta.Rp3BetaConfig, "rp3beta-basket_one"),
    "Swing": (swing.fit, swing.SwingConfig, "swing-basket"),
}


def fitted_peers(known: Baskets) -> dict[str, SimilarItems]:
    """Return the peers by name, with the settings of `configs/peers`, of baskets known before the cutoff.

    A core each: products of sparse matrices, nearly all of their work, let other threads run.
    """
    with ThreadPoolExecutor(n_cores()) as pool:
        coming = {
            name: pool.submit(fit, known.matrix, load_config(config, f"peers/{file}"))
            for name, (fit, config, file) in PEERS.items()
        }
        return {name: each.result() for name, each in coming.items()}


def observations(tasks: Tasks, shown: Mapping[str, Shown]) -> tuple[Observation, ...]:
    """Return recall of the rest, the same beyond the best sellers, and how high the product left out stands."""
    customers = tasks.baskets.customers
    recalls = {name: tasks.from_one(each.answers) for name, each in shown.items()}

    def by_ranker(task: str, metric: str, value: Callable[[str], FloatArray]) -> Observation:
        return Observation(task, metric, {name: value(name) for name in shown}, customers)

    return (
        by_ranker(ONE, "recall@10", lambda name: recalls[name][0]),
        by_ranker(BEYOND, "recall@10", lambda name: recalls[name][1]),
        by_ranker(REST, "hit@10", lambda name: (shown[name].places <= K).astype(np.float64)),
        by_ranker(REST, "MRR@100", lambda name: 1.0 / shown[name].places),
    )


def facts(tasks: Tasks, shown: Mapping[str, Shown]) -> tuple[Fact, ...]:
    """Return what the answers to one product are made of."""
    best, n_sold = tasks.popular(K), max(int((tasks.popularity > 0).sum()), 1)
    share, coverage, empty = {}, {}, {}
    for name, each in shown.items():
        given = each.answers[each.answers >= 0]
        share[name] = float(np.isin(given, best).mean()) if len(given) else 0.0
        coverage[name] = len(np.unique(given)) / n_sold
        empty[name] = float((each.answers[:, 0] < 0).mean())
    return (
        Fact(ONE, "top-10 share", share, higher_is_better=False),
        Fact(ONE, "coverage", coverage, higher_is_better=True),
        Fact(ONE, "share of queries without an answer", empty, higher_is_better=False),
    )


def most_shown(served: Served, tasks: Tasks, shown: Mapping[str, Shown]) -> Table:
    """Return the products that tercet shows most beside one product, and popularity's place of each."""
    given = shown[OURS].answers
    rows, counts = np.unique(given[given >= 0], return_counts=True)
    first = np.argsort(-counts, kind="stable")[:_N_SHOWN]
    products = served.history.tables.read("products", [c.PRODUCT_ROW, c.NAME]).set_index(c.PRODUCT_ROW)[c.NAME]
    order = np.argsort(-tasks.popularity, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(1, len(order) + 1)
    lines = [(str(products[rows[i]]), f"{counts[i] / len(tasks):.1%}", str(place[rows[i]])) for i in first]
    return Table(ONE, "What is shown most", ("product", "share of lists", "place by popularity"), tuple(lines))


def within(places: npt.ArrayLike) -> FloatArray:
    """Return places as they are up to the hundredth, and inf beyond."""
    found = np.asarray(places, dtype=np.float64)
    return np.where(found <= DEEPEST, found, np.inf)


BASKETS = Task(
    name="baskets",
    group="Also bought",
    window_days=WINDOW_DAYS,
    n_cutoffs=1,
    needs=("also_bought",),
    observe=observe,
)
