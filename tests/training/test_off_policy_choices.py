"""Drawn decisions looked at again: the odds of another policy, what is outside of the log, and what can't be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from serving.api import ChallengeRequest
from serving.bundle import Bundle, obeying, open_bundle, write_bundle
from serving.decide import Decider
from serving.decisioning.policy import parse_policy, with_values
from serving.engine import Engine
from serving.state.decisions import DecisionRecord
from serving.state.known import Live
from serving.state.shop import State
from serving.state.stock_words import StockWord
from tests.serving.state.builders import OpenDoor, state_on
from tests.serving.tiny import AS_OF
from tests.training.explored_shop import EXPLORING, NumberedIds, clones
from training.off_policy_choices import NO_BUNDLE, OTHERWISE, SecondLook, look_again
from training.replay import NOT_ASKED

N = 12
NOW = AS_OF + timedelta(hours=1)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundles")
    return open_bundle(folder / write_bundle(clones("anna", N, dict(EXPLORING)), folder))


@pytest.fixture(scope="module")
def state(bundle: Bundle) -> State:
    """Return a state with challenges that were issued to everybody, and seen a day later, when there was no coffee."""
    state = state_on()
    issuing, showing = (
        Decider(Engine(bundle), OpenDoor(state), NumberedIds(b"k" * 32), shows=shows) for shows in (False, True)
    )
    for i in range(N):
        issuing.decide(ChallengeRequest(customer_id=f"c{i}"), NOW)
    state.put_stock([StockWord(each, None, 0.0) for each in ("coffee-1", "coffee-2")])
    for i in range(N):
        showing.decide(ChallengeRequest(customer_id=f"c{i}", basket=["salad-1"]), NOW + timedelta(days=1))
    return state


def looked(state: State, bundle: Bundle, records: Iterable[DecisionRecord] | None = None, **other: Any) -> SecondLook:
    """Return every decision looked at again, under the bundle's policy with other values."""
    text = (bundle.folder / "policy.toml").read_text()
    values = {name.replace("__", "."): value for name, value in other.items()}
    pair = Engine(bundle), Engine(obeying(bundle, parse_policy(with_values(text, values))))

    def live(customer_id: str, before_us: int) -> Live:
        return state.live(customer_id, before_us=before_us)

    return look_again(state.records() if records is None else records, lambda _record: pair, live, lambda _stage: None)


def test_the_own_policy_has_the_logged_odds_whatever_ran_out_after_the_draw(state: State, bundle: Bundle) -> None:
    found = looked(state, bundle)
    assert (len(found.found), found.left_out) == (N, {})
    replaced = [each for each in found.found if each.draw.replaced_by]
    assert {each.draw.chosen for each in replaced} == {"coffee-1"}
    assert 0 < len(replaced) < N
    for each in found.found:
        assert each.target == pytest.approx([option.probability for option in each.draw.among])
        assert each.outside == pytest.approx(0.0)
    # What counts is what was shown in the end: cheese, where there was no coffee.
    assert {each.counts["id"] for each in found.found if each.counts} == {"Cheese Counter"}


def test_a_policy_that_never_draws_has_all_its_odds_on_one(state: State, bundle: Bundle) -> None:
    for each in looked(state, bundle, exploration__stretch_share=0.0).found:
        assert dict(zip([option.id for option in each.draw.among], each.target, strict=True)) == {
            "coffee-1": 1.0,
            "brie-1": 0.0,
        }


def test_what_the_log_never_shows_is_outside(state: State, bundle: Bundle) -> None:
    # Coffee does not cost enough for that policy: cheese is all that is left.
    for each in looked(state, bundle, stretch__min_worth_ratio=3.3, exploration__caution=0.0).found:
        assert (each.target, each.outside, each.comes_otherwise) == ((0.0, 1.0), 0.0, False)
    for each in looked(state, bundle, reward__max_value=0.5).found:
        assert (each.outside, each.comes_otherwise) == (1.0, True)
    for each in looked(state, bundle, habit__just_bought_share=1.0).found:
        assert each.comes_otherwise  # other habits


def test_what_can_t_be_made_anew_is_left_out_with_the_reason(state: State, bundle: Bundle) -> None:
    (record, *_) = state.records()
    part = record.parts[0]
    other_draw = replace(part.draws[0], among=part.draws[0].among[:1])
    unlike = replace(record, parts=(replace(part, draws=(other_draw,)),))
    unasked = replace(record, parts=(replace(part, asked={"no_such_field": 1}),))
    assert looked(state, bundle, [unlike, unasked, record]).left_out == {OTHERWISE: 1, NOT_ASKED: 1}
    gone = look_again([record], lambda _record: NO_BUNDLE, lambda *_: Live(""), lambda _stage: None)
    assert (gone.found, gone.left_out) == ([], {NO_BUNDLE: 1})


def test_nobody_is_looked_at_whom_nothing_links_to_the_draw(state: State, bundle: Bundle) -> None:
    (record, *_) = state.records()
    nobody = replace(record, parts=(replace(record.parts[0], customer_id=None),))
    assert looked(state, bundle, [nobody]) == SecondLook()
