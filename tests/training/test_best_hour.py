"""Best hour: planted hours are found, chances add up, little evidence means the shop's own week."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.asof import Moment
from features.sources.synthetic import Truth
from training.best_hour import (
    JUDGED_DAYS,
    NO_HOURS,
    TOO_SHORT,
    BestHourConfig,
    BestHourModel,
    FittedBestHour,
    Strengths,
    best_hours,
    choose_strengths,
    figures,
    judge,
    parts_of,
    trips_around,
    week_chances,
)
from training.config import load_config, load_search
from training.history import History
from training.peers import factorised_week
from training.peers.factorised_week import FactorisedConfig

SMALL = BestHourConfig(strengths=(2.0, 20.0))


@pytest.fixture(scope="module")
def fitted(shop_history: History, shop_cutoff: Moment) -> FittedBestHour:
    return BestHourModel(SMALL).fit(shop_history.until(shop_cutoff))


def test_planted_hours_are_found(
    fitted: FittedBestHour, shop_history: History, shop_cutoff: Moment, truth: Truth
) -> None:
    ids = shop_history.tables.read("customers").set_index("customer_row")["customer_id"]
    predicted = fitted.predict(shop_history, shop_cutoff)
    planted = predicted["customer_row"].map(ids).map(truth.best_hour)
    assert (abs(predicted["best_hour"] - planted) <= 1).mean() > 0.8
    assert predicted["best_hour"].between(0, 23).all()


def test_a_customers_own_week_beats_the_shops(
    fitted: FittedBestHour, shop_history: History, shop_cutoff: Moment
) -> None:
    judgement = judge({shop_cutoff: fitted}, shop_history)
    gains = {row.baseline: row.gain for row in judgement.rows}
    assert gains["shop's histogram"] > 0
    assert set(figures({shop_cutoff: fitted}, shop_history)) == {"hours.png"}


def test_chances_of_a_week_add_up_to_one() -> None:
    rng = np.random.default_rng(1)
    counts, shop = rng.integers(0, 3, (5, 7, 6)).astype(float), rng.dirichlet(np.ones(42)).reshape(7, 6)
    assert week_chances(counts, shop, Strengths()).sum(axis=(1, 2)) == pytest.approx(np.ones(5))
    factorised = factorised_week.chances(counts, shop, FactorisedConfig())
    assert factorised.sum(axis=(1, 2)) == pytest.approx(np.ones(5))


def test_without_trips_a_week_is_the_shops() -> None:
    shop = np.random.default_rng(1).dirichlet(np.ones(42)).reshape(7, 6)
    assert np.allclose(week_chances(np.zeros((1, 7, 6)), shop, Strengths())[0], shop)


def test_strong_habits_ask_for_weak_shrinkage() -> None:
    known = np.zeros((2, 7, 6))
    known[0, 0, 1], known[1, 3, 4] = 9, 9
    assert choose_strengths(known, known, (1.0, 50.0)).weekday == 1.0


def test_best_hour_weighs_neighbours_and_takes_the_earlier_of_equals() -> None:
    counts = np.zeros((2, 24))
    counts[0, [8, 17, 18]] = [3, 2, 2]  # 8: 3 ÷ 2; 17: 2 ÷ 2 + 2 ÷ 4, and 18 the same
    assert best_hours(counts, np.zeros(24), 1.0).tolist() == [8, 0]
    counts[0, 8] = 2
    assert best_hours(counts, np.zeros(24), 1.0)[0] == 17


def test_where_later_trips_show_no_more_the_simpler_week_stands_in(
    fitted: FittedBestHour, shop_history: History, shop_cutoff: Moment
) -> None:
    first_day, zone = shop_history.tables.first_day, shop_history.tables.time_zone
    short = shop_cutoff.plus_days(first_day + 28 - shop_cutoff.day, zone)  # four weeks: none is left to prove it on
    model = BestHourModel(SMALL).fit(shop_history.until(short))

    (row,) = [each for each in judge({short: model}, shop_history).rows if each.baseline == "factorised histogram"]

    assert model.notes == (TOO_SHORT,)
    assert row.gain == pytest.approx(0.0, abs=1e-12)
    assert not fitted.is_factorised


def test_it_is_judged_on_the_same_days_whatever_it_was_chosen_on(shop_history: History, shop_cutoff: Moment) -> None:
    known = shop_history.until(shop_cutoff.plus_days(JUDGED_DAYS, shop_history.tables.time_zone))
    longer = BestHourModel(replace(SMALL, validation_days=2 * JUDGED_DAYS)).fit(shop_history.until(shop_cutoff))
    assert judge({shop_cutoff: longer}, known).rows


def test_where_weekday_and_part_tell_all_they_stand_in() -> None:
    known = np.random.default_rng(3).poisson(0.3, (400, 7, 24)).astype(np.float64)
    model = BestHourModel(SMALL)
    shop = FittedBestHour(SMALL, known.sum(axis=0), Strengths()).shop_week

    simpler = factorised_week.chances(parts_of(known, beside=0.0), shop, FactorisedConfig())
    told_by_the_simpler = 1_000.0 * simpler
    told_by_both_at_once = 1_000.0 * parts_of(known, beside=0.0) / known.sum(axis=(1, 2), keepdims=True)

    assert not model._is_worth(known, told_by_the_simpler)
    assert model._is_worth(known, told_by_both_at_once)


def test_a_source_without_times_has_no_best_hour(thin_history: History) -> None:
    fitted = BestHourModel(SMALL).fit(thin_history)
    assert fitted.notes == (NO_HOURS,)
    assert fitted.predict(thin_history, thin_history.known_until).empty
    assert figures({thin_history.known_until: fitted}, thin_history) == {}
    assert judge({thin_history.known_until.plus_days(-28, "UTC"): fitted}, thin_history).beats_baselines


def test_the_shipped_config_is_read() -> None:
    assert load_config(BestHourConfig, "best_hour").validation_days == 28
    assert [each.name for each in load_search(BestHourConfig, "best_hour")] == ["validation_days", "n_kinds"]


def test_parts_of_the_day_have_the_hours_between_their_starts() -> None:
    hours = np.zeros(24)
    hours[[7, 8, 13, 19, 23]] = [1, 2, 3, 4, 5]
    assert parts_of(hours, beside=0.0).tolist() == [1, 2, 3, 0, 4, 5]
    assert parts_of(hours).sum() == pytest.approx(15)
    assert parts_of(hours)[0] == pytest.approx(0.8 * 1 + 0.2 * 2 + 0.2 * 5)  # one fifth of 7 o'clock leaves


def test_trips_around_a_day_are_each_counted_once(shop_history: History, shop_cutoff: Moment) -> None:
    known, later, customers = trips_around(shop_history, shop_cutoff, 28)
    lines = shop_history.purchases_after(shop_cutoff, 28)
    again = lines[lines["customer_row"].isin(customers)]
    assert later.sum() == again["order_row"].nunique()
    n_trips = shop_history.features("customers", shop_cutoff).set_index("customer_row")["n_baskets"]
    assert (known.sum(axis=(1, 2)) <= n_trips.reindex(customers).to_numpy() + 1e-9).all()
