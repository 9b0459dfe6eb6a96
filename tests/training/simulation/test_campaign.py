"""Campaigns through the real assignment, exposure and lift code, with an engine that gives everybody something."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from serving.experiments_toml import default_experiments_text, parse_experiments
from training.errors import SimulationError
from training.intervals import Interval
from training.simulation.book import Book
from training.simulation.campaign import Campaign, Outcome, Stage, doings_of_world, run_campaign
from training.simulation.logbook import Logbook
from training.simulation.population import draws_of
from training.simulation.suite import SPARES, campaigns_with_effect, campaigns_without_effect, run_all, verdict
from training.simulation.truth import NO_EFFECT, Truth

LIFT = replace(parse_experiments(default_experiments_text()).lift, min_customers=50, planned_customers=300)
STRONG = Truth(lift=6.0, fatigue=0.0, clip=0.0, leave=0.0)


def campaign(truth: Truth, *, seed: int = 1) -> Campaign:
    return Campaign(f"c{seed}", seed, truth, 300, 0.4, 7, 2, LIFT)


def test_without_effect_the_truth_is_exactly_nothing(stage: Stage) -> None:
    found = run_campaign(stage, campaign(NO_EFFECT))
    assert found.truth == 0.0
    assert found.n_sent > 0
    assert found.n_redeemed == 0


def test_the_truth_does_not_hang_on_who_is_held_out(stage: Stage) -> None:
    one, other = (run_campaign(stage, replace(campaign(STRONG), name=name)) for name in ("a", "b"))
    assert one.truth == other.truth > 0.0
    assert one.plain.value != other.plain.value


def test_a_campaign_is_the_same_when_run_again(stage: Stage) -> None:
    assert run_campaign(stage, campaign(Truth())) == run_campaign(stage, campaign(Truth()))


def test_held_out_customers_are_asked_about_and_sent_nothing(stage: Stage) -> None:
    found = run_campaign(stage, campaign(STRONG))
    # Two calls in 14 days each, of which those of the held-out give nothing; some leave no room for a second one.
    assert 0.5 * 2 * found.n < found.n_sent < 0.7 * 2 * found.n
    assert found.n == 300


def test_all_campaigns_differ_in_who_is_held_out_and_in_size() -> None:
    effect, nothing = campaigns_with_effect(5, Truth(), 800, 1), campaigns_without_effect(5, 800, 1)
    both = [*effect, *nothing]
    assert len({each.name for each in both}) == len({each.seed for each in both}) == 2 * (5 + SPARES)
    assert len({each.n_customers for each in both}) > 5
    assert all(each.truth == NO_EFFECT for each in nothing)


def test_a_spare_takes_the_place_of_a_campaign_that_a_check_refuses(stage: Stage) -> None:
    refused = replace(campaign(NO_EFFECT), lift=replace(LIFT, min_customers=10_000))
    found = run_all(stage, [refused, campaign(NO_EFFECT, seed=2), campaign(NO_EFFECT, seed=3)], 1, 1, lambda _: None)
    assert [each.name for each in found.outcomes] == ["c2"]
    assert found.n_refused == 1


def test_a_shop_too_small_to_measure_is_refused(stage: Stage) -> None:
    refused = replace(campaign(NO_EFFECT), lift=replace(LIFT, min_customers=10_000))
    with pytest.raises(SimulationError, match="1 of 1 campaigns were refused"):
        run_all(stage, [refused], 1, 1, lambda _: None)


def test_orders_are_what_the_log_of_events_says(stage: Stage) -> None:
    """The rows that campaigns are measured by are those that the shop's own event log would give."""
    past, offers = stage.past, stage.offers
    everybody = np.arange(past.population.n)
    world, logbook, book = (
        past.world.copy(offers, STRONG),
        Logbook(past.population.shop.time_zone),
        Book(past.population, offers, everybody),
    )
    for day in range(past.end_day, past.end_day + 5):
        draws = draws_of(past.population, 2, day)
        lines = world.step(day, draws)
        book.bought(day, logbook.bought(day, lines, draws.hour), lines)
    rows = doings_of_world(past, logbook.log(), np.ones(past.population.n, dtype=bool)).purchases
    events = [event for customer in everybody.tolist() for event in book.known(customer).live.events]
    told = {(each.customer_id, each.order_id) for each in events}
    assert set(zip(rows["customer_id"], rows["order_id"], strict=True)) == told
    assert rows["amount"].sum() == pytest.approx(sum(each.amount or 0.0 for each in events))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_large_effects_are_covered_and_found(stage: Stage) -> None:
    """With an engine that sends to everybody, and offers that do three times the usual and more."""
    everybody = int(stage.past.world.is_reached.sum())
    planned = campaigns_with_effect(100, Truth().scaled(3.0), everybody, 4)
    planned = [replace(each, n_customers=everybody) for each in planned]
    outcomes = run_all(stage, planned, 100, 1, lambda _: None).outcomes
    found = verdict(outcomes)
    # Of 100 at 95 %: fewer than 89, or all, has a chance under 1 %.
    assert 89 <= found.n_covered <= 99
    assert verdict([halved(each) for each in outcomes]).n_covered < 80
    assert abs(found.bias) < 3 * (found.width / (2 * 1.96)) / math.sqrt(100)
    assert sum(each.cuped.low > 0.0 for each in outcomes) > 50


def halved(outcome: Outcome) -> Outcome:
    value, half = outcome.cuped.value, (outcome.cuped.high - outcome.cuped.low) / 4
    return replace(outcome, cuped=Interval(value, value - half, value + half))


def outcome(rng: np.random.Generator, half: float) -> Outcome:
    truth, error = 1.0, rng.normal()
    cuped = Interval(truth + error, truth + error - half, truth + error + half)
    return Outcome("c", truth, cuped, cuped, cuped, (), (), 100, 0, 0, 1.0)


def test_an_interval_of_half_the_width_is_caught() -> None:
    rng = np.random.default_rng(1)
    right, halved = (verdict([outcome(rng, half) for _ in range(200)]).coverage for half in (1.96, 0.98))
    assert 0.92 <= right <= 0.98
    assert halved < 0.92


def test_a_win_on_any_day_counts() -> None:
    below, above = Interval(1.0, -0.1, 2.1), Interval(1.0, 0.1, 1.9)
    quiet = Outcome("c", 0.0, below, below, below, (below,), (above,), 100, 0, 0, 1.0)
    assert quiet.would_be_called_a_win
    assert not quiet.is_called_a_win
    assert replace(quiet, looks=(below, above, below)).is_called_a_win
