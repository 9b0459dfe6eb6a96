"""A load on a server and what it measured: by wrk where it is installed, else by a client of our own.

The two send the same. Ours takes several times the CPU of wrk, so the rates of fast servers are lower with it: results
say which client made them, and are held only against those of the same.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

WRK_SCRIPT = Path(__file__).with_name("wrk.lua")
SLOW_US = 50_000.0
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_numbers = itertools.count()


class LoadError(Exception):
    """The client ended without having measured anything."""


@dataclass(frozen=True)
class Ask:
    """One request: a POST of `body`, JSON. `{n}` in it becomes a number that is used once."""

    path: str
    body: str


@dataclass(frozen=True)
class Load:
    """What to send, in turn, over how many connections and how long; each waits 0 to `wait_ms` before a request."""

    asks: Sequence[Ask]
    connections: int
    seconds: int
    wait_ms: int = 0


@dataclass(frozen=True)
class Measured:
    """What came of a load. Times are from a request to its whole answer; `n_slow` took over 50 ms.

    `n_failed` counts answers of status 400 and above, broken connections and timeouts.
    """

    n: int
    seconds: float
    n_failed: int
    p50_us: float
    p99_us: float
    max_us: float
    n_slow: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.n / self.seconds


def client_name() -> str:
    """Return which client measures here."""
    return "wrk" if shutil.which("wrk") else "own"


def measure(url: str, load: Load, client: str = "") -> Measured:
    """Return what a load measured on the server at `url`; `client` is `wrk` or `own`, else whichever is there."""
    return _by_wrk(url, load) if (client or client_name()) == "wrk" else asyncio.run(_by_own(url, load))


def _by_wrk(url: str, load: Load) -> Measured:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lines:
        lines.writelines(f"{ask.path}\t{ask.body}\n" for ask in load.asks)
        lines.flush()
        sizes = ["-t", "1", "-c", str(load.connections), "-d", f"{load.seconds}s", "--timeout", "10s"]
        told = [lines.name, _mark(), str(load.wait_ms)]
        command = ["wrk", *sizes, "-s", str(WRK_SCRIPT), url, "--", *told]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=load.seconds + 30, check=False)
    found = ended.stdout.rstrip().rpartition("\n")[2]
    if ended.returncode or not found.startswith("{"):
        raise LoadError(f"wrk ended with status {ended.returncode}: {ended.stderr.strip() or ended.stdout.strip()}")
    return Measured(**json.loads(found))


def _mark() -> str:
    """Return a prefix that no other load of any process has."""
    return f"{os.getpid()}-{time.time_ns()}-{next(_numbers)}"


class _Connection(asyncio.Protocol):
    """Sends the requests of one connection, one after the other, and notes how long each took."""

    def __init__(self, load: Load, host: str, mark: str) -> None:
        self.times_us: list[float] = []
        self.n_failed = 0
        self.is_over = False
        self._load, self._host, self._mark = load, host, mark
        self._rng = random.Random(mark)
        self._place = self._rng.randrange(len(load.asks))
        self._n_sent = 0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        if self.is_over:
            return
        wait = self._rng.uniform(0, self._load.wait_ms) / 1000 if self._load.wait_ms else 0.0
        if wait:
            asyncio.get_running_loop().call_later(wait, self._send)
        else:
            self._send()

    def _send(self) -> None:
        if self.is_over:
            return
        ask = self._load.asks[(self._place + self._n_sent) % len(self._load.asks)]
        self._n_sent += 1
        body = ask.body.replace("{n}", f"{self._mark}-{self._n_sent}").encode()
        head = f"POST {ask.path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\nContent-Length: "
        self._began = time.perf_counter()
        self._transport.write(f"{head}{len(body)}\r\n\r\n".encode() + body)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, gap, body = self._received.partition(b"\r\n\r\n")
        if not gap:
            return
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return
        self.times_us.append(1e6 * (time.perf_counter() - self._began))
        self.n_failed += int(head[9:12]) >= 400
        self._received = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self.n_failed += not self.is_over
        self.is_over = True

    def end(self) -> None:
        self.is_over = True
        self._transport.close()


async def _by_own(url: str, load: Load) -> Measured:
    loop, parts, mark = asyncio.get_running_loop(), urlsplit(url), _mark()
    connections: list[_Connection] = []
    began = time.perf_counter()
    for number in range(load.connections):
        one = _Connection(load, parts.netloc, f"{mark}-{number}")
        await loop.create_connection(lambda one=one: one, parts.hostname, parts.port)
        connections.append(one)
    await asyncio.sleep(load.seconds)
    seconds = time.perf_counter() - began
    for one in connections:
        one.end()
    await asyncio.sleep(0)
    times = sorted(us for one in connections for us in one.times_us)
    if not times:
        raise LoadError(f"{url} answered nothing in {load.seconds} s")
    return Measured(
        n=len(times),
        seconds=seconds,
        n_failed=sum(one.n_failed for one in connections),
        p50_us=times[len(times) // 2],
        p99_us=times[int(0.99 * len(times))],
        max_us=times[-1],
        n_slow=sum(us > SLOW_US for us in times),
    )
