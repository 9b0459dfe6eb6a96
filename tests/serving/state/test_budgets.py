"""The books of budgets: what one commit moves, and how what has ended comes back."""

from __future__ import annotations

import pytest

from serving.state import budgets
from serving.state.budgets import Budgets, Moves, Swept, ending_key, minute_of, spending_of, tally_key, units_of
from serving.state.holds import MINUTE_US, Hold, Spending
from serving.state.keys import Hashes
from serving.state.people import People
from serving.state.store import Addition, Commit, Document
from tests.serving.state.memory_store import MemoryStore

SPRING = Hold("spring", 2.5, 0, 10 * MINUTE_US)
SUMMER = Hold("summer/1", 1.0, 0, 20 * MINUTE_US + 1)


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def books(memory: MemoryStore) -> Budgets:
    return Budgets(People(memory, Hashes(b"k" * 32)))


def reserve(memory: MemoryStore, *holds: Hold) -> None:
    moves = Moves(Swept())
    for hold in holds:
        moves.reserve(hold, units_of(1e6))
    assert memory.commit(Commit(add=moves.additions()))


def test_a_reservation_is_added_to_the_offer_and_to_the_minute_of_its_end() -> None:
    moves = Moves(Swept(3, version=7))
    moves.reserve(SUMMER, 50_000)
    assert moves.additions() == {
        "budget/summer%2F1": Addition((10_000, 0), 50_000),
        "held/000000000021/summer%2F1": Addition((10_000,)),
    }
    assert moves.expected() == {"swept": 7}


def test_what_was_given_back_is_not_taken_out_again() -> None:
    late = Moves(Swept(10, version=7))
    late.release(SPRING)
    late.redeem(SPRING, 9.0)
    assert (late.additions(), late.expected()) == ({"budget/spring": Addition((0, 25_000))}, {})
    early = Moves(Swept(9, version=7))
    early.redeem(SPRING, 9.0)
    assert early.additions() == {
        "budget/spring": Addition((-25_000, 25_000)),
        "held/000000000010/spring": Addition((-25_000,)),
    }


def test_a_hold_of_a_minute_that_was_swept_is_reserved_until_the_next() -> None:
    assert Swept(9).reservable(SPRING) == SPRING
    assert minute_of(Swept(10).reservable(SPRING)) == 11
    free = Hold("spring", 0.0, 0, MINUTE_US)
    assert Swept(10).reservable(free) == free


def test_a_tally_that_is_not_there_says_that_nothing_is_gone() -> None:
    assert spending_of(None) == Spending(0.0, 0.0)
    assert spending_of(Document(b"12500", 1)) == Spending(1.25, 0.0)
    assert spending_of(Document(b"-5000 20000", 1)).gone == 1.5


def test_a_moment_sees_what_comes_back_by_then_and_writes_nothing(memory: MemoryStore, books: Budgets) -> None:
    reserve(memory, SPRING, SPRING, SUMMER)
    before = dict(memory.documents)
    offers = ["spring", "summer/1", "winter"]
    assert books.spending(offers, 10 * MINUTE_US - 1)["spring"] == Spending(5.0, 0.0)
    assert books.spending(offers, 10 * MINUTE_US) == {"spring": Spending(0.0, 0.0), "summer/1": Spending(1.0, 0.0)}
    assert books.ended(21 * MINUTE_US).units == {"spring": 50_000, "summer/1": 10_000}
    assert memory.documents == before


def test_more_than_a_page_comes_back_in_whole_minutes(
    memory: MemoryStore, books: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "_SWEEP_PAGE", 3)
    holds = [Hold(f"offer-{n}", 1.0, 0, (n // 2 + 1) * MINUTE_US) for n in range(11)]
    reserve(memory, *holds)
    assert books.sweep(5 * MINUTE_US + 1)
    left = [key for key, _ in memory.scan("held/")]
    assert left == [ending_key(6, "offer-10")]
    assert [memory.documents[tally_key(each.offer_id)].value for each in holds] == [b"0 0"] * 10 + [b"10000 0"]
    assert not books.sweep(5 * MINUTE_US + 2)


def test_a_sweep_without_reservations_writes_nothing(memory: MemoryStore, books: Budgets) -> None:
    assert not books.sweep(100 * MINUTE_US)
    assert memory.documents == {}
