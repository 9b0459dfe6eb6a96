"""What can happen to a file: locked, full, gone, damaged, another's; and that it works again afterwards."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.errors import StateUnavailable, StateUnfit
from serving.state import file_store
from serving.state.file_store import FileStore
from serving.state.sqlite_file import SCHEMA
from serving.state.store import ABSENT, Commit
from tests.serving.state.moments import one_moment

SMALL = Commit(put={"a": b"1"})


@pytest.fixture(autouse=True)
def patient() -> None:
    """Nobody is: here it matters how long is waited."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "state" / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[FileStore]:
    store = FileStore(path)
    assert store.commit(SMALL)
    yield store
    store.close()


@contextlib.contextmanager
def locked(path: Path, kind: str = "immediate") -> Iterator[None]:
    """Hold the file's lock as another process would."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(f"begin {kind}")
    yield
    other.execute("rollback")
    other.close()


def outcome(call: Callable[[], object]) -> str:
    """Return the error's text, empty when there is none."""
    try:
        call()
    except StateUnavailable as error:
        return str(error)
    return ""


def works_again(store: FileStore, seconds: float = 30.0) -> bool:
    """Say whether the store reads and writes once a moment has passed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(StateUnavailable):
            return store.commit(Commit(put={"again": b"1"})) and store.read(["again"])[0] is not None
        time.sleep(0.05)
    return False


def test_the_file_and_its_folder_are_made_for_their_owner_alone(store: FileStore, path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0
    names = ["state.db", "state.db-marks", "state.db-shm", "state.db-wal"]
    assert sorted(each.name for each in path.parent.iterdir()) == names
    assert all(each.stat().st_mode & 0o077 == 0 for each in path.parent.iterdir())


def test_many_that_open_a_new_state_at_once_share_one_file(path: Path) -> None:
    stores = [FileStore(path) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: stores[n].commit(Commit(put={f"k/{n}": b""}, expect={"a": ABSENT})), range(8))
        )
    assert answers == [True] * 8
    assert all(len(each.scan("k/")) == 8 for each in stores)
    for each in stores:
        each.close()
    assert sorted(each.name for each in path.parent.iterdir()) == ["state.db", "state.db-marks"]


def test_a_lock_that_is_held_for_a_moment_is_waited_for(
    store: FileStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_store, "_LOCK_SECONDS", 60.0)
    with locked(path):
        future = store.submit(Commit(put={"a": b"2"}))
        time.sleep(0.2)
        assert not future.done()
    assert future.result(60)


def test_a_lock_that_is_held_on_fails_writes_in_time_while_reads_go_on(store: FileStore, path: Path) -> None:
    with locked(path), one_moment(store._writing):
        began = time.monotonic()
        futures = [store.submit(Commit(put={f"k/{n}": b""})) for n in range(3)]
        said = [outcome(lambda future=future: future.result(60)) for future in futures]
        assert said == ["the state's file is locked by another process"] * 3
        assert time.monotonic() - began < 2 * file_store._LOCK_SECONDS  # they wait together
        assert store.read(["a"])[0] is not None
        began = time.monotonic()
        assert "locked" in outcome(lambda: store.commit(SMALL))
        assert time.monotonic() - began < file_store._LOCK_SECONDS  # this one does not
    assert works_again(store)
    assert store.scan("k/") == []


def test_the_check_says_that_the_file_is_locked(store: FileStore, path: Path) -> None:
    with locked(path):
        assert "locked" in outcome(store.check)
    assert store.check() == ()


@contextlib.contextmanager
def least_files(n_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(store: FileStore) -> tuple[int, str]:
    """Return how many documents went in before it said no, and what it said."""
    for n in range(1000):
        said = outcome(lambda n=n: store.commit(Commit(put={f"k/{n:03d}": os.urandom(20_000)})))
        if said:
            return n, said
    raise AssertionError("it never got full")


def test_a_file_that_may_not_grow_keeps_what_was_answered_and_works_again(store: FileStore) -> None:
    with least_files(500_000):
        n, said = fill(store)
        assert "full" in said
        assert len(store.scan("k/")) == n
    assert works_again(store)
    assert len(store.scan("k/")) == n


@pytest.fixture
def little_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte; skipped where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a disk: that needs root and CAP_SYS_ADMIN")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_keeps_what_was_answered_and_works_again(little_disk: Path) -> None:
    ballast = little_disk / "ballast"
    ballast.write_bytes(b"x" * 300_000)
    store = FileStore(little_disk / "state" / "state.db")
    n, said = fill(store)
    assert said == "the disk of the state is full"
    assert len(store.scan("k/")) == n
    ballast.unlink()
    assert works_again(store)
    assert len(store.scan("k/")) == n
    store.close()


def test_a_folder_that_is_gone_fails_both_and_both_work_again_when_it_is_back(store: FileStore, path: Path) -> None:
    path.parent.rename(path.parent.with_name("away"))
    assert "gone" in outcome(lambda: store.commit(Commit(put={"a": b"lost"})))
    time.sleep(0.3)  # readers look for their file some times a second
    assert "gone" in outcome(lambda: store.read(["a"]))
    assert "gone" in outcome(store.check)
    assert not path.parent.exists()
    path.parent.with_name("away").rename(path.parent)
    assert works_again(store)
    assert [each and each.value for each in store.read(["a"])] == [b"1"]


def test_another_file_in_its_place_is_taken_up(store: FileStore, path: Path, tmp_path: Path) -> None:
    other = FileStore(tmp_path / "other.db")
    other.commit(Commit(put={"a": b"restored"}))
    other.close()
    store.read(["a"])
    (tmp_path / "other.db").replace(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()
    time.sleep(0.3)
    assert [each and each.value for each in store.read(["a"])] == [b"restored"]
    assert works_again(store)


def test_a_new_file_gives_none_of_the_versions_that_another_gave(store: FileStore, path: Path) -> None:
    (old,) = store.read(["a"])
    store.close()
    path.unlink()
    anew = FileStore(path)
    anew.commit(SMALL)
    (new,) = anew.read(["a"])
    assert old is not None
    assert new is not None
    assert new.version > old.version
    anew.close()


def test_a_damaged_file_is_unfit_and_a_whole_one_in_its_place_is_taken_up(store: FileStore, path: Path) -> None:
    store.close()
    whole = path.read_bytes()
    for damaged in (b"not a database" * 1000, whole[:1000], b"", whole[:4096] + b"\xff" * (len(whole) - 4096)):
        path.write_bytes(damaged)
        again = FileStore(path)
        with pytest.raises(StateUnfit, match=r"damaged|none that tercet has written"):
            again.read(["a"])
        with pytest.raises(StateUnfit):
            again.commit(SMALL)
        path.write_bytes(whole)
        assert works_again(again)
        again.close()
        path.write_bytes(whole)


def test_a_file_of_a_newer_release_is_refused_in_one_line(store: FileStore, path: Path) -> None:
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"pragma user_version={SCHEMA + 1}")
    newer = FileStore(path)
    with pytest.raises(StateUnfit, match=f"has schema {SCHEMA + 1}, this release of tercet reads up to {SCHEMA}: upg"):
        newer.check()
    assert "schema" in outcome(lambda: newer.commit(SMALL))


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("create table shop (a)")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(StateUnfit, match="none that tercet has written"):
        FileStore(path).check()
    assert path.read_bytes() == before


@contextlib.contextmanager
def plain_user() -> Iterator[None]:
    """Be somebody whom folders can refuse: root they can't."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter: pytest's own are their owner's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_folder_that_may_not_be_written_fails_in_one_line_until_it_may(open_folder: Path) -> None:
    home = open_folder / "home"
    home.mkdir()
    home.chmod(0o555)
    store = FileStore(home / "state.db")
    with plain_user():
        assert outcome(lambda: store.commit(SMALL)) == "the state's file can't be opened: Permission denied"
        assert "Permission denied" in outcome(lambda: store.read(["a"]))
    home.chmod(0o777)
    with plain_user():
        assert works_again(store)
        store.close()


def test_a_home_that_is_a_file_fails_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    store = FileStore(tmp_path / "state" / "state.db")
    assert "can't be opened" in outcome(lambda: store.read(["a"]))
    assert "can't be opened" in outcome(lambda: store.commit(SMALL))


def test_errors_name_no_path(store: FileStore, path: Path) -> None:
    path.parent.rename(path.parent.with_name("away"))
    assert str(path.parent.parent) not in outcome(lambda: store.commit(SMALL))
    path.parent.with_name("away").rename(path.parent)


def sync_of(store: FileStore) -> int:
    writer = store._sessions.get().writer
    assert writer is not None
    ((level,),) = writer.connection.execute("pragma synchronous").fetchall()
    return int(level)


def test_only_a_durable_commit_waits_for_the_disk(store: FileStore) -> None:
    full, normal = 2, 1  # as SQLite numbers them
    store.commit(Commit(put={"a": b"1"}, is_durable=False))
    assert sync_of(store) == normal
    store.commit(Commit(put={"a": b"2"}))
    assert sync_of(store) == full


def test_the_file_shrinks_once_what_filled_it_is_deleted(store: FileStore, path: Path) -> None:
    keys = [f"k/{n}" for n in range(200)]
    store.commit(Commit(put=dict.fromkeys(keys, os.urandom(20_000))))
    store.commit(Commit(delete=keys))
    full = 200 * 20_000
    for _ in range(20):
        store._sessions.get().tidied_at = 0.0  # as if a second had passed
        store.commit(Commit(put={"a": b""}, is_durable=False))
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("pragma wal_checkpoint(truncate)")
    assert path.stat().st_size <= full // 2
