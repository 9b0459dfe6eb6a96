"""What a call decides by is read once for as long as it stands, and never when it doesn't."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from serving.decisioning.policy import default_policy
from serving.state import file_store, looking
from serving.state.file_store import FileStore
from serving.state.rows import Rows
from serving.state.shop import State
from serving.state.stock_words import StockWord

KEY = b"k" * 32
CONSENT = {"personalize": True, "email": True, "sms": False, "push": False, "location": False}


class CountingStore(FileStore):
    n_looks = 0

    def _look(self, sql: str, values: Sequence[object]) -> Rows:
        self.n_looks += 1
        return super()._look(sql, values)


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[CountingStore, FileStore]]:
    monkeypatch.setattr(file_store, "_STANDS_SECONDS", 1e9)
    monkeypatch.setattr(file_store, "_WATCH_SECONDS", 1e9)
    both = CountingStore(tmp_path / "state.db"), FileStore(tmp_path / "state.db")
    yield both
    for each in both:
        each.close()


@pytest.fixture
def shops(stores: tuple[CountingStore, FileStore]) -> tuple[State, State]:
    """Two workers' states: the first one's looks are counted."""
    here, there = (State(each, KEY, default_policy().state) for each in stores)
    there.put_consent("anna", CONSENT, 1)
    here.known("anna")  # the first look of a store is at its files
    here.known("anna")
    return here, there


def test_a_customer_is_read_once(stores: tuple[CountingStore, FileStore], shops: tuple[State, State]) -> None:
    n_looks, first = stores[0].n_looks, shops[0].known("anna")
    assert shops[0].known("anna") is first
    assert stores[0].n_looks == n_looks


def test_so_is_one_of_whom_nothing_is_known(
    stores: tuple[CountingStore, FileStore], shops: tuple[State, State]
) -> None:
    nothing = shops[0].known("ben").live
    n_looks = stores[0].n_looks
    assert (nothing.events, nothing.consent) == ((), None)
    assert shops[0].known("ben").live == nothing
    assert stores[0].n_looks == n_looks


def test_what_another_worker_changed_is_known_from_the_next_call_on(shops: tuple[State, State]) -> None:
    here, there = shops
    there.put_consent("anna", CONSENT | {"personalize": False}, 2)
    assert here.known("anna").live.consent == CONSENT | {"personalize": False}
    there.put_stock([StockWord("milk", None, 0.0)])
    assert here.known("anna").stock.available == {("milk", None): 0.0}
    there.forget("anna", 3)
    assert here.known("anna").live.is_erased


def test_one_who_was_forgotten_unknown_is_known_to_be(shops: tuple[State, State]) -> None:
    here, there = shops
    assert not here.known("ben").live.is_erased
    there.forget("ben", 3)
    assert here.known("ben").live.is_erased


def test_what_is_kept_ready_is_bounded(shops: tuple[State, State], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_READY_BYTES", 4 * looking._LEAST_BYTES)
    found = [shops[0].known(f"c{n}") for n in range(9)]
    again = [shops[0].known(f"c{n}") for n in (8, 0)]
    assert again[0] is found[8]
    assert again[1] is not found[0]
    assert again[1].live == found[0].live
