"""Servers under measurement: tercet and its peers as processes of this machine, and the CPU that their workers take."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from serving.bundle import Bundle, open_bundle
from serving.champion import bundle_folder, read_champion, write_champion
from serving.launch import free_port, start
from serving.settings import Settings
from tests.benchmarks.load import Ask

ROOT = Path(__file__).resolve().parents[2]
PEERS = ("floor", "starlette", "fastapi", "bento_api", "mount")
CHALLENGE = "/v1/challenge"
_START_SECONDS = 90.0
_STOP_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")
_BENTO_WORKER = b"_bentoml_impl.worker.service"
_MODULES = {
    "floor": "tests.benchmarks.peers.floor:make_app",
    "starlette": "tests.benchmarks.peers.plain:make_app",
    "fastapi": "tests.benchmarks.peers.day:make_app",
    "bento_api": "tests.benchmarks.peers.bento_api:Ready",
    "mount": "tests.benchmarks.peers.bento_mount:Ready",
}


class PeerError(Exception):
    """A server did not start."""


@dataclass(frozen=True)
class Target:
    """A server that runs: where it answers, and the process whose children, or itself, are its workers."""

    name: str
    url: str
    pid: int

    def workers(self) -> list[int]:
        """Return the processes that answer requests."""
        found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in found if _BENTO_WORKER in _command_of(int(pid))] or [self.pid]

    def cpu_seconds(self) -> float:
        """Return the CPU time that all workers have taken so far, from /proc/<pid>/stat: steps of 10 ms."""
        return sum(map(cpu_seconds, self.workers()))

    def waited_seconds(self) -> float:
        """Return how long the event loops of all workers have waited for a core so far."""
        return sum(map(waited_seconds, self.workers()))


def waited_seconds(pid: int) -> float:
    """Return how long the main thread of a process was ready to run and had no core: what others took from it."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:  # a kernel without these counts
        return 0.0


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def idle_seconds() -> float:
    """Return how long all cores of this machine together had nothing to do since it started."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / _TICKS  # idle, and idle while a disk was waited for


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@contextmanager
def peer(name: str, folder: Path, ready: bytes, bundle: Path) -> Iterator[Target]:
    """Run a peer with one worker, and end it; `folder` is for its files. It answers after `wait`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ready.json").write_bytes(ready)
    port = free_port()
    given = {"BENCH_READY": str(folder / "ready.json"), "BENCH_BUNDLE": str(bundle)}
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(name, port), cwd=ROOT, env=_environment(given, folder), stdout=output, stderr=output
        )
    try:
        yield Target(name, f"http://127.0.0.1:{port}", process.pid)
    finally:
        _stop(process)


def _command(name: str, port: int) -> Sequence[str]:
    listens = ["--host", "127.0.0.1", "--port", str(port)]
    if name in ("bento_api", "mount"):
        options = [*listens, "--api-workers", "1", "--working-dir", str(ROOT)]
        return [sys.executable, "-m", "bentoml", "serve", _MODULES[name], *options]
    options = [
        *listens,
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--log-level",
        "warning",
        "--factory",
    ]
    return [sys.executable, "-m", "uvicorn", _MODULES[name], *options]


def _environment(given: Mapping[str, str], folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BENTOML_", "TERCET_", "PROMETHEUS_"))}
    own = {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    return kept | own | given | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def wait(target: Target) -> None:
    """Return as soon as a server answers; PeerError where it ends instead, or does not in time."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if _answers(target.url + CHALLENGE):
            return
        if _has_ended(target.pid):
            raise PeerError(f"{target.name} ended before it answered")
        time.sleep(0.1)
    raise PeerError(f"{target.name} did not answer within {_START_SECONDS:.0f} s")


def _has_ended(pid: int) -> bool:
    """Say whether a process of our own has ended: until somebody asks how, it is there as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _answers(url: str) -> bool:
    """Say whether something answers there at all; a 404 for nobody is an answer."""
    head = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, b'{"customer_id": "nobody"}', head, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def tercet(bundle: Bundle, folder: Path, workers: int) -> Iterator[Target]:
    """Run tercet over a bundle, with a state of its own, and end it. It answers after `wait`.

    Its clock starts half a day after the bundle's as-of.
    """
    home = home_of(bundle, folder)
    now = bundle.manifest.as_of + timedelta(hours=12)
    with start(Settings(home, port=free_port(), workers=workers, now=now)) as server:
        yield Target(f"tercet with {workers} workers", server.url, server.process.pid)


def home_of(bundle: Bundle, folder: Path) -> Path:
    """Return a new home whose champion is the bundle, where it lies."""
    version = bundle.manifest.version
    (folder / "bundles").mkdir(parents=True)
    (folder / "bundles" / version).symlink_to(bundle.folder.resolve(), target_is_directory=True)
    write_champion(folder, version)
    return folder


def champion_bundle(home: Path) -> Bundle | None:
    """Return the champion of a home; None where it has none."""
    version = read_champion(home)
    return None if version is None else open_bundle(bundle_folder(home, version), verify=False)


def some_customers(bundle: Bundle, n: int) -> list[str]:
    """Return customers of a bundle, evenly spread over it."""
    total = len(bundle.customers.id)
    return [bundle.customers.id[row] for row in range(0, total, max(total // n, 1))][:n]


def challenge_asks(customers: Sequence[str]) -> list[Ask]:
    """Return a call for the challenge of each customer."""
    return [Ask(CHALLENGE, f'{{"customer_id": "{each}"}}') for each in customers]


def recommendation_asks(customers: Sequence[str]) -> list[Ask]:
    """Return a call for ten recommendations to each customer."""
    return [Ask("/v1/recommendations", f'{{"customer_id": "{each}", "k": 10}}') for each in customers]
