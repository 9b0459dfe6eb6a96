from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.known import WithheldItem
from serving.state.merging import Identity
from serving.state.shop import State
from serving.state.store import Document
from tests.serving.state.builders import DAY, MILK, MONDAY, MONDAY_DAY, accept, answer, event, state_on
from tests.serving.state.memory_store import MemoryStore

ID = "d" * 32


@pytest.fixture
def state() -> State:
    return state_on(attribution_days=7)


class Memory(MemoryStore):
    """Counts what is read."""

    n_reads = 0

    def read(self, keys: Sequence[str]) -> list[Document | None]:
        self.n_reads += 1
        return super().read(keys)


def record(
    *parts: DecisionPart, decision_id: str = ID, call: str = "recommendations", at_us: int = MONDAY
) -> DecisionRecord:
    return DecisionRecord(
        decision_id,
        call,
        at_us,
        "20180101-00000000",
        parts,
        placement="home",
        channel="app",
        store_id="s1",
        experiment={"name": "x", "arm": "b"},
        probability=0.5,
    )


def shown(*product_ids: str, customer_id: str | None = "anna") -> DecisionPart:
    items = tuple({"product_id": each, "reason": {"code": "due", "text": "…"}} for each in product_ids)
    return DecisionPart(customer_id, items, (WithheldItem("milk-2", "just_bought"),))


def test_a_decision_is_told_as_it_was_made(state: State) -> None:
    assert state.decision(ID) is None
    assert state.record(record(shown("milk-1"))).result()
    found = state.decision(ID)
    assert found is not None
    assert found.record == record(shown("milk-1"))
    assert (found.n_erased, found.challenge) == (0, None)


def test_the_first_record_of_an_id_stands(state: State) -> None:
    state.record(record(shown("milk-1"))).result()
    assert not state.record(record(shown("tea-1"), at_us=MONDAY + 1)).result()
    found = state.decision(ID)
    assert found is not None
    assert found.record == record(shown("milk-1"))


def test_what_was_just_read_of_a_customer_is_not_read_again_and_still_has_to_stand() -> None:
    memory = Memory()
    state = state_on(memory)
    accept(state, [event("1", at=MONDAY)])
    basis = state.known("anna").basis
    memory.n_reads = 0
    assert state.record(record(shown("milk-1")), basis).result()
    assert not state.record(record(shown("tea-1")), basis).result()
    assert memory.n_reads == 0
    state.forget("anna", MONDAY + DAY)
    assert not state.record(record(shown("milk-1"), decision_id="late"), basis).result()
    assert state.record(record(shown("milk-1"), decision_id="late"), state.known("anna").basis).result()
    late = state.decision("late")
    assert late is not None
    assert (late.n_erased, late.record.parts) == (1, ())


@pytest.mark.parametrize("parts", [("anna",), (None,), ("anna", "bert"), ()])
@pytest.mark.parametrize("is_known", [True, False])
def test_a_record_of_which_nobody_hears_is_kept_as_any_other(
    state: State, parts: Sequence[str | None], is_known: bool
) -> None:
    made = record(*(shown("milk-1", customer_id=each) for each in parts))
    state.leave_record(made, state.known("anna").basis if is_known else {})
    state.leave_record(replace(made, call="scores"), state.known("anna").basis if is_known else {})
    found = state.decision(ID)
    assert found is not None
    assert found.record == made


def test_a_record_of_which_nobody_hears_names_none_who_was_forgotten_before_it_is_written(state: State) -> None:
    basis = state.known("anna").basis
    state.forget("anna", MONDAY + DAY)
    state.leave_record(record(shown("milk-1")), basis)
    found = state.decision(ID)
    assert found is None or found.record.parts == ()


def test_a_challenge_is_recorded_anew_when_its_items_have_changed(state: State) -> None:
    state.record(record(shown("milk-1"), call="challenge")).result()
    assert not state.record(record(shown("milk-1"), call="challenge", at_us=MONDAY + 1)).result()
    assert state.record(record(shown("bread-1"), call="challenge", at_us=MONDAY + 2)).result()
    found = state.decision(ID)
    assert found is not None
    assert [part.product_ids() for part in found.record.parts] == [{"bread-1"}]


def test_what_is_recorded_anew_stays_decided_for_its_first_moment_and_request(state: State) -> None:
    first, later = (replace(shown(each), asked={"basket": [each]}) for each in ("milk-1", "bread-1"))
    made = replace(record(first, call="challenge"), placement="home", store_id="s1", made_us=MONDAY + 1)
    state.record(made).result()
    state.record(replace(record(later, call="challenge", at_us=MONDAY + 2), placement="app")).result()
    found = state.decision(ID)
    assert found is not None
    assert found.record == replace(made, parts=(replace(later, asked=first.asked),))


def test_what_came_of_it_are_events_that_name_it_and_purchases_of_what_was_shown(state: State) -> None:
    state.record(record(shown("milk-1", "tea-1"))).result()
    events = [
        event("click", "milk-1", type="click", decision_id=ID, at=MONDAY + 1),
        event("bought", "milk-1", at=MONDAY + 7 * DAY),
        event("too late", "tea-1", at=MONDAY + 7 * DAY + 1),
        event("at once", "tea-1", at=MONDAY),
        event("not shown", "bread-1", at=MONDAY + 2),
        event("ben", "milk-1", customer_id="ben", decision_id=ID, at=MONDAY + 2),
    ]
    accept(state, events)
    found = state.decision(ID)
    assert found is not None
    outcome = found.outcomes["anna"]
    assert [each.event_id for each in outcome.answered] == ["click"]
    assert [each.event_id for each in outcome.bought] == ["bought"]


def test_a_challenge_tells_its_progress(state: State) -> None:
    state.issue("anna", MONDAY_DAY, answer(MILK, decision_id=ID), MONDAY)
    state.record(record(shown("milk-1"), call="challenge")).result()
    accept(state, [event("1")])
    found = state.decision(ID)
    assert found is not None
    assert found.challenge is not None
    assert found.challenge.progress()["done"] == 1


def test_a_part_without_a_customer_links_to_nobody(state: State) -> None:
    state.record(record(shown("milk-1", customer_id=None))).result()
    found = state.decision(ID)
    assert found is not None
    assert found.record.parts == (shown("milk-1", customer_id=None),)
    assert found.outcomes == {}


def test_each_customer_of_a_decision_has_a_part(state: State) -> None:
    parts = (shown("milk-1"), shown("tea-1", customer_id="ben"))
    state.record(record(*parts)).result()
    found = state.decision(ID)
    assert found is not None
    assert found.record.parts == parts


def test_a_customers_decisions_are_told_newest_first_with_those_of_merged_ids(state: State) -> None:
    for n, customer_id in enumerate(("anna", "ben", "anna")):
        part = shown("milk-1", customer_id=customer_id)
        state.record(record(part, decision_id=f"{n}", at_us=MONDAY + n)).result()
    accept(state, [event("1", decision_id="1", at=MONDAY + 5)])
    state.link([Identity(each, "email", "a@b") for each in ("anna", "ben")], is_loyal=lambda _: False, now_us=MONDAY)
    view = state.customer("ben")
    assert view is not None
    assert [each.decision_id for each in view.decisions] == ["2", "1", "0"]
    assert [len(each.outcome.answered) for each in view.decisions] == [0, 1, 0]
    assert view.decisions[1].part == shown("milk-1", customer_id=view.customer_id)
    found = state.decision("1")
    assert found is not None
    assert [each.event_id for each in found.outcomes["ben"].answered] == ["1"]


def test_who_only_ever_got_decisions_has_a_view(state: State) -> None:
    state.record(record(shown("milk-1"))).result()
    view = state.customer("anna")
    assert view is not None
    assert view.events == ()
    assert len(view.decisions) == 1
