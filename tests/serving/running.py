"""A real server on a free port of this machine, for tests that are about the server as it runs."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from serving.bundle import write_bundle
from serving.champion import write_champion
from serving.launch import Server, free_port, start
from serving.settings import Settings
from tests.serving.tiny import tiny_contents

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)
CHALLENGE = "/v1/challenge"
RECOMMENDATIONS = "/v1/recommendations"
_TOO_MUCH = "too many requests at once"


@contextmanager
def running(home: Path, *, workers: int = 2, log_requests: bool = False, state: str = "file") -> Iterator[Server]:
    """Run a server whose clock starts at `NOW`, and end it; its home may have a champion or not."""
    settings = Settings(home, port=free_port(), workers=workers, now=NOW, log_requests=log_requests, state=state)
    with start(settings) as server:
        server.wait_until_live(seconds=120)
        yield server


def publish(home: Path, recipe: str = "first") -> str:
    """Write the tiny shop's bundle and make it the champion; another `recipe` makes another version."""
    contents = tiny_contents()
    contents = dataclasses.replace(contents, meta=dataclasses.replace(contents.meta, recipe={"name": recipe}))
    version = write_bundle(contents, home / "bundles")
    write_champion(home, version)
    return version


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Say whether `holds` becomes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.05)
    return False


def send(method: str, url: str, **options: Any) -> httpx.Response:
    """Send a request over a connection of its own, and again where a busy machine's server had too much to do."""
    until = time.monotonic() + 60
    while True:
        reply = httpx.request(method, url, timeout=30, verify=False, **options)
        if reply.status_code != 503 or _TOO_MUCH not in reply.text or time.monotonic() > until:
            return reply
        time.sleep(0.1)


def ask(server: Server, customer_id: str = "anna", path: str = CHALLENGE) -> httpx.Response:
    """Ask for a decision over a connection of its own, so that any worker may answer."""
    return send("POST", server.url + path, json={"customer_id": customer_id})


def asked_of_all(server: Server, path: str = CHALLENGE, n_workers: int = 2) -> list[httpx.Response]:
    """Return answers to the same question, at least 20, until so many workers have given one."""
    replies: list[httpx.Response] = []
    until = time.monotonic() + 60
    while len(replies) < 20 or (len(set(map(worker_of, replies))) < n_workers and time.monotonic() < until):
        replies.append(ask(server, path=path))
    assert len(set(map(worker_of, replies))) == n_workers
    return replies


def worker_of(reply: httpx.Response) -> str:
    """Return which worker answered."""
    return reply.headers["x-request-id"].partition("-")[0]


def serving_version(server: Server) -> str:
    """The bundle that decides; a challenge that is kept goes on to name the one that it was made from."""
    version: str = ask(server, path=RECOMMENDATIONS).json()["model_version"]
    return version


def worker_pids(server: Server) -> list[int]:
    """Return the processes that answer requests."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"_bentoml_impl.worker.service" in _command_of(int(pid))]


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
