"""The terms of offers, each from what it is made of, to be redone by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.bundle import Bundle
from serving.decisioning.offer_wants import NOBODY
from serving.decisioning.policy import default_policy
from serving.decisioning.value import Terms
from serving.offer_shelf import OfferShelf
from serving.offer_terms import Setting, TermMaker, hour_fit
from serving.shelf import Shelf

POLICY = default_policy().offers
PAGE = Setting(is_personal=False, is_message=False, trust=0.5, trip7=0.5, hour_fit=None, responses=None)


@pytest.fixture(scope="module")
def shelf(tiny_bundle: Bundle) -> OfferShelf:
    return OfferShelf(tiny_bundle, Shelf(tiny_bundle, margin_rate=0.25))


def of(shelf: OfferShelf, offer_id: str, setting: Setting = PAGE, days: float = 7.0, privacy: float = 0.05) -> Terms:
    """Return the terms of an offer for one of whom nothing is known."""
    n = len(shelf.offers)
    found = TermMaker(shelf, POLICY).terms(None, np.full(n, NOBODY), np.full(n, privacy), np.full(n, days), setting)
    return found.of(shelf.rows[offer_id])


def test_nobody_s_relevance_is_everybody_s_chance(shelf: OfferShelf) -> None:
    # All the milk and all the yogurt: each type is bought by a fifth within seven days.
    assert of(shelf, "dairy-off").anyway == pytest.approx(1 - 0.8**2)
    assert of(shelf, "dairy-off").relevance == pytest.approx(1 - 0.8**8, abs=1e-6)
    known = replace(PAGE, is_personal=True)
    assert of(shelf, "dairy-off", known).anyway == pytest.approx(POLICY.unspoken_share * 0.36, abs=1e-6)


def test_what_is_for_nothing_in_particular_goes_by_the_trip(shelf: OfferShelf) -> None:
    terms = of(shelf, "free-delivery")
    assert terms.anyway == 0.5
    assert terms.incremental_margin == pytest.approx(0.05 * 0.5 * POLICY.habit_extra * POLICY.basket_margin)


def test_money_is_the_chance_times_what_it_brings_and_costs(shelf: OfferShelf) -> None:
    terms = of(shelf, "brie-off")
    extra = POLICY.new_extra * POLICY.new_purchases
    assert terms.incremental_margin == pytest.approx(0.1 * (1 - terms.anyway) * extra * 3.5, abs=1e-5)
    assert terms.reward_cost == pytest.approx(0.1 * 2.0)
    assert of(shelf, "points").reward_cost == 0.0  # its cost is not known
    own = replace(PAGE, responses=(np.array([shelf.rows["brie-off"]]), np.array([0.3])))
    assert of(shelf, "brie-off", own).redemption == pytest.approx(0.3)
    assert of(shelf, "brie-off", replace(PAGE, fatigue_cost=0.25)).fatigue_cost == 0.25


def test_effort_adds_up(shelf: OfferShelf) -> None:
    new = POLICY.effort_new
    assert of(shelf, "dairy-off").effort == pytest.approx(POLICY.effort_discount + new)
    assert of(shelf, "brie-off").effort == pytest.approx(POLICY.effort_discount + new + POLICY.effort_single)
    assert of(shelf, "free-delivery").effort == pytest.approx(POLICY.effort_free_shipping)
    message = replace(PAGE, is_message=True)
    assert of(shelf, "points", message).effort == pytest.approx(POLICY.effort_points + new + POLICY.effort_message)
    far = replace(message, km=10.0)
    near = of(shelf, "salad-mail", message).effort
    assert of(shelf, "salad-mail", far).effort == pytest.approx(near + 10 * POLICY.effort_per_km)
    assert of(shelf, "salad-mail", replace(message, km=100.0)).effort == 1.0
    assert of(shelf, "points", far).effort == of(shelf, "points", message).effort


def test_what_uses_the_place_shows_it(shelf: OfferShelf) -> None:
    far = replace(PAGE, km=1.0)
    assert of(shelf, "salad-mail", far).privacy_cost == POLICY.privacy_location
    assert of(shelf, "salad-mail", far, privacy=1.0).privacy_cost == 1.0
    assert of(shelf, "dairy-off", far).privacy_cost == 0.05


def test_a_moment_is_neutral_unless_the_page_the_basket_or_the_hour_says_more(shelf: OfferShelf) -> None:
    row = shelf.rows["dairy-off"]
    assert of(shelf, "dairy-off").timeliness == POLICY.neutral_timeliness
    assert of(shelf, "dairy-off", replace(PAGE, beside_basket=[row])).timeliness == POLICY.basket_timeliness
    assert of(shelf, "dairy-off", replace(PAGE, on_page=[row])).timeliness == 1.0
    at_hour = replace(PAGE, on_page=[row], hour_fit=0.5)
    assert of(shelf, "dairy-off", at_hour).timeliness == pytest.approx(1 - POLICY.hour_weight / 2)


@pytest.mark.parametrize(("hour", "best", "fit"), [(17, 17, 1.0), (5, 17, 0.0), (23.5, 0.5, 11 / 12), (1, 23, 10 / 12)])
def test_hours_go_round_the_clock(hour: float, best: int, fit: float) -> None:
    assert hour_fit(hour, best) == pytest.approx(fit)
