"""Marks say of documents that were read whether they stand, also where another process has the file open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.errors import StateUnavailable
from serving.state import file_store
from serving.state.file_store import FileStore
from serving.state.marks import N_PLACES, Marks, Stamp, places_of
from serving.state.store import Commit

PERSON = "person/anna"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what was read stand for as long as it may: how long that is has a test of its own."""
    monkeypatch.setattr(file_store, "_STANDS_SECONDS", 1e9)
    monkeypatch.setattr(file_store, "_WATCH_SECONDS", 1e9)


@pytest.fixture
def stores(path: Path) -> Iterator[tuple[FileStore, FileStore]]:
    """Two processes' stores, as far as a file can tell; the first document is there."""
    both = FileStore(path), FileStore(path)
    assert both[0].commit(Commit(put={PERSON: b"1"}))
    for each in both:
        each.read([PERSON])
    yield both
    for each in both:
        each.close()


def stamp_of(store: FileStore) -> Stamp:
    _, stamp = store.read_stamped([PERSON, "erased/0", "stock"])
    assert stamp is not None
    return stamp


def test_documents_are_read_as_ever(stores: tuple[FileStore, FileStore]) -> None:
    documents, _ = stores[1].read_stamped([PERSON, "stock"])
    assert documents == stores[1].read([PERSON, "stock"])


def test_what_nobody_changed_stands(stores: tuple[FileStore, FileStore]) -> None:
    writer, reader = stores
    stamp = stamp_of(reader)
    writer.commit(Commit(put={"decision/d": b"1", "of/anna/d": b"1", "log/anna/e": b"1"}))
    assert reader.stands(stamp)


@pytest.mark.parametrize(
    "change",
    [
        Commit(put={PERSON: b"2"}),
        Commit(delete=[PERSON]),
        Commit(put={"erased/0": b"1"}, is_durable=False),
        Commit(put={"stock": b"1"}),
    ],
)
@pytest.mark.parametrize("is_own", [False, True])
def test_a_change_of_any_process_is_seen_once_it_is_answered(
    stores: tuple[FileStore, FileStore], change: Commit, is_own: bool
) -> None:
    writer, reader = stores
    stamp = stamp_of(reader)
    assert (reader if is_own else writer).commit(change)
    assert not reader.stands(stamp)
    assert reader.stands(stamp_of(reader))


def test_what_was_read_between_a_mark_and_its_change_does_not_stand(
    stores: tuple[FileStore, FileStore], path: Path
) -> None:
    documents, stamp = stores[1].read_stamped([PERSON])
    assert documents[0] is not None
    assert stamp is not None
    # Whoever marked this was killed before the change, or has not come to it yet.
    Marks(path.with_name("state.db-marks")).note([PERSON.encode()], documents[0].version + 1)
    assert not stores[1].stands(stamp)
    assert not stores[1].stands(stamp_of(stores[1]))


def test_nothing_stands_for_ever(stores: tuple[FileStore, FileStore], monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = stamp_of(stores[1])
    monkeypatch.setattr(file_store, "_STANDS_SECONDS", 0.0)
    assert not stores[1].stands(stamp)


def test_the_file_is_looked_at_now_and_then(
    stores: tuple[FileStore, FileStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = stamp_of(stores[1])
    monkeypatch.setattr(file_store, "_WATCH_SECONDS", 0.0)
    assert not stores[1].stands(stamp)


def test_marks_that_were_taken_away_are_made_anew_by_who_writes(
    stores: tuple[FileStore, FileStore], path: Path
) -> None:
    writer, _ = stores
    stamp = stamp_of(writer)
    path.with_name("state.db-marks").unlink()
    assert writer.commit(Commit(put={"stock": b"1"}))
    assert path.with_name("state.db-marks").stat().st_size == 8 * N_PLACES
    assert not writer.stands(stamp)


def test_without_marks_everything_is_read_and_nothing_is_changed(path: Path) -> None:
    path.with_name("state.db-marks").mkdir()
    store = FileStore(path)
    assert store.read_stamped([PERSON]) == ([None], None)
    with pytest.raises(StateUnavailable):
        store.commit(Commit(put={PERSON: b"1"}))
    store.close()


def test_places_are_of_marked_keys_only() -> None:
    assert places_of([b"person/a", b"stock"]) == places_of([b"person/a"]) + places_of([b"stock"])
    with pytest.raises(ValueError, match="decision"):
        places_of([b"decision/d"])
