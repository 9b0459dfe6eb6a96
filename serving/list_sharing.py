"""Budgets shared out over a whole list: what each customer may have, and who gets an offer that is not for all.

Each customer has an order of choices, the best first; some of these claim one place of an offer whose budget has only
so many. Everybody gets the first `k` choices that are open to them, and an offer's places go to those from whom the
shop expects most; who is turned away takes their next choice, which may turn away others in turn. What comes out is
stable: no customer would rather have an offer that would also rather have them. (Gale and Shapley, 1962, College
admissions and the stability of marriage: deferred acceptance, here by rising cuts.)

The claims lie in a file and are read in blocks: memory does not grow with customers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt

NO_CLAIM = -1
ANY_NUMBER = np.iinfo(np.int64).max
"""Places of an offer that costs nothing: more than there are customers."""

CHOICE = np.dtype([("customer", "<u4"), ("row", "<i4"), ("what", "<i1"), ("claim", "<i2"), ("key", "<u8")])
"""One choice: whose (numbered in the order of the list, and their row in the bundle), what kind of choice it is (for
the list to say), which offer it claims, and how surely it gets a place."""

_DIGIT_BITS = 16
_DIGITS = 64 // _DIGIT_BITS
_BINS = 1 << _DIGIT_BITS

Choices = npt.NDArray[np.void]
Bools = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]


def keys_of(values: npt.NDArray[np.float32], ties: npt.NDArray[np.uint32]) -> Keys:
    """Return keys in the order of the values, equal ones in the order of `ties`.

    Examples
    --------
    >>> keys = keys_of(np.array([-1.0, 0.0, 2.5, 2.5], np.float32), np.array([9, 9, 1, 2], np.uint32))
    >>> bool((keys[1:] > keys[:-1]).all())
    True
    """
    bits = (values + np.float32(0.0)).astype("<f4").view("<u4")  # no minus before a zero
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return ordered.astype(np.uint64) << np.uint64(32) | ties.astype(np.uint64)


class Claims:
    """The choices of a list, in a file without a name beside the list: it is gone when the process is."""

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._lengths: list[int] = []

    def __enter__(self) -> Claims:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, block: Choices) -> None:
        """Put a block at the end; a customer's choices lie together in one block, the best first."""
        self._lengths.append(len(block))
        self._file.write(block.tobytes())

    def blocks(self) -> Iterator[Choices]:
        """Yield the blocks in their order."""
        self._file.flush()
        self._file.seek(0)
        for length in self._lengths:
            yield np.frombuffer(self._file.read(length * CHOICE.itemsize), dtype=CHOICE)


@dataclass(frozen=True, slots=True)
class Allotment:
    """Who gets what: a claim of an offer is met from its `cuts` entry on; `k` choices a customer."""

    cuts: Keys
    k: int

    def chosen(self, block: Choices) -> Bools:
        """Return which of a block's choices come true."""
        claim = block["claim"]
        is_open = claim == NO_CLAIM
        is_claim = ~is_open
        is_open[is_claim] = block["key"][is_claim] >= self.cuts[claim[is_claim]]
        before = np.cumsum(is_open) - is_open
        starts = np.flatnonzero(np.diff(block["customer"], prepend=np.uint32(0), append=np.uint32(0))[:-1])
        first = np.zeros(len(block), dtype=np.int64)
        if len(block):
            starts = np.union1d(starts, [0])
            first = np.repeat(before[starts], np.diff(np.append(starts, len(block))))
        return np.asarray(is_open & (before - first < self.k))


def share_out(claims: Claims, places: npt.NDArray[np.int64], k: int) -> Allotment:
    """Return the allotment that meets claims; no offer has more claims met than its `places`, shape ``(n_offers,)``.

    Every round reads the claims, and once more for each digit of the cuts that have to rise.
    """
    allotment = Allotment(np.zeros(len(places), dtype=np.uint64), k)
    while True:
        wanted = _demand(claims, allotment)
        over = np.flatnonzero(wanted > places)
        if not len(over):
            return allotment
        cuts = allotment.cuts.copy()
        cuts[over] = _raised(claims, allotment, over, places[over])
        allotment = Allotment(cuts, k)


def _demand(claims: Claims, allotment: Allotment) -> npt.NDArray[np.int64]:
    """Return how many claims of each offer come true by this allotment."""
    wanted = np.zeros(len(allotment.cuts), dtype=np.int64)
    for block in claims.blocks():
        claim = block["claim"][allotment.chosen(block)]
        wanted += np.bincount(claim[claim != NO_CLAIM], minlength=len(wanted))
    return wanted


def _raised(claims: Claims, allotment: Allotment, over: npt.NDArray[np.intp], places: npt.NDArray[np.int64]) -> Keys:
    """Return the cuts by which the offers `over` have no more claims met than their places: the best of them.

    Digit by digit, each from how many of the claims begin with what is known of the cut. Of claims with the very same
    key, all are met or none.
    """
    place_of = np.full(len(allotment.cuts), NO_CLAIM)
    place_of[over] = np.arange(len(over))
    prefix, left = np.zeros(len(over), dtype=np.uint64), places.astype(np.int64)
    for digit in reversed(range(_DIGITS)):
        counts = _digit_counts(claims, allotment, place_of, prefix, digit)
        above = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1] - counts  # how many have a higher digit
        fits = above <= left[:, None]
        chosen = np.argmax(fits, axis=1)  # the lowest digit that leaves no more than the places above it
        left -= above[np.arange(len(over)), chosen]
        prefix |= chosen.astype(np.uint64) << np.uint64(digit * _DIGIT_BITS)
    at_cut = counts[np.arange(len(over)), chosen]
    return np.asarray(prefix + (at_cut > left).astype(np.uint64), dtype=np.uint64)


def _digit_counts(
    claims: Claims, allotment: Allotment, place_of: npt.NDArray[np.int64], prefix: Keys, digit: int
) -> npt.NDArray[np.int64]:
    """Return, by offer and value of a digit, how many claims that come true have a key that begins with the prefix."""
    counts = np.zeros(len(prefix) * _BINS, dtype=np.int64)
    shift = np.uint64(digit * _DIGIT_BITS)
    above = np.uint64((digit + 1) * _DIGIT_BITS)
    for block in claims.blocks():
        chosen = block[allotment.chosen(block)]
        place = np.where(chosen["claim"] == NO_CLAIM, NO_CLAIM, place_of[chosen["claim"]])
        key = chosen["key"][place >= 0]
        place = place[place >= 0]
        if digit < _DIGITS - 1:
            begins = key >> above == prefix[place] >> above
            key, place = key[begins], place[begins]
        value = (key >> shift & np.uint64(_BINS - 1)).astype(np.int64)
        counts += np.bincount(place * _BINS + value, minlength=len(counts))
    return counts.reshape(len(prefix), _BINS)
