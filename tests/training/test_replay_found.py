from __future__ import annotations

from typing import Any

from serving.state.decisions import DecisionPart
from serving.state.known import Trace, WithheldItem
from training.replay_found import N_EXAMPLES, Redone, Replayed, Shown, Tally, measures, recorded_of, shown_of


def ranking(*product_ids: str) -> dict[str, Any]:
    return {"items": [{"product_id": each, "name": each.upper(), "category": "Food"} for each in product_ids]}


def offers(**values: float) -> dict[str, Any]:
    return {"offers": [{"offer_id": k, "expected_value": v, "reward_cost": 0.5} for k, v in values.items()]}


def action(kind: str, channel: str | None, **fields: Any) -> dict[str, Any]:
    found = {"trigger": "cart", "kind": kind, "reason": {"code": "cap_reached", "text": ""}, **fields}
    return found if channel is None else {**found, "channel": channel}


def redone(
    own: dict[str, Any], other: dict[str, Any], decision_id: str = "d", own_trace: Trace | None = None
) -> Redone:
    return Redone("any", decision_id, own, other, own_trace or Trace(), Trace())


def test_what_an_answer_gives_can_be_compared_with_what_was_recorded() -> None:
    offer = {"offer_id": "o-1"}
    assert shown_of(ranking("a", "b")) == Shown(("a", "b"))
    assert shown_of(offers(x=1.0, y=2.0)) == Shown(("x", "y"))
    given = action("offer", "email", offer=offer)
    assert shown_of(given) == Shown(("o-1",), "offer by email")
    assert recorded_of(DecisionPart("c", (offer,), action=given)) == shown_of(given)
    assert recorded_of(DecisionPart("c", ({"product_id": "a"},))) == Shown(("a",))
    assert [str(each) for each in (Shown(()), Shown(("a", "b")), Shown((), "none"), Shown(("a",), "items by web"))] == [
        "nothing",
        "a, b",
        "none",
        "items by web: a",
    ]


def test_value_cost_and_messages_are_summed_by_what_is_given() -> None:
    assert measures(offers(x=1.0, y=2.5)) == {"expected value": 3.5, "reward cost": 1.0}
    assert measures(ranking("a")) == {}
    reminder = action("items", "email", worth={"expected_value": 0.2})
    assert measures(reminder) == {"expected value": 0.2, "reward cost": 0.0, "messages": 1.0}
    assert measures(action("none", None)) == {"expected value": 0.0, "reward cost": 0.0, "messages": 0.0}
    assert measures(action("items", "web", worth={"expected_value": 0.2}))["messages"] == 0.0


def test_a_tally_counts_what_comes_in_and_goes_out() -> None:
    tally = Tally()
    tally.add(redone(ranking("a", "b"), ranking("a", "c")), Shown(("b", "a")))
    tally.add(redone(ranking("a"), ranking("a")), Shown(("z",)))
    tally.add(redone(ranking("a", "b"), ranking("b", "a")), None)
    assert (tally.n, tally.n_by_own_policy, tally.n_as_recorded) == (3, 2, 1)
    assert (tally.n_changed, tally.n_items, tally.n_items_changed) == (2, 5, 1)
    assert tally.came_in == {"c": 1}
    assert tally.went_out == {"b": 1}


def test_an_action_on_another_channel_is_another_one() -> None:
    tally = Tally()
    own = action("items", "email", **ranking("a"))
    tally.add(redone(own, action("items", "sms", **ranking("a"))), shown_of(own))
    assert (tally.n_changed, tally.n_as_recorded, tally.n_items_changed) == (1, 1, 0)


def test_what_was_withheld_is_counted_by_reason_for_both() -> None:
    tally = Tally()
    trace = Trace(withheld=[WithheldItem("a", "banned"), WithheldItem(None, "costs_more", "o-1")])
    tally.add(redone(action("items", "web"), action("none", None), own_trace=trace), None)
    assert tally.withheld == {"banned": [1, 0], "costs_more": [1, 0], "cap_reached": [0, 1]}


def test_the_examples_are_those_that_move_the_most() -> None:
    moves = {"d1": 1.0, "d2": -3.0, "d3": 0.0, "d4": 2.0, "d5": 2.0}
    for order in (list(moves), list(moves)[::-1]):
        tally = Tally()
        for each in order:
            tally.add(redone(offers(x=0.0), offers(x=0.0, y=moves[each]), each), None)
        assert [each.decision_id for each in tally.examples] == ["d2", "d4", "d5"][:N_EXAMPLES]


def test_names_and_categories_are_collected_of_both_answers() -> None:
    found = Replayed(0, 1)
    found.add(redone(ranking("a"), ranking("a", "b")), None)
    assert found.names == {"a": "A", "b": "B"}
    assert found.categories == {"Food": [1, 2]}
