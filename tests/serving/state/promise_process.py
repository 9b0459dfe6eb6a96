"""A process that promises and redeems one offer until its budget is used up: `python -m … WHERE NAME BUDGET`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from serving.decisioning.policy import default_policy
from serving.errors import StateUnavailable
from serving.state.events import Event, EventType
from serving.state.holds import Hold, KeptAnswer, Promise
from serving.state.shop import State
from tests.serving.state.writer_process import open_at

OFFER, COST = "spring", 2.5
N_THREADS = 4
_MONDAY = 17_532 * 86_400_000_000
_DAY = 86_400_000_000


def begin(where: str, name: str, budget: str) -> subprocess.Popen[str]:
    """Return the process: it says `ready`, then whom it promised the offer to, a line each."""
    command = [sys.executable, "-m", "tests.serving.state.promise_process", where, name, budget]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


def hold_of() -> Hold:
    return Hold(OFFER, COST, _MONDAY, _MONDAY + _DAY)


def promise_of(budget: float, *, name: str = "d1") -> Promise:
    """Return the promise of the offer for a day."""
    kept = KeptAnswer("offers/web", "f", _MONDAY, _MONDAY + _DAY, {"decision_id": name})
    return Promise(kept, (hold_of(),), {OFFER: budget})


def work(state: State, name: str, budget: float) -> None:
    """Promise one customer after the other; every third redeems at once."""
    n, is_left = 0, True
    while is_left:
        who = f"c{name}-{n}"
        try:
            is_left = state.promise(who, promise_of(budget), now_us=_MONDAY).kept is not None
        except StateUnavailable:
            continue
        if is_left:
            os.write(1, f"{who}\n".encode())
            if n % 3 == 0:
                used = Event(f"r{who}", who, EventType.REDEEM, _MONDAY + 1, _MONDAY + 1, offer_id=OFFER)
                state.accept([used], may_keep=lambda _live: True, kind_of=lambda _product: None)
        n += 1


def main(where: str, name: str, budget: str) -> None:
    state = State(open_at(where), b"k" * 32, default_policy().state)
    state.live(name)
    os.write(1, b"ready\n")
    threads = [threading.Thread(target=work, args=(state, f"{name}-{n}", float(budget))) for n in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
