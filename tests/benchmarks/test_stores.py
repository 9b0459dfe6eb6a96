"""What the state's stores cost: read the ratios within a group, not the microseconds.

Commits: eight threads put a document each, durably, through a store that takes one commit a flush, and through one that
takes whatever waits. Reads: beside a dictionary, which is the floor.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from serving.state import committer
from serving.state.file_store import FileStore
from serving.state.redis_store import RedisStore
from serving.state.store import Commit, Store
from tests.serving.state.conftest import redis_url as redis_url
from tests.serving.state.conftest import shared_redis as shared_redis

pytestmark = pytest.mark.bench

N_THREADS = 8
N_EACH = 10
VALUE = b"x" * 500


@pytest.fixture(params=["file", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""
    store = RedisStore(url) if url else FileStore(tmp_path / "state.db")
    yield store
    store.close()


@pytest.mark.benchmark(group="80 durable commits by 8 threads")
@pytest.mark.parametrize("batch", [1, committer.MAX_BATCH], ids=["one a flush", "in groups"])
def test_commits(benchmark: Any, store: Store, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "MAX_BATCH", batch)
    numbers = itertools.count()

    def put_some(_: int) -> None:
        for _ in range(N_EACH):
            assert store.commit(Commit(put={f"log/{next(numbers)}": VALUE}))

    with ThreadPoolExecutor(N_THREADS) as pool:
        benchmark.pedantic(lambda: list(pool.map(put_some, range(N_THREADS))), rounds=15, warmup_rounds=2)


def of_dictionary(keys: list[str]) -> Callable[[], object]:
    documents = dict.fromkeys((f"person/{n}" for n in range(1000)), VALUE)
    return lambda: [documents.get(key) for key in keys]


@pytest.mark.benchmark(group="reading 3 documents of 1,000")
@pytest.mark.parametrize("kind", ["dictionary", "file", "redis"])
def test_reads(benchmark: Any, kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    keys = ["person/17", "person/993", "stock"]
    if kind == "dictionary":
        benchmark(of_dictionary(keys))
        return
    store: Store = RedisStore(request.getfixturevalue("redis_url")) if kind == "redis" else FileStore(tmp_path / "s.db")
    store.commit(Commit(put={f"person/{n}": VALUE for n in range(1000)}))
    benchmark(store.read, keys)
    store.close()
