"""Metrics: calibration, discrimination, ranking.

Probabilities `p` and outcomes `y` (0/1) are parallel arrays `[n_rows]`, always in this order. A metric of nothing (no
rows, or no case of a class that it needs) is NaN, never a made-up number. Intervals by customer: `training.intervals`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
_CLIP = 1e-7  # a probability of exactly 0 or 1 would make one wrong row cost infinitely much

_HIT = "_is_hit"
_N_TRUE = "_n_true"
RANK = "rank"


@dataclass(frozen=True)
class EceFloor:
    """What the ECE of a perfect model of the same probabilities would be: its mean and 95th percentile over draws."""

    mean: float
    p95: float


def ece(p: npt.ArrayLike, y: npt.ArrayLike, *, bins: int = 20) -> float:
    """Return the expected calibration error: the mean of |mean p − mean y| over equal-mass bins of p, by bin size.

    Equal probabilities keep the order of the rows. With fewer rows than bins every row is a bin.

    >>> round(ece([0.2, 0.2, 0.8, 0.8], [0, 1, 1, 1], bins=2), 6)  # |.2 − .5| and |.8 − 1|, half each
    0.25
    """
    probabilities, outcomes = _pair(p, y)
    if len(probabilities) == 0:
        return float("nan")
    order = np.argsort(probabilities, kind="stable")
    starts = bin_starts(len(order), bins)
    gaps = np.add.reduceat(probabilities[order] - outcomes[order], starts)
    return float(np.abs(gaps).sum() / len(order))


def ece_floor(p: npt.ArrayLike, rng: np.random.Generator, *, bins: int = 20, draws: int = 200) -> EceFloor:
    """Return the ECE that chance alone gives: outcomes are drawn from p itself, `draws` times.

    A measured ECE within the 95th percentile can't be told from a perfect one. Cost: draws × n_rows.
    """
    probabilities = np.sort(np.asarray(p, dtype=np.float64), kind="stable")
    n = len(probabilities)
    if n == 0:
        return EceFloor(float("nan"), float("nan"))
    starts = bin_starts(n, bins)
    expected = np.add.reduceat(probabilities, starts)
    threshold = probabilities.astype(np.float32)
    errors = np.empty(draws)
    for i in range(draws):
        happened = (rng.random(n, dtype=np.float32) < threshold).astype(np.int32)
        errors[i] = np.abs(expected - np.add.reduceat(happened, starts)).sum() / n
    return EceFloor(float(errors.mean()), float(np.quantile(errors, 0.95)))


def brier(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the mean of (p − y)²."""
    probabilities, outcomes = _pair(p, y)
    return float(np.mean((probabilities - outcomes) ** 2)) if len(outcomes) else float("nan")


def brier_skill(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return 1 − Brier ÷ that of always saying these rows' base rate: 0 knows nothing, 1 all, below 0 it harms.

    >>> brier_skill([1, 0, 1, 0], [1, 0, 1, 0])
    1.0
    """
    _, outcomes = _pair(p, y)
    if len(outcomes) == 0 or outcomes.min() == outcomes.max():
        return float("nan")
    return 1.0 - brier(p, y) / float(outcomes.var())


def expected_over_observed(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return Σp ÷ Σy: above 1 promises too much. NaN when nothing happened.

    >>> expected_over_observed([0.5, 0.5, 0.5], [1, 0, 0])
    1.5
    """
    probabilities, outcomes = _pair(p, y)
    return float(probabilities.sum() / outcomes.sum()) if outcomes.sum() > 0 else float("nan")


def log_losses(p: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
    """Return each row's −log of the probability given to what happened; p is clipped to [1e-7, 1 − 1e-7]."""
    probabilities, outcomes = _pair(p, y)
    clipped = np.clip(probabilities, _CLIP, 1 - _CLIP)
    return np.asarray(-(outcomes * np.log(clipped) + (1 - outcomes) * np.log1p(-clipped)), dtype=np.float64)


def log_loss(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the mean of `log_losses`."""
    losses = log_losses(p, y)
    return float(losses.mean()) if len(losses) else float("nan")


def auc(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the chance that a random positive has a higher score than a random negative (ROC AUC); a tie counts half.

    >>> auc([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1])  # three and a half of four pairs
    0.875
    """
    return weighted_auc(p, y)(np.ones(len(np.asarray(p))))


def weighted_auc(p: npt.ArrayLike, y: npt.ArrayLike) -> Callable[[FloatArray], float]:
    """Return a function from row weights to the weighted ROC AUC: sorted once, so that a bootstrap is cheap."""
    scores, outcomes = _pair(p, y)
    order = np.argsort(scores, kind="stable")
    is_positive = outcomes[order] > 0
    starts = _tie_starts(scores[order])

    def of_weights(weights: FloatArray) -> float:
        sorted_weights = weights[order]
        positive = np.add.reduceat(np.where(is_positive, sorted_weights, 0.0), starts) if len(order) else np.zeros(0)
        negative = np.add.reduceat(np.where(is_positive, 0.0, sorted_weights), starts) if len(order) else np.zeros(0)
        pairs = positive.sum() * negative.sum()
        below = np.cumsum(negative) - 0.5 * negative
        return float((positive * below).sum() / pairs) if pairs > 0 else float("nan")

    return of_weights


def pr_auc(p: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the average precision: Σ (recall gained at each score) × (precision down to it), equal scores as one step.

    >>> round(pr_auc([0.9, 0.8, 0.7], [1, 0, 1]), 6)  # ½ · 1 + ½ · ⅔
    0.833333
    """
    scores, outcomes = _pair(p, y)
    if outcomes.sum() == 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ends = np.append(_tie_starts(scores[order])[1:], len(order)) - 1
    hits = np.cumsum(outcomes[order])[ends]
    recall_gained = np.diff(hits, prepend=0.0) / outcomes.sum()
    return float((recall_gained * hits / (ends + 1)).sum())


def rank_within(frame: pd.DataFrame, query: Sequence[str], score: str, *, tie: str) -> pd.DataFrame:
    """Return the frame sorted best first within each query, with `rank` from 1; equal scores by `tie`, rising."""
    keys = list(query)
    ordered = frame.sort_values([*keys, score, tie], ascending=[True] * len(keys) + [False, True], kind="stable")
    return ordered.assign(**{RANK: ordered.groupby(keys, sort=False).cumcount().to_numpy() + 1})


def recall_at_k(
    ranked: pd.DataFrame, truth: pd.DataFrame, k: int, *, query: Sequence[str], item: str
) -> pd.Series[float]:
    """Return for each query of `truth`: true items among the first k ÷ true items.

    Parameters
    ----------
    ranked
        Columns `query`, `item`, `rank` (from 1). A query that it doesn't have scores 0: not being served is a miss.
    truth
        Columns `query`, `item`: what really happened, each at least once (repeats count once).

    Returns
    -------
    Indexed by `query`, in sorted order.
    """
    found, n_true = _hits(ranked, truth, k, query, item)
    n_hits = found.groupby(list(query)).size().reindex(n_true.index, fill_value=0)
    return n_hits / n_true


def ndcg_at_k(
    ranked: pd.DataFrame, truth: pd.DataFrame, k: int, *, query: Sequence[str], item: str
) -> pd.Series[float]:
    """Return for each query of `truth`: Σ 1 ÷ log2(rank + 1) over hits in the first k ÷ the most it could be."""
    found, n_true = _hits(ranked, truth, k, query, item)
    gains = found.assign(**{_HIT: 1.0 / np.log2(found[RANK].to_numpy() + 1.0)})
    gained = gains.groupby(list(query))[_HIT].sum().reindex(n_true.index, fill_value=0.0)
    best = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(1, k + 1) + 1.0))])
    ndcg: pd.Series[float] = gained / best[np.minimum(n_true.to_numpy(), k)]
    return ndcg


def precision_at_k(
    ranked: pd.DataFrame, truth: pd.DataFrame, k: int, *, queries: pd.DataFrame, item: str
) -> pd.Series[float]:
    """Return for each distinct row of `queries` (its columns are the query): true items among the first k ÷ k.

    A short or missing list misses.

    >>> ranked = pd.DataFrame({"who": [1, 1], "what": [7, 8], "rank": [1, 2]})
    >>> truth = pd.DataFrame({"who": [1], "what": [8]})
    >>> precision_at_k(ranked, truth, 2, queries=pd.DataFrame({"who": [1]}), item="what").tolist()
    [0.5]
    """
    query = [str(name) for name in queries.columns]
    found, _ = _hits(ranked, truth, k, query, item)
    index = queries.sort_values(query).set_index(query).index
    return found.groupby(query).size().reindex(index, fill_value=0) / k


def _hits(
    ranked: pd.DataFrame, truth: pd.DataFrame, k: int, query: Sequence[str], item: str
) -> tuple[pd.DataFrame, pd.Series[int]]:
    keys = list(query)
    distinct = truth[[*keys, item]].drop_duplicates()
    top = ranked.loc[ranked[RANK] <= k, [*keys, item, RANK]]
    return top.merge(distinct, on=[*keys, item]), distinct.groupby(keys).size().rename(_N_TRUE)


def _pair(p: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    probabilities, outcomes = np.asarray(p, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if probabilities.shape != outcomes.shape or probabilities.ndim != 1:
        raise ValueError(f"p and y must be parallel vectors, found shapes {probabilities.shape} and {outcomes.shape}")
    return probabilities, outcomes


def bin_starts(n: int, bins: int) -> npt.NDArray[np.int64]:
    """Return where each of at most `bins` bins of equal mass begins among `n` rows in order of their probability."""
    return np.unique((np.arange(bins, dtype=np.int64) * n) // bins)


def _tie_starts(ordered: FloatArray) -> npt.NDArray[np.int64]:
    if len(ordered) == 0:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])).astype(np.int64)
