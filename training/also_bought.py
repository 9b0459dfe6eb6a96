"""Also bought: the model around `training.neighbours`, and how it does on later baskets (`training.basket_tasks`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from matplotlib.figure import Figure

from features import columns as c
from features.asof import Moment
from training import plots
from training.basket_tasks import K, Tasks, best_rows
from training.baskets import Baskets, baskets_of, known_lines
from training.comparison import iso_days
from training.history import History
from training.judge import COVERAGE, TOP_SHARE, Guard, Judgement
from training.neighbours import SPARE, AlsoBoughtConfig, Kinds, also_bought
from training.ranking import Label, Queries
from training.sums import CustomerSums
from training.topk import place_in_run

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

POPULARITY = "popularity"
N_BASKETS = 20_000
MAX_DAYS = 84
SEED = 7
SAMPLED_BASKETS = 20_000  # so many show a pattern where there is one, and cost little
KNOWN_SHARE = 0.8
PLAIN_STRENGTH, ALL_BUT_POPULAR = 50.0, 100_000.0


@dataclass(frozen=True, eq=False)
class FittedAlsoBought:
    """The neighbours of every product that was sold, as one frame.

    `pairs` has product_row, other_row, score (> 0), lift, support, in order of product and falling score (ties by
    other_row). It has everything that was sold; `predict` keeps what may be recommended.
    """

    config: AlsoBoughtConfig
    pairs: pd.DataFrame
    is_merchandise: npt.NDArray[np.bool_]
    popularity: FloatArray
    notes: tuple[str, ...] = ()
    feature_names: ClassVar[tuple[str, ...]] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:  # noqa: ARG002  # the models' common form
        """Return product_row, other_row, score, lift, support: at most `n_neighbours` pieces of merchandise each."""
        kept = self.pairs[self.is_merchandise[self.pairs[c.OTHER_ROW].to_numpy()]]
        return _first(kept, self.config.n_neighbours)

    def scores(self) -> sp.csr_array:
        """Return the scores as a matrix ``(n_products, n_products)``; row i has the neighbours of product i."""
        return score_matrix(self.pairs, len(self.popularity))

    @property
    def importance(self) -> dict[str, float]:
        """Return nothing: the score has no learned weights."""
        return {}

    def artifacts(self) -> dict[str, str]:
        """Return the settings; the neighbours themselves are arrays of the bundle."""
        summary = {"config": asdict(self.config), "n_pairs": len(self.pairs), "notes": list(self.notes)}
        return {"also_bought.json": json.dumps(summary, indent=1)}


class AlsoBoughtModel:
    """Learns from all baskets that the history knows."""

    name: ClassVar[str] = "also_bought"

    def __init__(self, config: AlsoBoughtConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedAlsoBought:
        """Return the neighbours; without a basket of two products there are none, and a note says so."""
        products = history.tables.read("products", [c.PRODUCT_ROW, c.TYPE_ROW, c.CATEGORY_ROW, c.IS_MERCHANDISE])
        products = products.sort_values(c.PRODUCT_ROW)
        kinds = Kinds(*(products[each].to_numpy(dtype=np.int64) for each in (c.TYPE_ROW, c.CATEGORY_ROW)))
        baskets = baskets_of(known_lines(history), len(products))
        is_merchandise = products[c.IS_MERCHANDISE].to_numpy(dtype=np.bool_)
        config, notes = self.config, []
        if not _has_pattern(baskets, kinds, config):
            config = replace(config, popularity_power=0.0, strength=PLAIN_STRENGTH, n_best_sellers=K + SPARE)
            if not _has_pattern(baskets, kinds, config):
                config = replace(config, strength=ALL_BUT_POPULAR)
            notes.append("also bought: best sellers explain these baskets; neighbours are shrunk to them")
        pairs = also_bought(baskets, kinds, config)
        if len(pairs) == 0:
            notes = ["also bought: no two products were ever bought together"]
        return FittedAlsoBought(config, pairs, is_merchandise, baskets.popularity, tuple(notes))


def _first(pairs: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return the first `n` rows of each product, in their order."""
    return pairs[place_in_run(pairs[c.PRODUCT_ROW].to_numpy()) < n].reset_index(drop=True)


def _has_pattern(baskets: Baskets, kinds: Kinds, config: AlsoBoughtConfig) -> bool:
    """Return whether neighbours say more of baskets that they have not seen than the best sellers do.

    Dividing out popularity pays where baskets have a pattern; few baskets may not show one, and some shops have none.
    All baskets are asked only where a sample of them doesn't show it.
    """
    n_baskets = len(baskets.customers)
    if n_baskets > SAMPLED_BASKETS:
        is_sampled = np.random.default_rng(SEED + 1).random(n_baskets) < SAMPLED_BASKETS / n_baskets
        if _beats_popularity(baskets.only(is_sampled), kinds, config):
            return True
    return _beats_popularity(baskets, kinds, config)


def _beats_popularity(baskets: Baskets, kinds: Kinds, config: AlsoBoughtConfig) -> bool:
    """Return whether neighbours of four fifths of the baskets say more of the others than the best sellers do."""
    is_known = np.random.default_rng(SEED).random(len(baskets.customers)) < KNOWN_SHARE
    known = baskets.only(is_known)
    tasks = Tasks.draw(baskets.only(~is_known), known.popularity, n=N_BASKETS, seed=SEED)
    if len(tasks) == 0:
        return True
    ours, _ = tasks.from_one(tasks.neighbours_of_one(score_matrix(also_bought(known, kinds, config), len(kinds.types))))
    theirs, _ = tasks.from_one(tasks.popular_from_one())
    return bool(ours.mean() >= theirs.mean())


def score_matrix(pairs: pd.DataFrame, n_products: int) -> sp.csr_array:
    """Return the scores as a matrix ``(n_products, n_products)``; row i has the neighbours of product i."""
    one, other = pairs[c.PRODUCT_ROW].to_numpy(), pairs[c.OTHER_ROW].to_numpy()
    return sp.csr_array((pairs[c.SCORE].to_numpy(), (one, other)), shape=(n_products, n_products))


def judge(fitted: Mapping[Moment, FittedAlsoBought], history: History) -> Judgement:
    """Return the judgement of models by the cutoff that each had learned up to, on up to 20,000 baskets after it."""
    trials = [_trial(moment, model, history) for moment, model in fitted.items()]
    trials = [trial for trial in trials if trial.n_baskets]
    if not trials:
        return Judgement(
            AlsoBoughtModel.name, iso_days(fitted), (), (), ("also bought: no later basket of two products",)
        )
    rows = tuple(_pooled([trial.queries[key] for trial in trials]).row(label) for key, label in _LABELS.items())
    notes = {note for model in fitted.values() for note in model.notes} | {trial.note for trial in trials}
    return Judgement(AlsoBoughtModel.name, iso_days(fitted), rows, (), tuple(sorted(notes)), _guards(trials))


def figures(fitted: Mapping[Moment, FittedAlsoBought], history: History) -> dict[str, Figure]:
    """Return the pictures of the judgement: what it gains over popularity."""
    rows = judge(fitted, history).rows
    gains = [plots.Gain(f"{row.task}, {row.metric}", row.gain, row.gain_low, row.gain_high) for row in rows]
    return {"gains.png": plots.comparison_figure(gains, title="also bought: ours minus popularity")} if gains else {}


_ONE, _REST = "one product to the rest of its basket", "the rest of a basket to one product"
_BEYOND = "one product to the rest, beyond the 100 best sellers"
_LABELS = {
    "recall": Label(AlsoBoughtModel.name, _ONE, "recall@10", POPULARITY, is_primary=True),
    "beyond": Label(AlsoBoughtModel.name, _BEYOND, "recall@10", POPULARITY),
    "hit": Label(AlsoBoughtModel.name, _REST, "hit@10", POPULARITY),
    "mrr": Label(AlsoBoughtModel.name, _REST, "mrr", POPULARITY),
}


@dataclass(frozen=True)
class _Trial:
    """What one fitted model and popularity did on the baskets of the days after its cutoff, by key of the labels."""

    n_baskets: int
    queries: Mapping[str, Queries]
    share: FloatArray
    """The ten best sellers' part of each basket's answers, NaN without any."""
    coverage: float
    """The part of the products sold that are among the first ten answers to another."""

    @property
    def note(self) -> str:
        """Return what the answers are made of, in words."""
        share = float(np.nanmean(self.share)) if np.isfinite(self.share).any() else 0.0
        return (
            f"also bought: {share:.0%} of the answers are the ten best sellers; {self.coverage:.0%} of the products "
            "sold are among the first ten of another"
        )


@lru_cache(maxsize=8)  # the judgement and its pictures ask for the same trials
def _trial(moment: Moment, model: FittedAlsoBought, history: History) -> _Trial:
    days = min(MAX_DAYS, history.known_until.day - moment.day)
    later = baskets_of(history.purchases_after(moment, days), len(model.popularity))
    tasks = Tasks.draw(later, model.popularity, n=N_BASKETS, seed=SEED)
    if len(tasks) == 0:
        return _Trial(0, {}, np.zeros(0), 0.0)
    scores = model.scores()
    return _Trial(len(tasks), _queries(tasks, scores), _best_sellers(tasks, scores), _coverage(tasks, scores))


def _queries(tasks: Tasks, scores: sp.csr_array) -> dict[str, Queries]:
    """Return the numbers of each basket, ours and popularity's."""
    customers = tasks.baskets.customers
    recall, beyond = tasks.from_one(tasks.neighbours_of_one(scores))
    popular_recall, popular_beyond = tasks.from_one(tasks.popular_from_one())
    place, popular_place = tasks.places(scores), tasks.popular_places()
    return {
        "recall": Queries(recall, popular_recall, customers),
        "beyond": Queries(beyond, popular_beyond, customers),
        "hit": Queries((place <= K).astype(float), (popular_place <= K).astype(float), customers),
        "mrr": Queries(1.0 / place, 1.0 / popular_place, customers),
    }


def _best_sellers(tasks: Tasks, scores: sp.csr_array) -> FloatArray:
    """Return the part of each basket's answers that are the ten best sellers, ``(n_baskets,)``; NaN without any."""
    answers = tasks.neighbours_of_one(scores)
    n_given = (answers >= 0).sum(axis=1)
    n_best = (np.isin(answers, tasks.popular(K)) & (answers >= 0)).sum(axis=1)
    shares: FloatArray = np.divide(n_best, n_given, out=np.full(len(answers), np.nan), where=n_given > 0)
    return shares


def _coverage(tasks: Tasks, scores: sp.csr_array) -> float:
    shown = np.unique(best_rows(scores, K))
    return float((shown >= 0).sum() / max((tasks.popularity > 0).sum(), 1))


def _guards(trials: list[_Trial]) -> tuple[Guard, ...]:
    """Return what a better model must not spoil: the best sellers' part of the answers, and what is ever shown."""
    customers = np.concatenate([trial.queries["recall"].customers for trial in trials])
    share = CustomerSums.of(np.concatenate([trial.share for trial in trials]), customers)
    coverage = CustomerSums.whole(float(np.mean([trial.coverage for trial in trials])))
    return (Guard(_ONE, TOP_SHARE, share, higher_is_better=False), Guard(_ONE, COVERAGE, coverage))


def _pooled(parts: list[Queries]) -> Queries:
    return Queries(
        np.concatenate([part.ours for part in parts]),
        np.concatenate([part.theirs for part in parts]),
        np.concatenate([part.customers for part in parts]),
    )
