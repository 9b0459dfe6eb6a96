"""Draws: odds that add up, that the frequencies hit, that fall with the gap; the same for the same decision."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from serving.decision_ids import DecisionIds
from serving.decisioning.exploring import (
    Lots,
    Option,
    drawn,
    expected_cost,
    odds,
    retaken,
    uniform,
)
from serving.decisioning.policy_exploration import ExplorationPolicy
from serving.state.known import Odds, Trace

POLICY = ExplorationPolicy(0.5, 0.5, among=4, caution=3.0, min_effective=20, max_outside=0.1)
OPTIONS = [Option("a", 4.0), Option("b", 4.0), Option("c", 2.0), Option("d", 0.0), Option("e", 0.0)]
IDS = [DecisionIds(b"k" * 32).of(str(n)) for n in range(20_000)]


def weights() -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20).map(lambda each: sorted(each, reverse=True))


@given(weights(), st.floats(0, 1), st.floats(0, 100))
def test_odds_add_up_and_the_rarest_is_no_rarer_than_said(found: list[float], share: float, caution: float) -> None:
    policy = replace(POLICY, caution=caution, among=20)
    chances = odds(found, share, policy)
    assert fsum(chances) == pytest.approx(1.0, abs=1e-12)
    assert min(chances) >= share / 20 / (1 + caution) - 1e-15
    assert list(chances[1:]) == sorted(chances[1:], reverse=True)
    assert chances[0] >= max(chances) - 1e-12


def test_odds_fall_with_the_gap_as_the_policy_says() -> None:
    assert odds([4.0, 4.0, 2.0, 0.0], 0.8, POLICY) == pytest.approx((1 - 0.2 - 0.08 - 0.05, 0.2, 0.2 / 2.5, 0.2 / 4))


def test_where_the_best_is_worth_nothing_what_is_worse_has_the_widest_gap() -> None:
    assert odds([0.0, 0.0, -1.0], 0.3, POLICY) == pytest.approx((1 - 0.1 - 0.025, 0.1, 0.025))


def test_frequencies_hit_the_odds() -> None:
    chances = odds([each.weight for each in OPTIONS[:4]], 0.8, POLICY)
    fell = Counter(drawn(OPTIONS[:4], chances, slot="stretch", seed=each).chosen for each in IDS)
    expected = [chance * len(IDS) for chance in chances]
    assert chisquare([fell[each.id] for each in OPTIONS[:4]], expected).pvalue > 0.001


def test_points_are_uniform_and_independent_between_slots() -> None:
    first, second = ([uniform(slot, each) for each in IDS] for slot in ("stretch", "first_offer"))
    assert kstest(first, "uniform").pvalue > 0.001
    quarters = Counter((int(a * 4), int(b * 4)) for a, b in zip(first, second, strict=True))
    assert chisquare([quarters[a, b] for a in range(4) for b in range(4)]).pvalue > 0.001


def test_the_same_decision_draws_the_same_among_the_best_and_notes_it_once() -> None:
    trace = Trace()
    lots = Lots(POLICY, 0.5, "d1", trace)
    assert lots.place("stretch", OPTIONS) == lots.place("stretch", OPTIONS)
    (draw,) = trace.draws
    assert [each.id for each in draw.among] == ["a", "b", "c", "d"]
    assert draw.probability == next(each.probability for each in draw.among if each.id == draw.chosen)


def test_what_can_only_be_one_thing_is_noted_as_sure_unless_it_was_drawn() -> None:
    trace = Trace()
    lots = Lots(POLICY, 0.5, "d1", trace)
    lots.settle("stretch", "x")
    assert (trace.draws[0].probability, trace.draws[0].among) == (1.0, (Odds("x", 1.0, 0.0),))
    lots.place("stretch", OPTIONS)
    lots.settle("stretch", "x")
    assert len(trace.draws[0].among) == 4
    alone = Trace()
    Lots(POLICY, 0.5, "d1", alone).place("stretch", OPTIONS[:1])
    assert alone.draws[0].probability == 1.0


@pytest.mark.parametrize(("wanted", "probability"), [("c", 0.05), ("e", 0.0)])
def test_a_replay_gets_what_it_wants_at_its_own_odds(wanted: str, probability: float) -> None:
    trace = Trace(wanted={"stretch": wanted})
    place = Lots(POLICY, 0.5, "d1", trace).place("stretch", OPTIONS)
    assert OPTIONS[place].id == wanted
    assert trace.draws[0].chosen == wanted
    assert trace.draws[0].probability == pytest.approx(probability)


def test_what_is_wanted_and_not_to_be_had_is_drawn_as_ever() -> None:
    free, bound = Trace(), Trace(wanted={"stretch": "nothing"})
    assert Lots(POLICY, 0.5, "d1", free).place("stretch", OPTIONS) == Lots(POLICY, 0.5, "d1", bound).place(
        "stretch", OPTIONS
    )


def test_the_cost_is_the_expected_shortfall() -> None:
    draw = drawn(OPTIONS[:3], [0.5, 0.3, 0.2], slot="s", seed="d1")
    assert expected_cost(draw) == pytest.approx(0.2 * (4.0 - 2.0))
    assert expected_cost(retaken(draw, "a")) == expected_cost(draw)
