"""Seconds counted beside the metrics: to observe one in files that workers share costs ten times more."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

from prometheus_client import Histogram


class Timings:
    """Observations of one histogram since they were last carried over; any thread may add one.

    `bounds` are the histogram's upper bounds, ascending, without the infinite one.
    """

    def __init__(self, histogram: Histogram, bounds: Sequence[float]) -> None:
        self._histogram = histogram
        self._bounds = bounds
        self._waiting: deque[float] = deque()
        self.observe = self._waiting.append

    def flush(self) -> None:
        """Carry what was observed over to the histogram; for one thread at a time."""
        counts = [0] * (len(self._bounds) + 1)
        total = 0.0
        while self._waiting:
            seconds = self._waiting.popleft()
            counts[bisect_left(self._bounds, seconds)] += 1
            total += seconds
        # prometheus_client has no public way to add many at once; tests hold these two to what it shows.
        for bucket, n in zip(self._histogram._buckets, counts, strict=True):
            if n:
                bucket.inc(n)
        if total:
            self._histogram._sum.inc(total)
