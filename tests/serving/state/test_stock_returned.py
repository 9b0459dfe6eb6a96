"""What has come back into stock: an earlier word said that it was out, and the latest says that it is there."""

from __future__ import annotations

import pytest

from serving.state.shop import State
from serving.state.stock_words import StockWord
from tests.serving.state.builders import MONDAY, state_on
from tests.serving.state.memory_store import MemoryStore


def say(state: State, *pieces: float, product_id: str = "milk-1", store_id: str | None = None) -> None:
    for each in pieces:
        state.put_stock([StockWord(product_id, store_id, each)])


@pytest.mark.parametrize(
    ("pieces", "is_back"),
    [((5.0,), False), ((0.0,), False), ((0.0, 5.0), True), ((5.0, 0.0, 5.0), True), ((0.0, 5.0, 0.0), False)],
)
def test_only_what_was_out_and_is_there_has_returned(pieces: tuple[float, ...], is_back: bool) -> None:
    memory = MemoryStore()
    state = state_on(memory)
    say(state, *pieces)
    assert state.stock().returned == (frozenset({("milk-1", None)}) if is_back else frozenset())
    assert state_on(memory).stock() == state.stock()


def test_word_after_word_comes_to_the_same_as_all_at_once() -> None:
    memory = MemoryStore()
    watching = state_on(memory)
    for pieces in (0.0, 3.0, 0.0, 2.0):
        say(state_on(memory), pieces)
        assert watching.stock() == state_on(memory).stock()


def test_each_shop_has_its_own() -> None:
    state = state_on(MemoryStore())
    say(state, 0.0, product_id="milk-1", store_id="s1")
    say(state, 0.0, 2.0, product_id="milk-1", store_id="s2")
    assert state.stock().returned == {("milk-1", "s2")}


def test_what_returned_is_still_known_once_the_words_were_folded() -> None:
    memory = MemoryStore()
    state = state_on(memory)
    say(state, 0.0, 5.0)
    say(state, 0.0, product_id="tea-1", store_id="s1")
    before = state.stock()
    state.compact(MONDAY)
    assert state_on(memory).stock() == before
    say(state, 4.0, product_id="tea-1", store_id="s1")
    assert state_on(memory).stock().returned == {("milk-1", None), ("tea-1", "s1")}
