"""Time as a store sees it, stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from serving.state.committer import Breaker


@contextmanager
def one_moment(breaker: Breaker) -> Iterator[None]:
    """Let no time pass in which what failed would be tried again, however busy the machine is."""
    now = time.monotonic()
    breaker._clock = lambda: now
    yield
    breaker._clock = time.monotonic
