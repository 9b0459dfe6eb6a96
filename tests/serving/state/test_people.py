from __future__ import annotations

from collections.abc import Callable

import pytest

from serving.errors import StateUnavailable
from serving.state.codec import encode, encode_person
from serving.state.keys import Hashes, person_key
from serving.state.people import People
from serving.state.person import Person
from serving.state.store import Commit
from tests.serving.state.memory_store import MemoryStore


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def people(memory: MemoryStore, pauses: list[float]) -> People:
    return People(memory, Hashes(b"k" * 32), jitter=lambda: 0.5, sleep=pauses.append)


def failing(n_times: int) -> Callable[[], int | None]:
    """Return an attempt that fails so often before it brings how often it was made."""
    made = 0

    def attempt() -> int | None:
        nonlocal made
        made += 1
        return made if made > n_times else None

    return attempt


def test_an_attempt_that_works_is_made_once_without_a_pause(people: People, pauses: list[float]) -> None:
    assert people.tried(failing(0)) == 1
    assert pauses == []


def test_an_attempt_that_others_forestalled_is_made_again(people: People, pauses: list[float]) -> None:
    assert people.tried(failing(3)) == 4
    assert len(pauses) == 2


def test_whoever_never_gets_through_is_told_so_after_a_second_at_most(people: People, pauses: list[float]) -> None:
    with pytest.raises(StateUnavailable, match="busy"):
        people.tried(failing(10_000))
    assert sum(pauses) <= 1
    assert people.tried(failing(1)) == 2


def test_a_customer_who_was_never_seen_is_blank_and_expected_to_stay_so(people: People) -> None:
    view = people.view("anna")
    assert view.person == Person("anna")
    assert (view.erased_us, view.forgotten_us) == (None, None)
    assert set(view.expect.values()) == {0}


def test_an_id_that_was_merged_leads_to_the_customer_and_rests_on_both_documents(
    people: People, memory: MemoryStore
) -> None:
    hashes = Hashes(b"k" * 32)
    memory.commit(
        Commit(
            put={
                person_key("ben"): encode({"into": "anna"}),
                person_key("anna"): encode_person(Person("anna", also=("ben",))),
                hashes.erased_key("ben"): encode({"us": 7}),
            }
        )
    )
    views, documents = people.views(["ben", "anna", "ben"], [person_key("ben"), "nothing"])
    assert views["ben"].person == views["anna"].person == Person("anna", also=("ben",))
    assert {person_key("ben"), person_key("anna")} <= views["ben"].expect.keys()
    assert (views["ben"].erased_us, views["ben"].forgotten_us) == (None, 7)
    assert views["anna"].forgotten_us is None
    assert [document is None for document in documents] == [False, True]


def test_ids_that_lead_in_a_circle_are_no_endless_search(people: People, memory: MemoryStore) -> None:
    memory.commit(Commit(put={person_key("a"): encode({"into": "b"}), person_key("b"): encode({"into": "a"})}))
    with pytest.raises(StateUnavailable):
        people.view("a")


def test_what_does_not_change_is_not_written(people: People, memory: MemoryStore) -> None:
    assert people.changed("anna", lambda view: view.person) == Person("anna")
    assert memory.documents == {}
