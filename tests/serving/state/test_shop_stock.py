from __future__ import annotations

import math

import pytest

from serving.state.known import NO_STOCK
from serving.state.shop import State
from serving.state.stock_words import StockWord
from tests.serving.state.builders import MONDAY, accept, event, state_on
from tests.serving.state.memory_store import MemoryStore


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def state(memory: MemoryStore) -> State:
    return state_on(memory)


def test_nothing_is_known_of_the_stock_at_first(state: State) -> None:
    assert state.stock() == NO_STOCK
    assert state.known(None).stock == NO_STOCK


def test_the_latest_word_holds_for_each_product_and_store(state: State) -> None:
    state.put_stock([StockWord("milk-1", None, 5), StockWord("milk-1", "s1", 0), StockWord("tea-1", None, math.inf)])
    state.put_stock([StockWord("milk-1", None, 2), StockWord("milk-1", None, 3)])
    assert state.stock().available == {("milk-1", None): 3, ("milk-1", "s1"): 0, ("tea-1", None): math.inf}


def test_every_worker_knows_it_from_the_next_call_on(state: State, memory: MemoryStore) -> None:
    other = state_on(memory)
    for pieces in range(4):
        state.put_stock([StockWord("milk-1", None, pieces)])
        assert other.stock().available == {("milk-1", None): pieces}
    assert state_on(memory).stock() == other.stock() == state.stock()


def test_the_generation_tells_two_states_of_the_stock_apart_and_it_is_read_once_for_each(
    state: State, memory: MemoryStore
) -> None:
    first = state.put_stock([StockWord("milk-1", None, 1)])
    stock = state.stock()
    assert state.stock() is stock
    assert (stock.generation, state.put_stock([])) == (first, first + 1)


def test_folding_makes_one_part_of_all_and_changes_nothing(state: State, memory: MemoryStore) -> None:
    behind = state_on(memory)
    for pieces in range(3):
        state.put_stock([StockWord("milk-1", "s1", pieces), StockWord(f"p{pieces}", None, math.inf)])
        if pieces == 1:
            behind.stock()
    before = state_on(memory).stock()
    assert state.compact(MONDAY).stock == 3
    assert [key for key in memory.documents if key.startswith("stock/")] == ["stock/3"]
    assert state_on(memory).stock() == before == behind.stock() == state.stock()
    state.put_stock([StockWord("p0", None, 0)])
    assert behind.stock().available == {**before.available, ("p0", None): 0} == state_on(memory).stock().available
    assert state.compact(MONDAY).stock == 2
    assert state.compact(MONDAY).stock == 0


class FoldedBetween(MemoryStore):
    """A store in which another worker adds to the stock and folds it between a reader's looks at head and parts."""

    def __init__(self) -> None:
        super().__init__()
        self.other: State | None = None

    def read(self, keys):  # type: ignore[no-untyped-def]  # as MemoryStore.read
        if self.other is not None and keys[0].startswith("stock/"):
            other, self.other = self.other, None
            other.put_stock([StockWord("tea-1", None, 7)])
            other.compact(MONDAY)
        return super().read(keys)


def test_a_reader_who_is_overtaken_by_folding_reads_again() -> None:
    memory = FoldedBetween()
    state = state_on(memory)
    for pieces in range(3):
        state.put_stock([StockWord("milk-1", None, pieces)])
    memory.other = state_on(memory)
    assert state.stock().available == {("milk-1", None): 2, ("tea-1", None): 7}


def test_one_look_brings_the_customer_and_the_stock(state: State) -> None:
    accept(state, [event("1")])
    state.put_stock([StockWord("milk-1", None, 0)])
    known = state.known("anna", before_us=MONDAY + 1)
    assert (known.live, known.stock) == (state.live("anna"), state.stock())
    assert state.known("anna", before_us=MONDAY).live.events == ()
    assert state.known(None).live.customer_id == ""
