"""The best few of each group, without sorting everything."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BLOCK_CELLS = 8_000_000  # cells of the padded table, at most (or one group): 64 MB


def top_of_each(groups: npt.NDArray[np.integer], scores: npt.NDArray[np.floating], k: int) -> IntArray:
    """Return the places of the `k` best scores of each group, by group, best first, ties by place.

    Parameters
    ----------
    groups
        ``(n,)``: equal numbers stand together (in any order of groups).
    scores
        ``(n,)``, without NaN. Which of several equal scores at the k-th place are kept is always the same.

    Examples
    --------
    >>> top_of_each(np.array([4, 4, 4, 9]), np.array([0.1, 0.3, 0.2, 0.0]), 2).tolist()
    [1, 2, 3]
    """
    starts = run_starts(groups)
    sizes = np.diff(np.append(starts, len(groups)))
    parts = [_top(starts[low:high], sizes[low:high], scores, k) for low, high in _chunks(sizes)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def run_starts(values: npt.NDArray[np.integer]) -> IntArray:
    """Return where each run of equal values starts.

    >>> run_starts(np.array([7, 7, 2, 7])).tolist()
    [0, 2, 3]
    """
    if len(values) == 0:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])).astype(np.int64)


def place_in_run(values: npt.NDArray[np.integer]) -> IntArray:
    """Return the place of each value within its run of equal ones, from 0.

    >>> place_in_run(np.array([7, 7, 2, 7])).tolist()
    [0, 1, 0, 0]
    """
    starts = run_starts(values)
    sizes = np.diff(np.append(starts, len(values)))
    return np.arange(len(values), dtype=np.int64) - np.repeat(starts, sizes)


def _top(starts: IntArray, sizes: IntArray, scores: npt.NDArray[np.floating], k: int) -> IntArray:
    width = int(sizes.max())
    place = starts[:, None] + np.arange(width)
    is_there = np.arange(width) < sizes[:, None]
    table = np.where(is_there, scores[np.where(is_there, place, 0)], -np.inf)
    if width > k:
        chosen = np.sort(np.argpartition(-table, k - 1, axis=1)[:, :k], axis=1)
        table, place = np.take_along_axis(table, chosen, axis=1), np.take_along_axis(place, chosen, axis=1)
        is_there = np.take_along_axis(is_there, chosen, axis=1)
    order = np.argsort(-table, axis=1, kind="stable")
    kept: IntArray = np.take_along_axis(place, order, axis=1)[np.take_along_axis(is_there, order, axis=1)]
    return kept


def _chunks(sizes: IntArray) -> Iterator[tuple[int, int]]:
    """Yield ranges of groups whose padded table stays small."""
    low = 0
    while low < len(sizes):
        width = np.maximum.accumulate(sizes[low : low + _BLOCK_CELLS])
        fitting = int(np.searchsorted(width * np.arange(1, len(width) + 1), _BLOCK_CELLS, side="right"))
        high = low + max(fitting, 1)
        yield low, high
        low = high
