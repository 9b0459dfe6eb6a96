"""One shop for all faults that it has to outlive, and one for each that needs a server of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from serving.champion import read_champion, write_champion
from serving.launch import Server
from tests.faults.shop import everywhere, n_ready, publish_named, ready
from tests.serving.running import eventually, running
from tests.serving.state.redis_process import RedisProcess


@dataclass(frozen=True)
class Shop:
    """A running server with its home, and the version that it serves when a test begins."""

    home: Path
    server: Server
    version: str


@pytest.fixture(scope="session")
def running_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server with two workers; MLflow is where nobody answers, all the while."""
    home = tmp_path_factory.mktemp("home")
    version = publish_named(home, "first")
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # for the server alone: trainings of other tests log to MLflow
            patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
            server = stack.enter_context(running(home))
        server.wait_until_ready()
        assert eventually(lambda: n_ready(server) == 2, seconds=60)
        yield Shop(home, server, version)


@pytest.fixture
def shop(running_shop: Shop) -> Iterator[Shop]:
    """The running shop; whatever a test does to it, the next one finds two workers and the first bundle."""
    yield running_shop
    if read_champion(running_shop.home) != running_shop.version:
        write_champion(running_shop.home, running_shop.version)
    server = running_shop.server
    assert eventually(lambda: n_ready(server) == 2, seconds=60)
    expected = {"ready": True, "model_version": running_shop.version, "state": "available"}
    assert everywhere(server, lambda: ready(server) == expected)


@pytest.fixture
def redis_at() -> Iterator[Callable[[Path], RedisProcess]]:
    """Starts real Redis servers in folders; they are ended with the test."""
    started: list[RedisProcess] = []

    def start(folder: Path) -> RedisProcess:
        started.append(RedisProcess(folder).start())
        return started[-1]

    yield start
    for redis in started:
        redis.stop()
