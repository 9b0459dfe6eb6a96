"""What was answered is there, whoever is killed in the middle of it; and what was deleted is nowhere."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from serving.errors import StateUnavailable
from serving.state.file_store import FileStore
from serving.state.redis_store import RedisStore
from serving.state.store import Commit, Store
from tests.serving.state.redis_process import RedisProcess
from tests.serving.state.writer_process import begin, open_at


@pytest.fixture(params=["file", "redis"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A state as another process can open it."""
    return str(request.getfixturevalue("redis_url") if request.param == "redis" else tmp_path / "state" / "state.db")


def kept(store: Store) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for prefix in ("k/", "twin/"):
        after = ""
        while page := store.scan(prefix, after=after):
            found |= {key: document.value for key, document in page}
            after = page[-1][0]
    return found


def assert_whole(found: dict[str, bytes], answered: list[str]) -> None:
    assert answered
    assert [key for key in answered if found.get(key) != key.rsplit("/", 1)[1].encode()] == []
    twins = {key.replace("twin/", "k/"): value for key, value in found.items() if key.startswith("twin/")}
    assert twins == {key: value for key, value in found.items() if key.startswith("k/")}


@pytest.mark.parametrize("n_lines", [1, 100, 1500])
def test_what_was_answered_survives_the_kill_of_the_process_that_wrote_it(where: str, n_lines: int) -> None:
    with begin(where, "forever") as process:
        assert process.stdout is not None
        answered = list(islice(process.stdout, n_lines))
        process.send_signal(signal.SIGKILL)
        answered += process.stdout.readlines()
    store = open_at(where)
    found = kept(store)
    assert_whole(found, [line.strip() for line in answered if line.endswith("\n")])
    assert store.commit(Commit(put={"k/after": b"1"}))
    store.close()


def test_of_processes_that_race_for_a_document_exactly_one_wins_each_time(where: str) -> None:
    processes = [begin(where, "count") for _ in range(3)]
    for process in processes:
        assert process.wait(60) == 0
        assert process.stdout is not None
        process.stdout.close()
    store = open_at(where)
    (document,) = store.read(["n"])
    assert document is not None
    assert document.value == b"150"
    store.close()


def test_what_was_answered_survives_the_kill_of_redis(own_redis: RedisProcess) -> None:
    store = RedisStore(own_redis.url)
    answered: list[str] = []

    def write(thread: int) -> None:
        n = 0
        try:
            while store.commit(Commit(put={f"k/{thread}/{n}": b"%d" % n, f"twin/{thread}/{n}": b"%d" % n})):
                answered.append(f"k/{thread}/{n}")
                n += 1
        except StateUnavailable:
            return

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 60
    while len(answered) < 500 and time.monotonic() < until:
        time.sleep(0.01)
    own_redis.stop(signal.SIGKILL)
    for thread in threads:
        thread.join(60)
    own_redis.start()
    time.sleep(1.1)  # until the store tries again
    assert_whole(kept(store), answered)
    store.close()


def bytes_under(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def eventually_without(folder: Path, secret: bytes, seconds: float = 60.0) -> bool:
    """Say whether the secret leaves the folder: Redis removes its old files in the background."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if secret not in bytes_under(folder):
                return True
        except FileNotFoundError:
            pass
        time.sleep(0.05)
    return False


def churn(store: Store, rng: random.Random, secret: bytes) -> None:
    """Write, overwrite and delete documents of all sizes whose keys and values hold the secret; leave others."""
    live: list[str] = []
    for turn in range(60):
        put = {f"p/{rng.random()}/{secret.hex()}": rng.randbytes(rng.randrange(2000)) + secret for _ in range(30)}
        gone = [live.pop(rng.randrange(len(live))) for _ in range(min(len(live), 15))]
        over = dict.fromkeys(live[: turn % 20], b"new" + secret)
        stays = {f"q/{rng.random()}": rng.randbytes(500)}
        store.commit(Commit(put=put | over | stays, delete=gone, is_durable=turn % 2 == 0))
        live += put
    store.commit(Commit(delete=live))


def scrubbed(store: Store, folder: Path) -> None:
    secret = bytes.fromhex("c0ffee11c0ffee22c0ffee33")
    other = open_at(str(folder / "state.db")) if isinstance(store, FileStore) else store
    churn(store, random.Random(4), secret)
    assert other.read(["p/x"]) == [None]  # a reader that keeps its connection is in nobody's way
    assert secret in bytes_under(folder)
    store.scrub()
    assert eventually_without(folder, secret)
    assert eventually_without(folder, secret.hex().encode())
    assert len(store.scan("q/")) == 60
    other.close()


def test_what_was_deleted_is_nowhere_in_the_file_once_it_is_scrubbed(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "state.db")
    scrubbed(store, tmp_path)
    store.close()


@pytest.mark.parametrize("has_snapshot", [False, True])
def test_what_was_deleted_is_nowhere_in_redis_files_once_they_are_scrubbed(
    own_redis: RedisProcess, has_snapshot: bool
) -> None:
    store = RedisStore(own_redis.url)
    if has_snapshot:
        store.commit(Commit(put={"a": bytes.fromhex("c0ffee11c0ffee22c0ffee33")}))
        client = own_redis.client()
        client.save()
        client.close()
        store.commit(Commit(delete=["a"]))
    scrubbed(store, own_redis.folder)
    store.close()


def forked(check: Callable[[], bool]) -> bool:
    """Return what a child of this process, forked in the middle of everything, finds."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if check() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 and newer, about threads and forks
def test_a_forked_child_reads_and_writes_and_the_parent_goes_on(where: str) -> None:
    store = open_at(where)
    store.commit(Commit(put={"a": b"1"}))
    (before,) = store.read(["a"])
    assert before is not None

    def child() -> bool:
        is_put = store.commit(Commit(put={"a": b"2"}, expect={"a": before.version}))
        return is_put and [each and each.value for each in store.read(["a"])] == [b"2"]

    assert forked(child)
    assert [each and each.value for each in store.read(["a"])] == [b"2"]
    assert store.commit(Commit(put={"a": b"3"}))
    store.close()
