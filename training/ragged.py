"""Ragged groups for the bundle: how frames with a row per owner and entry become offsets and flat arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd


def offsets_of(owner_rows: npt.NDArray[np.integer], n_owners: int) -> npt.NDArray[np.int64]:
    """Return the offsets of a ragged group whose owners, ascending, are `owner_rows`; shape ``(n_owners + 1,)``.

    Examples
    --------
    >>> offsets_of(np.array([0, 0, 2]), 4).tolist()
    [0, 2, 2, 3, 3]
    """
    offsets = np.zeros(n_owners + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner_rows, minlength=n_owners), out=offsets[1:])
    return offsets


def best_of_each(frame: pd.DataFrame, owner: str, by: str, *, n: int, ties: Sequence[str]) -> pd.DataFrame:
    """Return the `n` rows of each owner with the highest `by`, owners ascending, best first.

    Equal values of `by` are ordered by the `ties` columns, ascending, so that the answer does not depend on row order.
    """
    keys = [owner, by, *ties]
    ordered = frame.sort_values(keys, ascending=[True, False, *[True] * len(ties)], kind="stable", ignore_index=True)
    place = ordered.groupby(owner, sort=False).cumcount()
    return ordered[place < n].reset_index(drop=True)
