"""Policies side by side: the same customers and draws, and a table that says what each brings."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.simulation.conftest import Generous
from training.simulation.book import Book
from training.simulation.choosing import BestOffer, EngineChooser, Moment, Nothing, Policy, RandomOffer
from training.simulation.offers import Offers
from training.simulation.past import Past
from training.simulation.population import draws_of
from training.simulation.trial import Trial, standings, try_policies
from training.simulation.truth import NO_EFFECT, Truth


def policies(running: Offers) -> list[Policy]:
    return [
        EngineChooser(Generous(running), running, "engine"),  # type: ignore[arg-type]
        RandomOffer(1),
        BestOffer("highest discount", running.value),
        Nothing(),
    ]


def table(past: Past, running: Offers, truth: Truth) -> dict[str, object]:
    trial = Trial(5, truth, weeks=3, tail_weeks=2)
    rows = standings([try_policies(past, running, policies(running), trial)], Nothing.name, np.random.default_rng(1))
    return {each.name: each for each in rows}


def test_without_effect_no_policy_brings_anything(past: Past, running: Offers) -> None:
    for each in table(past, running, NO_EFFECT).values():
        assert each.gain.value == each.gain.low == each.gain.high == 0.0  # type: ignore[attr-defined]


def test_what_costs_and_sells_nothing_more_loses_what_is_given_away(past: Past, running: Offers) -> None:
    found = table(past, running, Truth(lift=0.0, trip_lift=0.0, clip=1.0, leave=0.0, reach_worth=0.0))
    for name in ("engine", "random", "highest discount"):
        each = found[name]
        assert each.gain.value == pytest.approx(-each.off, abs=0.02)  # type: ignore[attr-defined]
    assert found["highest discount"].off > found["random"].off > 0.0  # type: ignore[attr-defined]


def test_messages_are_counted_once_a_week_and_customer(past: Past, running: Offers) -> None:
    found = table(past, running, NO_EFFECT)
    assert found["random"].sent == pytest.approx(3.0)  # type: ignore[attr-defined]
    assert found["nothing sent"].sent == 0.0  # type: ignore[attr-defined]


def test_nobody_gets_the_best_offer_twice(past: Past, running: Offers) -> None:
    book = Book(past.population, running, np.arange(2))
    policy = BestOffer("best", np.arange(running.n, dtype=float))
    world = past.world.copy(running, NO_EFFECT)
    seen = []
    for week in range(running.n + 1):
        day = past.end_day + 7 * week
        moment = Moment(day, 0, running.runs(past.end_day))
        given = policy.choose(moment, np.array([0]), book)
        seen.append(int(given[0]))
        if given[0] >= 0:
            world.is_reached[0] = True
            book.sent(day, 0, world.send(day, draws_of(past.population, 1, day), np.array([0]), given))
    assert seen == [*range(running.n - 1, -1, -1), -1]


def test_random_offers_are_those_that_run(past: Past, running: Offers) -> None:
    runs = np.zeros(running.n, dtype=bool)
    runs[[1, 3]] = True
    given = RandomOffer(2).choose(
        Moment(past.end_day, 0, runs), np.arange(50), Book(past.population, running, np.arange(50))
    )
    assert set(given.tolist()) == {1, 3}
