"""Worlds with the same draws: they differ by what messages do, and by nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.simulation.arrays import odds_times
from training.simulation.offers import Offers
from training.simulation.past import Past
from training.simulation.population import draws_of
from training.simulation.truth import NO_EFFECT, Truth
from training.simulation.world import DayLines, Delivered, World

STRONG = Truth(lift=4.0, leave=0.0)
N_DAYS = 28


def course(past: Past, offers: Offers, truth: Truth, *, every: int | None = 7, seed: int = 11) -> World:
    world = past.world.copy(offers, truth)
    for _ in days(past, world, every=every, seed=seed):
        pass
    return world


def days(
    past: Past, world: World, *, every: int | None = 7, seed: int = 11
) -> Iterator[tuple[DayLines, Delivered | None]]:
    """Yield a world's days; all customers are sent the offers in turn, each so many days."""
    everybody = np.arange(past.population.n)
    for since in range(N_DAYS):
        day = past.end_day + since
        draws = draws_of(past.population, seed, day)
        delivered = None
        if every is not None and since % every == 0:
            offer = np.full(past.population.n, (since // every) % world.offers.n)
            delivered = world.send(day, draws, everybody, offer)
        yield world.step(day, draws), delivered


def margin(past: Past, offers: Offers, truth: Truth, **how: int | None) -> float:
    world = past.world.copy(offers, truth)
    return float(sum(lines.margin.sum() for lines, _ in days(past, world, **how)))


def test_the_same_draws_make_the_same_world(past: Past, running: Offers) -> None:
    one, other = (list(days(past, past.world.copy(running, Truth()))) for _ in range(2))
    for (left, _), (right, _) in zip(one, other, strict=True):
        for name in vars(left):
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


def test_messages_without_effect_change_nothing_at_all(past: Past, running: Offers) -> None:
    told = [lines for lines, _ in days(past, past.world.copy(running, NO_EFFECT))]
    untold = [lines for lines, _ in days(past, past.world.copy(running, NO_EFFECT), every=None)]
    for left, right in zip(told, untold, strict=True):
        for name in vars(left):
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


def test_who_is_sent_nothing_does_the_same_in_a_world_where_others_are(past: Past, running: Offers) -> None:
    world, quiet = (past.world.copy(running, STRONG) for _ in range(2))
    told = np.arange(0, past.population.n, 2)
    for since in range(N_DAYS):
        day = past.end_day + since
        draws = draws_of(past.population, 5, day)
        world.send(day, draws, told, np.zeros(len(told), dtype=np.int64))
        left, right = world.step(day, draws), quiet.step(day, draws)
        untold = [np.flatnonzero(lines.customer % 2 == 1) for lines in (left, right)]
        np.testing.assert_array_equal(left.product[untold[0]], right.product[untold[1]])
        np.testing.assert_array_equal(left.amount[untold[0]], right.amount[untold[1]])


def test_stronger_offers_sell_more_of_what_they_are_for(past: Past, running: Offers) -> None:
    def pieces(lift: float) -> int:
        world = past.world.copy(running, replace(STRONG, lift=lift, trip_lift=0.0))
        return sum(int(running.is_for[:4].any(axis=0)[lines.type].sum()) for lines, _ in days(past, world))

    assert pieces(0.0) < pieces(1.5) < pieces(4.0)


def test_an_offer_is_redeemed_once_and_takes_its_value_off(past: Past, running: Offers) -> None:
    world = past.world.copy(running, STRONG)
    seen: set[tuple[int, int, int]] = set()
    for number, (lines, delivered) in enumerate(days(past, world, every=28)):
        assert delivered is None or number == 0
        used = lines.offer >= 0
        assert np.all(lines.off[used] <= running.value[lines.offer[used]])
        assert np.all(lines.off[~used] == 0.0)
        pairs = {(int(who), int(what), 0) for who, what in zip(lines.customer[used], lines.offer[used], strict=True)}
        assert len(pairs) == used.sum()
        assert not pairs & seen
        seen |= pairs
    assert len(seen) > 20


def test_what_is_due_anyway_is_pure_cost(past: Past, running: Offers) -> None:
    clipped = replace(NO_EFFECT, clip=1.0)
    assert margin(past, running, clipped) < margin(past, running, clipped, every=None)


@pytest.mark.parametrize("field", ["strength", "leaves"])
def test_the_more_messages_the_less_they_do_and_the_more_leave(past: Past, running: Offers, field: str) -> None:
    truth = Truth(leave=0.02, valid_days=7)
    found = []
    for n_before in (0, 2, 6):
        world = past.world.copy(running, replace(truth, leave=0.0))
        everybody = np.flatnonzero(world.is_reached)
        for back in range(n_before):
            day = past.end_day - 1 - back
            world.send(day, draws_of(past.population, 1, day), everybody, np.zeros(len(everybody), dtype=np.int64))
        world.truth = truth
        delivered = world.send(
            past.end_day, draws_of(past.population, 1, past.end_day), everybody, np.ones_like(everybody)
        )
        found.append(
            float(world.strength[everybody, 1].mean()) if field == "strength" else float(delivered.leaves.mean())
        )
    assert sorted(found, reverse=field == "strength") == found
    assert found[0] != found[-1]


def test_who_left_is_reached_no_more_and_comes_less(past: Past, running: Offers) -> None:
    leaving = replace(NO_EFFECT, leave=1.0, reach_worth=2.0)
    world = course(past, running, leaving, every=28)
    assert not world.is_reached.any()
    assert (
        len(world.send(past.end_day + N_DAYS, draws_of(past.population, 1, 0), np.arange(5), np.zeros(5, int)).customer)
        == 0
    )
    assert margin(past, running, leaving, every=28) < 0.8 * margin(past, running, leaving, every=None)


@given(st.floats(0.0, 1.0), st.floats(0.0, 5.0))
def test_odds_keep_chances_chances(chance: float, log_odds: float) -> None:
    found = float(odds_times(np.array([chance]), np.array([log_odds]))[0])
    assert chance - 1e-12 <= found <= 1.0 + 1e-12
