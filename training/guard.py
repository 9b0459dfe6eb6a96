"""Whether what a model has learned ranks better than something simpler, on rows that it has not learned from.

With few data a model may have learned what is not there. Each fit that could asks here, on weeks or customers that it
held back, and falls back on the simpler order where its own is no better.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.ranking import Ranked
from training.topk import place_in_run, run_starts, top_of_each

FloatArray = npt.NDArray[np.float64]


def ranks_better(
    ours: FloatArray,
    simpler: FloatArray,
    *,
    groups: npt.NDArray[np.integer],
    is_hit: npt.NDArray[np.bool_],
    k: int = 10,
) -> bool:
    """Return whether `ours` puts the hits of each group higher among its first `k` than `simpler` does.

    That is by the mean nDCG over the groups with a hit; equal is not better. Without any hit nothing was shown against
    ours, which stands.

    Parameters
    ----------
    ours, simpler
        Scores, shape ``(n,)``, without NaN.
    groups
        Whose row it is, ``(n,)``; equal numbers stand together.
    is_hit
        Whether it happened, ``(n,)``.

    Examples
    --------
    >>> groups, is_hit = np.array([5, 5, 5]), np.array([False, True, False])
    >>> ranks_better(np.array([0.1, 0.9, 0.2]), np.array([0.9, 0.1, 0.2]), groups=groups, is_hit=is_hit)
    True
    """
    starts = run_starts(groups)
    if not is_hit.any():
        return True
    n_true = np.add.reduceat(is_hit.astype(np.int64), starts)
    gain = _ndcg(ours, groups, is_hit, n_true, k) - _ndcg(simpler, groups, is_hit, n_true, k)
    return bool(np.nanmean(gain) > 0.0)


def _ndcg(
    scores: FloatArray,
    groups: npt.NDArray[np.integer],
    is_hit: npt.NDArray[np.bool_],
    n_true: npt.NDArray[np.int64],
    k: int,
) -> FloatArray:
    best = top_of_each(groups, scores, k)
    run = np.cumsum(place_in_run(groups) == 0) - 1
    hits = np.zeros((len(n_true), k), dtype=np.bool_)
    hits[run[best], place_in_run(run[best])] = is_hit[best]
    return Ranked(hits, n_true).ndcg()
