"""Repeat: the next basket, the two habit slots, and how true the chances are; at product types and at products.

Merchandise only (training/habit_truth.py says who is judged, and on what). Ours are the lists of `buy_again` as they
are served: what the customer bought before, the likeliest first, never filled up. That is what asks for a repeat;
`mixed` would keep a share of its places for what is new.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from features import columns as c
from serving.api_codes import Intent
from serving.api_codes import Level as AskedLevel
from training.backtest.observation import OURS, Fact, Findings, Observation, Statistic
from training.backtest.task import Served, Task
from training.baskets import binary_matrix, entries_at
from training.config import load_config
from training.habit_truth import HabitTruth, habit_truth
from training.levels import PRODUCT, TYPE, Level
from training.metrics import RANK
from training.peers import frequency, tifu_knn, up_cf
from training.peers.past_baskets import NOTHING, FirstItems, PastBaskets, ScoresOfRows, first_items, past_baskets
from training.ranking import Ranked
from training.topk import place_in_run

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

WINDOW_DAYS = 28
K, K_LONG, N_SLOTS = 10, 20, 2
N_SERVED = 100
CHANCE = "probability"
_CHANCE_METRICS: tuple[tuple[str, Statistic], ...] = (
    ("ECE", "ece"),
    ("Brier skill", "brier_skill"),
    ("expected ÷ observed", "expected_over_observed"),
)
_NOBODY = "nobody has three baskets before the cutoff and one after it"
NEW_TO_THEM = "recall@10, of what was new to them"
"""What lists of what is bought again hold nothing of, on purpose."""


@dataclass(frozen=True)
class AtLevel:
    """A level, as it is asked for and as the report names it; `file` ends the names of the peers' configs."""

    level: Level
    asked: str
    name: str
    file: str


TYPES = AtLevel(TYPE, AskedLevel.PRODUCT_TYPE.value, "types", "repeat_type")
PRODUCTS = AtLevel(PRODUCT, AskedLevel.PRODUCT.value, "products", "repeat_product")


@dataclass(frozen=True)
class Board:
    """Customers with three baskets or more, ascending, and what they bought; all matrices are ``(n, n_items)``.

    `places` are theirs in the past baskets; `owned` is what they had bought before.
    """

    customers: IntArray
    places: IntArray
    owned: sp.csr_array
    next_basket: sp.csr_array
    week: sp.csr_array
    is_active: npt.NDArray[np.bool_]
    is_shopper: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, past: PastBaskets, truth: HabitTruth, asked: IntArray, item: str) -> Board:
        """Return the board of those who are judged and `asked`."""
        customers = np.intersect1d(truth.regular, asked)
        places = np.searchsorted(past.customers, customers).astype(np.int64)
        n_items = max(past.owned.shape[1], *(int(each[item].max()) + 1 for each in _with_rows(truth)), 0)
        owned = sp.csr_array(past.owned[places])
        owned.resize(len(customers), n_items)
        shape = (len(customers), n_items)
        return cls(
            customers,
            places,
            owned,
            _matrix(truth.next_basket, customers, item, shape),
            _matrix(truth.week, customers, item, shape),
            np.isin(customers, truth.active),
            np.isin(customers, truth.shoppers),
        )

    def hits(self, firsts: IntArray, truth: sp.csr_array) -> npt.NDArray[np.bool_]:
        """Return which places of lists ``(n, k)`` are true."""
        rows = np.repeat(np.arange(len(firsts)), firsts.shape[1])
        found = entries_at(truth, rows, np.maximum(firsts.ravel(), 0)) > 0
        return np.asarray((found & (firsts.ravel() != NOTHING)).reshape(firsts.shape), dtype=np.bool_)

    def ranked(self, firsts: IntArray, truth: sp.csr_array, k: int) -> Ranked:
        """Return how the first `k` of lists did."""
        return Ranked(self.hits(firsts[:, :k], truth), np.diff(truth.indptr).astype(np.int64))

    def served(self, lists: pd.DataFrame, item: str) -> FirstItems:
        """Return the lists of customer_row, `item` and rank as the first items of the board's customers."""
        own = lists[lists[c.CUSTOMER_ROW].isin(self.customers)].sort_values([c.CUSTOMER_ROW, RANK])
        who = np.searchsorted(self.customers, own[c.CUSTOMER_ROW].to_numpy(dtype=np.int64))
        place = place_in_run(who)
        best = np.full((len(self.customers), K_LONG), NOTHING, dtype=np.int64)
        is_kept = place < K_LONG
        best[who[is_kept], place[is_kept]] = own[item].to_numpy(dtype=np.int64)[is_kept]
        return FirstItems(best, best[:, :N_SLOTS])


def observe(at: AtLevel, served: Served) -> Findings:
    """Return what tercet and the peers put first, and how likely tercet said it was."""
    item = at.level.item
    past = past_baskets(served.known, served.moment, item)
    truth = habit_truth(served.history, served.moment, item)
    board = Board.of(past, truth, np.asarray(served.customers, dtype=np.int64), item)
    if not board.next_basket.nnz:
        return Findings(notes=(f"repeat, {at.name}: {_NOBODY}",))
    ours = served.recommendations(Intent.BUY_AGAIN.value, at.asked, N_SERVED)
    lists = {OURS: board.served(ours, item)}
    lists |= {name: first_items(past, said, board.places, K_LONG) for name, said in peers(past, at.file).items()}
    return Findings(
        observations=(*_next_basket(at, board, lists), *_slots(at, board, lists), *_chances(at, board, ours)),
        facts=_facts(at, board, lists),
    )


def peers(past: PastBaskets, file: str) -> dict[str, ScoresOfRows]:
    """Return every peer with the settings of ``configs/peers/<peer>-<file>.toml``, where it has any."""
    return {
        "popularity": frequency.popularity(past),
        "P-TopFreq": frequency.p_top_freq(past),
        "GP-TopFreq": frequency.gp_top_freq(past),
        "decayed frequency": frequency.decayed(
            past, load_config(frequency.DecayedConfig, f"peers/decayed_frequency-{file}")
        ),
        "TIFU-KNN": tifu_knn.fit(past, load_config(tifu_knn.TifuConfig, f"peers/tifu_knn-{file}")),
        "UP-CF": up_cf.fit(past, load_config(up_cf.UpCfConfig, f"peers/up_cf-{file}")),
    }


def _next_basket(at: AtLevel, board: Board, lists: dict[str, FirstItems]) -> list[Observation]:
    """Return recall and nDCG of the next basket, and recall of what in it was bought before and what was new."""
    task = f"next basket, {at.name}"
    again = sp.csr_array(board.next_basket.multiply(board.owned))
    new = sp.csr_array(board.next_basket - again)
    new.eliminate_zeros()
    asked = (
        ("recall@10", board.next_basket, K, Ranked.recall),
        ("nDCG@10", board.next_basket, K, Ranked.ndcg),
        ("recall@20", board.next_basket, K_LONG, Ranked.recall),
        ("recall@10, of what they had bought before", again, K, Ranked.recall),
        (NEW_TO_THEM, new, K, Ranked.recall),
    )
    return [
        Observation(
            task,
            metric,
            {name: read(board.ranked(each.best, truth, k)) for name, each in lists.items()},
            board.customers,
        )
        for metric, truth, k, read in asked
    ]


def _slots(at: AtLevel, board: Board, lists: dict[str, FirstItems]) -> list[Observation]:
    """Return precision@2 among those who shop within the week, and how often both hit, among all active."""
    task = f"habit slots, {at.name}"
    hits = {name: board.hits(each.own, board.week).sum(axis=1) / N_SLOTS for name, each in lists.items()}
    shop, active = board.is_shopper, board.is_active
    return [
        Observation(task, "precision@2", {name: each[shop] for name, each in hits.items()}, board.customers[shop]),
        Observation(
            task,
            "both hit",
            {name: (each[active] == 1).astype(np.float64) for name, each in hits.items()},
            board.customers[active],
        ),
    ]


def _chances(at: AtLevel, board: Board, ours: pd.DataFrame) -> list[Observation]:
    """Return how true the chances are: of all that is served, and of the two shown to active customers."""
    pairs = ours[ours[c.CUSTOMER_ROW].isin(board.customers) & ours[CHANCE].notna()]
    who = np.searchsorted(board.customers, pairs[c.CUSTOMER_ROW].to_numpy(dtype=np.int64))
    happened = (entries_at(board.week, who, pairs[at.level.item].to_numpy(dtype=np.int64)) > 0).astype(np.float64)
    chance = pairs[CHANCE].to_numpy(dtype=np.float64)
    is_shown = (pairs[RANK].to_numpy() <= N_SLOTS) & board.is_active[who]
    found = []
    for name, kept in (("all pairs", np.ones(len(pairs), dtype=np.bool_)), ("the two shown", is_shown)):
        found += [
            Observation(
                f"habit chance, {at.name}: {name}",
                metric,
                {OURS: chance[kept]},
                board.customers[who[kept]],
                statistic=statistic,
                higher_is_better=statistic == "brier_skill",
                outcomes=happened[kept],
            )
            for metric, statistic in _CHANCE_METRICS
        ]
    return found


def _facts(at: AtLevel, board: Board, lists: dict[str, FirstItems]) -> tuple[Fact, ...]:
    """Return who has no list, and which share of the next basket could be repeated at all."""
    task = f"next basket, {at.name}"
    unserved = {name: float((each.best[:, 0] == NOTHING).mean()) for name, each in lists.items()}
    again = float(board.next_basket.multiply(board.owned).sum() / board.next_basket.sum())
    return (
        Fact(task, "share of customers without a list", unserved, higher_is_better=False),
        Fact(task, "share of the next basket that they had bought before", {OURS: again}),
    )


def _with_rows(truth: HabitTruth) -> list[pd.DataFrame]:
    return [each for each in (truth.next_basket, truth.week) if len(each)]


def _matrix(bought: pd.DataFrame, customers: IntArray, item: str, shape: tuple[int, int]) -> sp.csr_array:
    own = bought[bought[c.CUSTOMER_ROW].isin(customers)]
    who = np.searchsorted(customers, own[c.CUSTOMER_ROW].to_numpy(dtype=np.int64))
    return binary_matrix(who, own[item].to_numpy(dtype=np.int64), shape)


REPEAT_TYPES = Task(
    name="repeat-types",
    group="Repeat",
    window_days=WINDOW_DAYS,
    n_cutoffs=3,
    needs=("habit_type",),
    observe=partial(observe, TYPES),
)
REPEAT_PRODUCTS = Task(
    name="repeat-products",
    group="Repeat",
    window_days=WINDOW_DAYS,
    n_cutoffs=3,
    needs=("habit_product",),
    observe=partial(observe, PRODUCTS),
)
