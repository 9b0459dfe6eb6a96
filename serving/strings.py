"""String tables: many strings in two flat arrays that several processes can map from the same files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt


class StringTable(Sequence[str]):
    """The strings of one column, by row.

    `offsets` are whole numbers of shape ``(n + 1,)`` from 0; string i is the UTF-8 text ``utf8[offsets[i]:offsets[i +
    1]]``, with `utf8` uint8 of shape ``(offsets[n],)``. An unknown string is the empty one.

    Examples
    --------
    >>> table = StringTable.of(["milk", "", "crème"])
    >>> len(table), table[0], table[2], list(table)
    (3, 'milk', 'crème', ['milk', '', 'crème'])
    """

    __slots__ = ("_bytes", "_starts", "offsets", "utf8")

    def __init__(self, offsets: npt.NDArray[np.integer[Any]], utf8: npt.NDArray[np.uint8]) -> None:
        self.offsets = offsets
        self.utf8 = utf8
        # Reading one element of a memoryview costs a third of reading it from an array.
        self._starts = offsets.data
        self._bytes = utf8.data

    @classmethod
    def of(cls, strings: Iterable[str | None]) -> StringTable:
        """Return the table of the strings in the order given; None becomes the empty string."""
        encoded = [(text or "").encode("utf-8", "replace") for text in strings]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(encoded), dtype=np.uint8))

    def __len__(self) -> int:
        """Return how many strings there are."""
        return len(self._starts) - 1

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        """Return the string of a row, or the strings of a slice of rows; IndexError outside 0 to n - 1."""
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        if row < 0:
            raise IndexError(row)
        return str(self._bytes[self._starts[row] : self._starts[row + 1]], "utf-8")
