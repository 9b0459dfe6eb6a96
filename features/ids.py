"""Where external ids and dense rows meet: the only module that turns one into the other.

A row is an int32 from 0 to n - 1. Rows are given in the order of the ids' 64-bit hash, so that finding an id is a
binary search over one sorted array that many processes can map from the same file; no dictionary has to be built or
kept.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNKNOWN_ROW = -1

HashArray = npt.NDArray[np.uint64]
RowArray = npt.NDArray[np.int32]


def hash_id(external_id: str) -> int:
    """Return the first 64 bits of the id's BLAKE2b digest, 0 to 2**64 - 1; the same on every machine.

    Examples
    --------
    >>> hash_id("milk") == hash_id("milk"), hash_id("milk") == hash_id("Milk")
    (True, False)
    """
    digest = hashlib.blake2b(external_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def hash_ids(external_ids: Iterable[str]) -> HashArray:
    """Return the hashes of many ids, shape ``(n,)``, in the order given."""
    return np.fromiter((hash_id(each) for each in external_ids), dtype=np.uint64)


@dataclass(frozen=True)
class IdIndex:
    """The ids of one kind in row order, with their sorted hashes; both have shape ``(n,)``."""

    ids: Sequence[str]
    hashes: HashArray

    @classmethod
    def of(cls, external_ids: Iterable[str]) -> IdIndex:
        """Return the index of the distinct ids: row order is hash order, equal hashes in the order of the ids.

        Examples
        --------
        >>> index = IdIndex.of(["b", "a", "b"])
        >>> len(index), index.row_of(index.ids[1]), index.row_of("c")
        (2, 1, -1)
        """
        distinct = sorted(set(external_ids))
        hashes = hash_ids(distinct)
        order = np.argsort(hashes, kind="stable")
        return cls([distinct[i] for i in order], hashes[order])

    def __len__(self) -> int:
        """Return how many ids there are."""
        return len(self.hashes)

    def row_of(self, external_id: str) -> int:
        """Return the id's row, or ``UNKNOWN_ROW``."""
        return find_row(self.hashes, self.ids, external_id)

    def rows_of(self, external_ids: Sequence[str]) -> RowArray:
        """Return the rows of many ids, ``UNKNOWN_ROW`` where unknown, shape ``(len(external_ids),)``."""
        wanted = hash_ids(external_ids)
        buffer, starts = self.hashes.data, np.searchsorted(self.hashes, wanted)
        rows = np.full(len(wanted), UNKNOWN_ROW, dtype=np.int32)
        for i, start in enumerate(starts):
            rows[i] = _settle(buffer, self.ids, int(start), external_ids[i], int(wanted[i]))
        return rows


def find_row(hashes: HashArray, ids: Sequence[str], external_id: str) -> int:
    """Return the row of an id among sorted hashes and the ids beside them, or ``UNKNOWN_ROW``."""
    # For one id `bisect` over the plain buffer takes a quarter of what `np.searchsorted` does.
    buffer, wanted = hashes.data, hash_id(external_id)
    return _settle(buffer, ids, bisect_left(buffer, wanted), external_id, wanted)


def _settle(hashes: Sequence[int], ids: Sequence[str], start: int, external_id: str, wanted: int) -> int:
    """Return the row at or after `start` whose id is the one asked for: equal hashes stand side by side."""
    row = start
    while row < len(hashes) and hashes[row] == wanted:
        if ids[row] == external_id:
            return row
        row += 1
    return UNKNOWN_ROW
