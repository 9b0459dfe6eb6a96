"""Having a bundle's pages at hand before customers wait for them.

A file that is mapped comes in page by page, as each is touched for the first time: the request that touches it pays
some 50 µs for all pages of a customer, or milliseconds where they have to come from the disk. Here all are mapped at
once, in a few tenths of a second for gigabytes; that takes no memory of the process's own, and the page cache's only as
long as there is enough of it.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt

from serving.bundle_fields import flatten
from serving.bundle_format import BundleArrays
from serving.shares import Shares
from serving.strings import StringTable

_POPULATE_READ = 22  # MADV_POPULATE_READ, since Linux 5.14; Python has no name for it
_STEP = 4 << 20  # a mapping that grows waits for a step to end
_MOST_OF_MEMORY = 0.5
_MEMINFO = Path("/proc/meminfo")


def map_pages(arrays: BundleArrays) -> bool:
    """Map every page of a bundle's arrays now, and say whether that was done.

    Not done where the system can't, or where the bundle is larger than half of the memory that is available. Other
    threads run meanwhile.
    """
    parts = list(_parts(arrays))
    if sys.platform != "linux" or sum(each.nbytes for each in parts) > _MOST_OF_MEMORY * _available_bytes():
        return False
    advise = ctypes.CDLL(None).madvise  # as a foreign function it lets other threads run; mmap.madvise does not
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return all(advise(start, length, _POPULATE_READ) == 0 for each in parts for start, length in _steps(each) if length)


def _parts(arrays: BundleArrays) -> Iterator[npt.NDArray[Any]]:
    for _, values in flatten(arrays):
        if isinstance(values, StringTable):
            yield from (values.offsets, values.utf8)
        else:
            yield values.codes if isinstance(values, Shares) else values


def _steps(values: npt.NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Yield address and length of the pages of an array, some megabytes at a time."""
    start = values.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
    end = values.ctypes.data + values.nbytes
    for address in range(start, end, _STEP):
        yield address, min(_STEP, end - address)


def _available_bytes() -> int:
    """Return the memory that could be used without swapping; 0 where nobody says."""
    try:
        lines = _MEMINFO.read_text("ascii").splitlines()
    except OSError:
        return 0
    found = (line.split() for line in lines if line.startswith("MemAvailable:"))
    return next((1024 * int(kibibytes) for _, kibibytes, *_ in found), 0)
