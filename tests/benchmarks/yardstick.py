"""A fixed piece of work, of the kinds that a decision is made of: what parts cost is told as a ratio to it.

Machines and their load change between runs; this does not.
"""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import orjson

_VALUES = np.linspace(0.0, 1.0, 256, dtype=np.float32)
_BODY = orjson.dumps({"items": [{"product_id": str(i), "name": f"product {i}", "p": i / 7} for i in range(10)]})
N_TIMES = 15


def work() -> int:
    """Return a number that took some 10 µs: JSON both ways, small arrays, and a loop over dictionaries."""
    told = orjson.loads(_BODY)
    best = np.argsort(-(_VALUES * 0.5 + np.sqrt(_VALUES)), kind="stable")[:10].tolist()
    total = sum(place * one for place, one in enumerate(best))
    for item in told["items"]:
        item["reason"] = f"{item['name']} of {total}"
    return len(orjson.dumps(told))


def seconds() -> float:
    """Return what the work takes now in CPU time: the middle of some times."""
    stamps = [time.thread_time()]
    for _ in range(N_TIMES):
        work()
        stamps.append(time.thread_time())
    return sorted(after - before for before, after in pairwise(stamps))[N_TIMES // 2]
