"""Coupon response: planted responders answer, offers that run are scored, no offers means off."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from features.asof import Moment
from features.build import FeatureStore
from features.sources.synthetic import Truth
from tests.features.tiny import at, event, line, write_tables
from training.blend import BlendConfig
from training.boosting import BoostingConfig
from training.config import load_config, load_search
from training.coupon_response import (
    NO_OFFERS,
    NOT_USED,
    CouponResponseConfig,
    CouponResponseModel,
    FittedCouponResponse,
    ended_examples,
    evidence,
    figures,
    judge,
)
from training.history import History
from training.offer_rows import with_shares

SMALL = CouponResponseConfig(
    blend=BlendConfig(trees=BoostingConfig(n_trees=60, n_leaves=4, min_rows_per_leaf=30, n_threads=1))
)


@pytest.fixture(scope="module")
def cutoff(shop_history: History) -> Moment:
    return shop_history.known_until.plus_days(-84, shop_history.tables.time_zone)


@pytest.fixture(scope="module")
def fitted(shop_history: History, cutoff: Moment) -> FittedCouponResponse:
    return CouponResponseModel(SMALL).fit(shop_history.until(cutoff))


def test_planted_responders_are_told_from_the_others(
    fitted: FittedCouponResponse, shop_history: History, cutoff: Moment, truth: Truth
) -> None:
    ids = shop_history.tables.read("customers").set_index("customer_row")["customer_id"]
    response = fitted.response(shop_history, cutoff)
    is_responder = response["customer_row"].map(ids).isin(truth.responders)
    assert response["customer_row"].is_unique
    assert response.loc[is_responder, "p"].mean() > 2 * response.loc[~is_responder, "p"].mean()


def test_later_offers_are_judged_by_models_that_had_not_seen_them(
    fitted: FittedCouponResponse, shop_history: History, cutoff: Moment
) -> None:
    contest = evidence({cutoff: fitted}, shop_history)
    assert contest is not None
    assert 0 < contest.outcomes.sum() < len(contest)
    row = judge({cutoff: fitted}, shop_history).primary[0]
    assert row.baseline == "past redemption rate logistic"
    assert row.ours > 0.6
    assert "lift.png" in figures({cutoff: fitted}, shop_history)


def test_only_what_had_ended_is_learned_from(shop_history: History, cutoff: Moment) -> None:
    offers = shop_history.features("customer_offers", cutoff)
    examples = ended_examples(shop_history.until(cutoff), offers)
    assert len(examples) == int((offers["is_sent"] & offers["is_over"]).sum())
    assert examples.n_positive == int((offers.loc[offers["is_sent"] & offers["is_over"], "n_redeemed"] > 0).sum())


def test_no_outcome_and_no_growing_total_is_a_feature(fitted: FittedCouponResponse) -> None:
    assert not NOT_USED & set(fitted.feature_names)
    assert "redeemed_per_sent" in fitted.feature_names


def test_running_offers_are_scored_for_everyone(
    fitted: FittedCouponResponse, shop_history: History, cutoff: Moment
) -> None:
    offers = shop_history.features("customer_offers", cutoff)
    running = offers[~offers["is_over"]]
    predicted = fitted.predict(shop_history, cutoff)
    assert len(predicted) == len(running)
    assert predicted["p"].between(0, 1).all()


def test_shares_by_hand() -> None:
    offers = pd.DataFrame(
        {
            "n_products_owned": [1], "n_offer_products": [4], "n_redeemed_before": [2], "n_sent_before": [5],
            "n_baskets_owned_12w": [3], "n_baskets_12w": [0],
        }
    )  # fmt: skip
    shares = with_shares(offers).iloc[0]
    assert shares["owned_share"] == 1 / 4
    assert shares["redeemed_per_sent"] == pytest.approx((2 + 0.5) / (5 + 10))
    assert shares["owned_basket_share"] == 3 / 1


def test_a_source_without_offers_switches_it_off(thin_history: History) -> None:
    moment = thin_history.known_until
    fitted = CouponResponseModel(SMALL).fit(thin_history)
    assert fitted.notes == (NO_OFFERS,)
    assert fitted.predict(thin_history, moment).empty
    assert fitted.response(thin_history, moment).empty
    assert fitted.artifacts() == {}
    assert "not judged" in judge({moment: fitted}, thin_history).notes[-1]
    assert figures({moment: fitted}, thin_history) == {}


def test_few_redemptions_give_the_past_rate_and_say_so(tmp_path: Path) -> None:
    lines = [line(customer, 1, customer_row=customer) for customer in range(3)]
    offers = [{"offer_row": 0, "offer_id": "o", "starts_us": at(5).us, "ends_us": at(10).us}]
    events = [event("send", 5, customer_row=customer, offer_id="o") for customer in range(3)]
    tables = write_tables(tmp_path / "t", lines, offers=offers, events=[*events, event("redeem", 6, offer_id="o")])
    history = History(FeatureStore(tables, tmp_path / "f"), at(20))
    fitted = CouponResponseModel(SMALL).fit(history)
    assert "past redemption rate" in fitted.notes[0]
    assert fitted.response(history, at(20))["p"].tolist() == pytest.approx([(1 + 0.5) / (3 + 1)] * 3)


def test_the_shipped_config_is_read() -> None:
    assert load_config(CouponResponseConfig, "coupon_response").blend.trees.n_threads == 1
    assert load_search(CouponResponseConfig, "coupon_response")
