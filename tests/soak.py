"""A steady load on a real server for some minutes: `make soak`. Memory stays flat, files follow what is kept.

Days can't be waited for. The bundle's policy keeps one day of events and decisions, and this process compacts the state
the way the server does each night, with a clock that is ahead by a day less `--keep` minutes: so that, as far as the
state can tell, the policy keeps that many minutes. After a third of the time, sizes must not grow any more.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from serving.bundle import write_bundle
from serving.champion import write_champion
from serving.launch import Server
from serving.live import epoch_us
from serving.state_home import OpenState, open_state
from tests.serving.running import CHALLENGE, NOW, RECOMMENDATIONS, running, worker_pids
from tests.serving.state.redis_process import RedisProcess
from tests.serving.tiny import PRODUCTS, tiny_contents

PRODUCT_IDS = tuple(PRODUCTS)
N_CUSTOMERS = 2000
N_THREADS = 4
EVENTS_PER_CALL = 5
CALLS_PER_CONNECTION = 50
EVENT_TYPES = ("view", "view", "cart", "wishlist", "purchase", "dismiss", "click")
ALSO_BOUGHT, SCORES = "/v1/also-bought", "/v1/scores"
DECISIONS = (CHALLENGE, CHALLENGE, RECOMMENDATIONS, RECOMMENDATIONS, ALSO_BOUGHT, SCORES)
EVENTS = "/v1/events"
SHARE_OF_EVENTS = 0.3
SHARE_OF_REPEATS = 0.1
COMPACTIONS_PER_KEEP = 4
N_ROWS = 30
MOST_GROWTH = 0.03
MOST_FILE_GROWTH = 0.25
FLAT_MB = 1.0


@dataclass(frozen=True)
class Options:
    """Minutes of load, calls a second, minutes that the state keeps, and where the state is: `file` or `redis`."""

    minutes: float
    rate: float
    keep: float
    state: str


@dataclass
class Tally:
    """What the clients saw since the last row; `failures` counts answers that are not what they should be."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    milliseconds: dict[str, list[float]] = field(default_factory=lambda: {"events": [], "decisions": []})
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, milliseconds: float, failure: str) -> None:
        with self.lock:
            self.milliseconds[kind].append(milliseconds)
            if failure:
                self.failures[failure] += 1

    def take(self) -> dict[str, list[float]]:
        """Return the times since the last call."""
        with self.lock:
            taken, self.milliseconds = self.milliseconds, {"events": [], "decisions": []}
        return taken


@dataclass(frozen=True)
class Row:
    """One look at the server: minutes since the start, MB of each worker and of the state, calls a second, times."""

    minute: float
    workers: dict[int, float]
    state: float
    n_descriptors: int
    rate: float
    events: tuple[float, float]
    decisions: tuple[float, float]

    def text(self) -> str:
        workers = " ".join(f"{megabytes:8.1f}" for megabytes in self.workers.values())
        times = " ".join(f"{milliseconds:8.1f}" for milliseconds in (*self.events, *self.decisions))
        return f"{self.minute:7.2f} {workers} {self.state:9.2f} {self.n_descriptors:6d} {self.rate:8.1f} {times}"


class Client:
    """Sends calls at its own steady pace until it is told to end; now and then over another connection.

    Which worker answers is settled when a connection is made.
    """

    def __init__(self, number: int, server: Server, tally: Tally, started: float) -> None:
        self._number, self._server, self._tally, self._started = number, server, tally, started
        self._rng = random.Random(number)
        self._n_sent = 0
        self._last: list[dict[str, object]] = []
        self._connection = HTTPConnection(server.settings.host, server.settings.port, timeout=10)

    def run(self, pace: float, is_over: threading.Event) -> None:
        due = time.monotonic() + self._rng.random() * pace
        while not is_over.wait(max(0.0, due - time.monotonic())):
            due += pace
            if self._rng.random() < 1 / CALLS_PER_CONNECTION:
                self._connection.close()  # the next request opens it again
            is_event = self._rng.random() < SHARE_OF_EVENTS
            began = time.perf_counter()
            failure = self._tell() if is_event else self._ask()
            self._tally.add("events" if is_event else "decisions", 1000 * (time.perf_counter() - began), failure)

    def _customer(self) -> str:
        return f"soak-{self._rng.randrange(N_CUSTOMERS)}" if self._rng.random() < 0.9 else "anna"

    def _tell(self) -> str:
        """Send events, now and then those of the last call again; say what was wrong with the answer."""
        is_repeat = bool(self._last) and self._rng.random() < SHARE_OF_REPEATS
        if not is_repeat:
            self._last = [self._event() for _ in range(EVENTS_PER_CALL)]
        status, answer = self._post(EVENTS, {"events": self._last})
        counted = answer.get("duplicates" if is_repeat else "accepted")
        return "" if status == 202 and counted == EVENTS_PER_CALL else f"{EVENTS} {status}"

    def _event(self) -> dict[str, object]:
        self._n_sent += 1
        kind = self._rng.choice(EVENT_TYPES)
        at = NOW + timedelta(seconds=time.monotonic() - self._started)
        event: dict[str, object] = {
            "event_id": f"{self._number}-{self._n_sent}",
            "customer_id": self._customer(),
            "type": kind,
        }
        order = {"order_id": f"o-{self._number}-{self._n_sent}"} if kind == "purchase" else {}
        return event | {"at": at.isoformat(), "product_id": self._rng.choice(PRODUCT_IDS)} | order

    def _ask(self) -> str:
        path = self._rng.choice(DECISIONS)
        body: dict[str, object] = {"customer_id": self._customer()}
        if path == ALSO_BOUGHT:
            body["product_ids"] = [self._rng.choice(PRODUCT_IDS)]
        elif path == SCORES:
            body = {"customer_ids": [self._customer() for _ in range(5)]}
        status, answer = self._post(path, body)
        is_degraded = bool(answer.get("degraded"))
        return "" if status == 200 and not is_degraded else f"{path} {status}{' degraded' if is_degraded else ''}"

    def _post(self, path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
        try:
            self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, HTTPException):
            self._connection.close()
            return 0, {}


def published(home: Path) -> None:
    """Make a champion whose policy keeps a day."""
    policy = {"state.events_days": 1, "state.decisions_days": 1, "state.challenge_weeks": 1}
    write_champion(home, write_bundle(tiny_contents(policy=policy), home / "bundles"))


@contextmanager
def load(options: Options, server: Server, tally: Tally, started: float) -> Iterator[None]:
    """Keep the server busy meanwhile."""
    is_over = threading.Event()
    pace = N_THREADS / options.rate
    clients = [Client(number, server, tally, started) for number in range(N_THREADS)]
    threads = [threading.Thread(target=client.run, args=(pace, is_over)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def soak(options: Options, server: Server, opened: OpenState) -> tuple[list[Row], Counter[str]]:
    """Return a row for each of many moments, and what was wrong."""
    tally, started = Tally(), time.monotonic()
    rows: list[Row] = []
    step = 60 * options.minutes / N_ROWS
    compact_every = 60 * options.keep / COMPACTIONS_PER_KEEP
    compact_at = started + compact_every
    print("minutes   worker MB each   state MB  files  calls/s events p50, p99 ms  decisions p50, p99 ms")
    with load(options, server, tally, started):
        for number in range(1, N_ROWS + 1):
            while time.monotonic() < started + number * step:
                if time.monotonic() > compact_at:
                    compact_at += compact_every
                    opened.state.compact(compacting_moment(options, time.monotonic() - started))
                time.sleep(0.2)
            rows.append(look(server, opened, tally, (time.monotonic() - started) / 60, step))
            print(rows[-1].text(), flush=True)
    return rows, tally.failures


def compacting_moment(options: Options, seconds: float) -> int:
    """Return the moment at which a policy of one day has kept only the latest minutes."""
    now: datetime = NOW + timedelta(seconds=seconds)
    return epoch_us(now + timedelta(days=1) - timedelta(minutes=options.keep))


def look(server: Server, opened: OpenState, tally: Tally, minute: float, step: float) -> Row:
    taken = tally.take()
    pids = worker_pids(server)
    return Row(
        minute=minute,
        workers={pid: resident(pid) for pid in pids},
        state=opened.store.n_bytes() / 1e6,
        n_descriptors=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
        rate=sum(map(len, taken.values())) / step,
        events=middle_and_tail(taken["events"]),
        decisions=middle_and_tail(taken["decisions"]),
    )


def resident(pid: int) -> float:
    """Return a process's resident memory in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def middle_and_tail(values: Sequence[float]) -> tuple[float, float]:
    """Return the 50th and the 99th percentile, 0 of nothing."""
    ordered = sorted(values) or [0.0]
    return ordered[len(ordered) // 2], ordered[int(0.99 * len(ordered))]


def faults(rows: Sequence[Row], failures: Counter[str]) -> list[str]:
    """Return what is not as it should be: means of the last third are held against those of the second."""
    third = len(rows) // 3
    second, last = rows[third : 2 * third], rows[2 * third :]
    found = [f"{n} answers were wrong: {what}" for what, n in sorted(failures.items())]
    if len({tuple(row.workers) for row in rows}) != 1:
        return [*found, "a worker ended, or was started again"]
    for pid in rows[0].workers:
        before, after = (sum(row.workers[pid] for row in part) / len(part) for part in (second, last))
        if after > before * (1 + MOST_GROWTH) + FLAT_MB:
            found.append(f"worker {pid} grew from {before:.1f} to {after:.1f} MB")
    before, after = (max(row.state for row in part) for part in (second, last))
    if after > before * (1 + MOST_FILE_GROWTH) + FLAT_MB:
        found.append(f"the state grew from {before:.1f} to {after:.1f} MB")
    if last[-1].n_descriptors > second[0].n_descriptors + len(rows[0].workers) * N_THREADS:
        found.append(f"open files grew from {second[0].n_descriptors} to {last[-1].n_descriptors}")
    return found


def run(options: Options) -> list[str]:
    """Return what was not as it should be."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        published(home / "shop")
        url = "file"
        if options.state == "redis":
            redis = RedisProcess(home / "redis").start()
            stack.callback(redis.stop)
            url = redis.url
        server = stack.enter_context(running(home / "shop", state=url))
        server.wait_until_ready()
        opened = open_state(url, home / "shop")
        stack.callback(opened.close)
        return faults(*soak(options, server, opened))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=100.0, help="calls a second")
    parser.add_argument("--keep", type=float, default=2.0, help="minutes that the state keeps")
    parser.add_argument("--state", choices=("file", "redis"), default="file")
    found = run(Options(**vars(parser.parse_args(arguments))))
    print("\n".join(found) if found else "flat: no answer was wrong, memory and files did not grow")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
