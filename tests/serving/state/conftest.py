"""Places to keep a state in: a folder, and a real Redis server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.state import file_store, people, redis_server
from serving.state.file_store import FileStore
from serving.state.redis_store import RedisStore
from serving.state.store import Store
from tests.serving.state.redis_process import RedisProcess

STORES = ("file", "redis")
Opener = Callable[[], Store]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait on a busy machine with a slow disk; how long a shop waits is tested where that is meant."""
    monkeypatch.setattr(file_store, "_READ_BUSY_SECONDS", 30.0)
    monkeypatch.setattr(file_store, "_LOCK_SECONDS", 30.0)
    monkeypatch.setattr(redis_server, "ANSWER_SECONDS", 30.0)


@pytest.fixture
def persistent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again for as long as others are first: whoever gets no turn on a busy machine is not what is tested."""
    monkeypatch.setattr(people, "_ATTEMPTS", 1000)


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A durable server that the tests of one process share; skipped where Redis is not installed, except in CI."""
    server = RedisProcess(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisProcess]:
    """A durable server for a test that ends it, starts it again or sets it otherwise."""
    server = RedisProcess(tmp_path / "redis").start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(shared_redis: RedisProcess) -> str:
    """The URL of an empty server."""
    client = shared_redis.client()
    client.flushall()
    client.close()
    return shared_redis.url


@pytest.fixture(params=STORES)
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same state, empty at first, as often as it is called: on a file, and on Redis."""
    opened: list[Store] = []
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""

    def open_one() -> Store:
        opened.append(RedisStore(url) if url else FileStore(tmp_path / "state" / "state.db"))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_again: Opener) -> Store:
    """One store over an empty state: on a file, and on Redis."""
    return open_again()
