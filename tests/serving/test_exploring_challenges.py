"""Challenges that explore: the stretch is drawn with known odds, kept with the challenge, and nothing else changes."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from scipy.stats import chisquare

from serving.api import ChallengeRequest
from serving.api_codes import Role
from serving.bundle import Bundle, obeying
from serving.decide import Decider, Ranking
from serving.decision_ids import DecisionIds
from serving.decisioning.policy import default_policy_text, parse_policy, with_values
from serving.engine import Engine
from serving.kept import decision_answer
from serving.state.events import Event, EventType
from serving.state.known import Draw, Known, Trace
from serving.state.stock_words import StockWord
from tests.serving.happenings import known
from tests.serving.state.builders import OpenDoor, state_on
from tests.serving.tiny import AS_OF, CUSTOMERS

IDS = DecisionIds(b"k" * 32)
NOW = AS_OF + timedelta(hours=1)
ANNA = ChallengeRequest(customer_id="anna")


@pytest.fixture(scope="module")
def exploring(tiny_bundle: Bundle) -> Engine:
    """Draw anna's stretch nearly evenly between coffee and brie."""
    changes = {"exploration.stretch_share": 1.0, "exploration.caution": 0.5}
    return Engine(obeying(tiny_bundle, parse_policy(with_values(default_policy_text(), changes))))


@pytest.fixture(scope="module")
def staid(tiny_bundle: Bundle) -> Engine:
    return Engine(tiny_bundle)


def made(engine: Engine, customer_id: str, decision_id: str, trace: Trace | None = None) -> Any:
    return engine.challenge(ChallengeRequest(customer_id=customer_id), NOW, decision_id, Known(trace=trace))


def stretch_of(answer: Any) -> str | None:
    return next((item["product_id"] for item in answer["items"] if item["role"] == Role.STRETCH), None)


def draw_of(trace: Trace) -> Draw:
    (draw,) = trace.draws
    return draw


def test_stretches_come_as_often_as_the_odds_say_and_only_those_that_the_rules_left(exploring: Engine) -> None:
    fell: Counter[str | None] = Counter()
    for n in range(600):
        trace = Trace()
        answer = made(exploring, "anna", IDS.of(str(n)), trace)
        fell[stretch_of(answer)] += 1
        assert draw_of(trace).chosen == stretch_of(answer)
    among = draw_of(trace).among
    assert [each.id for each in among] == ["coffee-1", "brie-1"]  # no wine, no crisps, and nothing that is sold out
    assert chisquare([fell[each.id] for each in among], [each.probability * 600 for each in among]).pvalue > 0.001


def test_the_same_decision_has_the_same_stretch_and_the_habits_do_not_depend_on_it(exploring: Engine) -> None:
    answers = [made(exploring, "anna", IDS.of(str(n)), Trace()) for n in (*range(20), 0)]
    assert answers[0] == answers[-1]
    assert len({str([item["product_id"] for item in each["items"][:2]]) for each in answers}) == 1


def test_without_a_share_nothing_is_drawn_and_nothing_changes(staid: Engine) -> None:
    for customer_id in CUSTOMERS:
        trace = Trace()
        assert made(staid, customer_id, "d1", trace) == made(staid, customer_id, "d1")
        assert trace.draws == []


def test_what_leaves_no_trace_and_rankings_without_rules_get_the_best(
    exploring: Engine, staid: Engine, tiny_bundle: Bundle
) -> None:
    for n in range(10):
        assert stretch_of(made(exploring, "anna", IDS.of(str(n)))) == stretch_of(made(staid, "anna", "d1"))
    bare = Engine(exploring.bundle, applies_rules=False)
    assert len({stretch_of(Ranking(bare, IDS).decide(ANNA, NOW)) for _ in range(10)}) == 1


def test_who_may_not_be_known_gets_the_common_answer(exploring: Engine, staid: Engine) -> None:
    trace = Trace()
    assert made(exploring, "ben", "d1", trace)["items"] == made(staid, "ben", "d1")["items"]
    assert trace.draws == []


@pytest.mark.parametrize("customer_id", ["dora", "emil"])
def test_where_nothing_is_to_choose_from_what_is_shown_is_noted_as_sure(exploring: Engine, customer_id: str) -> None:
    trace = Trace()
    answer = made(exploring, customer_id, "d1", trace)
    assert (draw_of(trace).chosen, draw_of(trace).probability) == (stretch_of(answer), 1.0)


def test_a_replay_gets_the_stretch_that_it_wants(exploring: Engine, staid: Engine) -> None:
    trace = Trace(wanted={"stretch": "brie-1"})
    assert stretch_of(made(exploring, "anna", "d1", trace)) == "brie-1"
    assert draw_of(trace).probability > 0


# Kept


def decided(engine: Engine, door: OpenDoor, at: datetime = NOW, *, shows: bool = True) -> Any:
    return Decider(engine, door, IDS, shows=shows).decide(ANNA, at)


def kept_draws(door: OpenDoor, decision_id: str) -> tuple[Draw, ...]:
    found = door.state.decision(decision_id)
    assert found is not None
    return found.record.parts[0].draws


def test_the_record_has_the_odds_and_a_challenge_asked_for_again_is_no_new_draw(
    exploring: Engine, staid: Engine
) -> None:
    door = OpenDoor(state_on())
    first = decided(exploring, door)
    (draw,) = kept_draws(door, first["decision_id"])
    assert draw.chosen == stretch_of(first)
    # Neither what is done since nor another policy draws anew.
    door.state.accept(
        [Event("e1", "anna", EventType.VIEW, 0, 0, "brie-1")], may_keep=lambda _: True, kind_of=lambda _: None
    )
    for engine in (exploring, staid):
        again = decided(engine, door, NOW + timedelta(days=1))
        assert (again["decision_id"], stretch_of(again)) == (first["decision_id"], stretch_of(first))
    assert kept_draws(door, first["decision_id"]) == (draw,)
    found = door.state.decision(first["decision_id"])
    assert found is not None
    told = decision_answer(found)["draws"]
    assert told[0]["probability"] == draw.probability
    assert sum(chance for _, chance, _ in told[0]["among"]) == pytest.approx(1.0)


def test_a_draw_stands_as_it_fell_where_it_ran_out_before_it_was_seen(exploring: Engine) -> None:
    door = OpenDoor(state_on())
    first = decided(exploring, door, shows=False)
    (draw,) = kept_draws(door, first["decision_id"])
    door.state.put_stock([StockWord(draw.chosen, None, 0.0)])
    shown = decided(exploring, door)
    (stands,) = kept_draws(door, first["decision_id"])
    assert (stands.chosen, stands.probability, stands.among) == (draw.chosen, draw.probability, draw.among)
    assert stands.replaced_by == stretch_of(shown) != draw.chosen


def test_of_two_workers_the_first_one_s_draw_stands(exploring: Engine, staid: Engine) -> None:
    door = OpenDoor(state_on())
    first = decided(exploring, door)
    draft = made(staid, "anna", "another", Trace())
    kept = door.state.issue("anna", 17_532, draft, 0, draws=[Draw("stretch", "x", 1.0, ())])
    assert [each.chosen for each in kept.challenge.draws] == [stretch_of(first)]


def test_what_is_out_of_stock_is_not_among_the_options(exploring: Engine) -> None:
    trace = Trace()
    told = known(stock={("coffee-1", None): 0.0, ("coffee-2", None): 0.0}, trace=trace)
    Engine(exploring.bundle).challenge(ANNA, NOW, "d1", told)
    assert [each.id for each in draw_of(trace).among] == ["brie-1"]
