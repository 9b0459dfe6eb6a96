"""A machine whose clock is set by hand: `time.time` and `time.time_ns` are ahead by what a file says, in seconds.

Python runs this at the start of every process that has its folder on the path, and `TEST_CLOCK_FILE` names the file.
"""

from __future__ import annotations

import mmap
import os
import struct
import time


def _stepped() -> None:
    with open(os.environ["TEST_CLOCK_FILE"], "rb") as file:  # noqa: PTH123  # as little as can be is imported here
        ahead = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    seconds, nanoseconds, read = time.time, time.time_ns, struct.Struct("d").unpack_from
    time.time = lambda: seconds() + read(ahead)[0]
    time.time_ns = lambda: nanoseconds() + int(read(ahead)[0] * 1e9)


if "TEST_CLOCK_FILE" in os.environ:
    _stepped()
