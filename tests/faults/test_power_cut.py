"""A kill or a power cut at any moment leaves the old or the new: of bundle and champion, and of the events' log."""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.bundle import open_bundle
from serving.champion import bundle_folder, read_champion, write_champion
from serving.state.file_store import FileStore
from serving.state.redis_store import RedisStore
from serving.state.store import Commit, Store
from tests.faults.power import Disk
from tests.faults.shop import publish_named
from tests.serving.state.redis_process import RedisProcess

N_COMMITS = 8


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is such a thing: thousands of files are made and removed."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


def holds_one_whole(home: Path, versions: set[str]) -> str:
    """Return which of the versions the champion names, once its bundle was found whole."""
    version = read_champion(home)
    assert version in versions
    assert version is not None
    is_whole(bundle_folder(home, version), digest_of(bundle_folder(home, version)))
    return version


_seen_whole: set[str] = set()


def is_whole(folder: Path, digest: str) -> None:
    """Open a bundle, unless its like was opened before: most cuts leave the same."""
    if digest not in _seen_whole:
        open_bundle(folder)
        _seen_whole.add(digest)


def digest_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode() + (path.read_bytes() if path.is_file() else b""))
    return digest.hexdigest()


def test_a_cut_while_a_bundle_is_published_leaves_the_old_or_the_new(quick: Path) -> None:
    home = quick / "home"
    old, new = publish_named(home, "old"), publish_named(quick / "elsewhere", "new")
    found: list[str] = []

    def check(disk: Disk) -> None:
        # As long as neither name has changed, nothing that is written can be met.
        if (home / "bundles" / new).exists() or read_champion(home) != old:
            found.extend(holds_one_whole(left, {old, new}) for left in disk.leavings(quick / "left"))

    disk = Disk(home, check)
    disk.watch(lambda: publish_named(home, "new"))

    assert disk.n_calls > 200
    assert set(found) == {old, new}
    assert found[-3:] == [new] * 3  # once it is done, no cut takes it back
    assert sorted(found, key=lambda version: version == new)[0] == old


def test_a_cut_while_a_damaged_bundle_is_replaced_leaves_nothing_mixed(quick: Path) -> None:
    home = quick / "home"
    old, new = publish_named(home, "old"), publish_named(home, "new")
    write_champion(home, old)
    (home / "bundles" / new / "numbers.json").write_text("{}")

    disk = Disk(home, lambda disk: None)

    def check(disk: Disk) -> None:
        if read_champion(home) != old:
            for left in disk.leavings(quick / "left"):
                holds_one_whole(left, {old, new})

    disk.check = check
    disk.watch(lambda: publish_named(home, "new"))

    assert holds_one_whole(home, {new}) == new


def test_a_pointer_that_was_written_without_a_flush_would_be_found_out(quick: Path) -> None:
    """The watch itself: it sees what an unflushed rename may come to."""
    (quick / "home").mkdir()
    write_champion(quick / "home", "old")
    seen: set[str | None] = set()

    def careless() -> None:
        draft = quick / "home" / "draft"
        draft.write_text("new")
        draft.replace(quick / "home" / "champion")

    def check(disk: Disk) -> None:
        seen.update(read_champion(left) for left in disk.leavings(quick / "left"))

    Disk(quick / "home", check).watch(careless)
    assert seen == {"old", "new", None}


def commit_pairs(store: Store) -> None:
    """Commit pairs of documents that belong together, and change those of the commit before."""
    for n in range(N_COMMITS):
        pair = {f"{side}/{n}": bytes([n]) * 3000 for side in ("left", "right")}
        last = {f"{side}/last": b"%d" % n for side in ("left", "right")}
        assert store.commit(Commit(put=pair | last))


def n_whole(store: Store) -> int:
    """Return how many commits are there, each whole, in their order and none left out."""
    found = {side: {key.partition("/")[2]: each.value for key, each in store.scan(f"{side}/")} for side in SIDES}
    left, right = (found[side] for side in SIDES)
    assert left == right
    numbers = sorted(int(name) for name in left if name != "last")
    assert numbers == list(range(len(numbers)))
    assert left.get("last") == (b"%d" % numbers[-1] if numbers else None)
    return len(numbers)


SIDES = ("left", "right")


@pytest.mark.parametrize("tail", [b"", random.Random(6).randbytes(5000)], ids=["cut", "torn"])
def test_a_log_that_was_cut_off_anywhere_has_whole_commits_only(tmp_path: Path, tail: bytes) -> None:
    store = FileStore(tmp_path / "state" / "state.db")
    commit_pairs(store)
    wal = (tmp_path / "state" / "state.db-wal").read_bytes()
    found = []
    for length in range(0, len(wal) + 1, 3001):
        folder = tmp_path / "left"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copy(tmp_path / "state" / "state.db", folder)
        (folder / "state.db-wal").write_bytes(wal[:length] + tail)
        left = FileStore(folder / "state.db")
        found.append(n_whole(left))
        assert left.commit(Commit(put={"after": b"1"}))
        left.close()
    store.close()

    assert found == sorted(found)
    assert set(found) >= set(range(N_COMMITS))


@pytest.mark.e2e
@pytest.mark.faults
def test_a_log_of_redis_that_was_cut_off_anywhere_has_whole_commits_only(
    tmp_path: Path, redis_at: Callable[[Path], RedisProcess]
) -> None:
    redis = redis_at(tmp_path / "redis")
    store = RedisStore(redis.url)
    commit_pairs(store)
    store.close()
    redis.stop(signal.SIGKILL)
    (log,) = (tmp_path / "redis").rglob("*.incr.aof")
    content = log.read_bytes()
    found = []
    for part in range(1, 13):
        log.write_bytes(content[: len(content) * part // 12])
        redis.start()
        left = RedisStore(redis.url)
        found.append(n_whole(left))
        left.close()
        redis.stop(signal.SIGKILL)

    assert found == sorted(found)
    assert found[-1] == N_COMMITS
    assert len(set(found)) > 4
