"""A running shop that faults are done to, and clients that keep asking meanwhile."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Self

import httpx

from serving.bundle import write_bundle
from serving.champion import write_champion
from serving.launch import Server
from serving.strings import StringTable
from tests.serving.running import CHALLENGE, RECOMMENDATIONS, eventually, is_running, worker_pids
from tests.serving.tiny import tiny_contents

EVENTS = "/v1/events"
SCORES = "/v1/scores"
ANNA = {"customer_id": "anna"}
Body = Mapping[str, Any]  # Any: a JSON document


@dataclass(frozen=True)
class Reply:
    """What a client got: a status, or the name of what it got instead; `began` on `time.monotonic`."""

    status: int | str
    body: Any
    retry_after: str | None
    began: float
    seconds: float
    is_first: bool  # of its connection
    asked: Any = None


class Client:
    """Asks over one connection until that ends."""

    def __init__(self, server: Server, timeout: float = 10.0) -> None:
        self._connection = HTTPConnection(server.settings.host, server.settings.port, timeout=timeout)

    def post(self, path: str, body: Body) -> Reply:
        is_first = self._connection.sock is None
        began = time.monotonic()
        try:
            self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            retry_after, found = answer.getheader("Retry-After"), json.loads(answer.read())
            status: int | str = answer.status
        except (OSError, HTTPException) as error:
            self._connection.close()
            status, found, retry_after = type(error).__name__, None, None
        return Reply(status, found, retry_after, began, time.monotonic() - began, is_first, body)

    def close(self) -> None:
        self._connection.close()


@dataclass
class Load:
    """As a context, clients that ask again and again; `replies` are what they got."""

    server: Server
    n: int = 3
    path: str = RECOMMENDATIONS
    body: Callable[[int], Body] = lambda _turn: ANNA
    pause: float = 0.0
    replies: list[Reply] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._run) for _ in range(self.n)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def statuses(self) -> Counter[int | str]:
        return Counter(reply.status for reply in self.replies)

    def after(self, moment: float) -> list[Reply]:
        """Return what was asked after a moment of `time.monotonic`."""
        return [reply for reply in self.replies if reply.began > moment]

    def _run(self) -> None:
        client, turn = Client(self.server), 0
        while not self._over.is_set():
            reply = client.post(self.path, self.body(turn))
            self.replies.append(reply)
            turn += 1
            if self.pause or reply.status != 200:
                time.sleep(max(self.pause, 0.01))
        client.close()


def slowest(replies: list[Reply], share: float = 0.95) -> float:
    """Return how long all but the slowest of the answers took at most, seconds."""
    taken = sorted(reply.seconds for reply in replies)
    return taken[int(share * (len(taken) - 1))]


def post(server: Server, path: str = CHALLENGE, body: Body = ANNA, timeout: float = 10.0) -> Reply:
    """Ask over a connection of its own, so that any worker may answer."""
    client = Client(server, timeout)
    try:
        return client.post(path, body)
    finally:
        client.close()


def tell(server: Server, event_id: str, **more: Any) -> Reply:
    """Tell one event."""
    said = {"event_id": event_id, "customer_id": "anna", "type": "view", "at": "2018-01-01T13:00:00Z"}
    return post(server, EVENTS, {"events": [{**said, "product_id": "milk-1", **more}]}, timeout=5)


def publish_named(home: Path, name: str) -> str:
    """Write a bundle whose every product bears `name`, make it the champion, and return its version."""
    contents = tiny_contents()
    products = contents.products
    renamed = dataclasses.replace(products, name=StringTable.of(f"{each} [{name}]" for each in products.name))
    meta = dataclasses.replace(contents.meta, recipe={"name": name})
    version = write_bundle(dataclasses.replace(contents, products=renamed, meta=meta), home / "bundles")
    write_champion(home, version)
    return version


def copied(home: Path, version: str, name: str) -> Path:
    """Return a copy of a bundle under another version's name, to be damaged."""
    folder = home / "bundles" / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(home / "bundles" / version, folder)
    return folder


def ready(server: Server) -> Any:
    """Return what `/readyz` says, of whichever worker."""
    return httpx.get(server.url + "/readyz", timeout=10).json()


def n_ready(server: Server) -> int:
    """Return how many workers say that they serve."""
    reports = server.settings.ready_folder.glob("*.serves")
    return sum(is_running(int(each.stem)) for each in reports)


def everywhere(server: Server, claim: Callable[[], bool], n: int = 20) -> bool:
    """Say whether a claim becomes true of every worker: of many answers over new connections."""
    return eventually(lambda: all(claim() for _ in range(n)))


def metric(server: Server, line: str) -> float:
    """Return the sum of the samples whose line begins with `line`."""
    text = httpx.get(server.url + "/metrics", timeout=10).text
    return sum(float(each.split()[-1]) for each in text.splitlines() if each.startswith(line))


def mapped(pid: int, folder: Path) -> int:
    """Return how many of a folder's files a process has mapped."""
    return sum(str(folder) in line for line in Path(f"/proc/{pid}/maps").read_text().splitlines())


def n_descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  # a folder of links that come and go


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def untouched(server: Server) -> Iterator[None]:
    """Hold that the workers are the same ones at the end."""
    before = set(worker_pids(server))
    yield
    assert set(worker_pids(server)) == before
