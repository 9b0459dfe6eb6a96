"""Scores in the backtest: tasks on a tiny shop by what its batch answers, thin sources, and whom they judge."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment
from training.backtest import category_task, coupon_task, hours_task, score_tasks
from training.backtest.observation import OURS, Findings, Observation
from training.best_hour import BestHourConfig, BestHourModel
from training.coupon_response import CouponResponseConfig
from training.history import History
from training.logistic import base_rate
from training.propensity import FittedPropensity, PropensityConfig


@dataclass(frozen=True)
class Told:
    """A `Served` that tells everyone the same few numbers."""

    history: History
    moment: Moment
    models: dict[str, Any] = field(default_factory=dict)
    categories: tuple[dict[str, Any], ...] = ()

    @property
    def known(self) -> History:
        return self.history.until(self.moment)

    def scores(self) -> pd.DataFrame:
        customers = self.known.features("customers", self.moment)
        at = pd.Timestamp(self.moment.us, unit="us", tz="UTC") + pd.Timedelta(days=5)
        return pd.DataFrame({c.CUSTOMER_ROW: customers[c.CUSTOMER_ROW]}).assign(
            churn_probability=0.25,
            next_purchase_at=at.isoformat(),
            lifetime_value_value=40.0,
            categories=[list(self.categories)] * len(customers),
        )


class Fixed:
    """A value model that says 40 by mean and 30 by median."""

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        rows = history.features("customers", moment)[[c.CUSTOMER_ROW]]
        return rows.assign(value_mean=40.0, value_median=30.0)


def found(findings: Findings, metric: str) -> Observation:
    return next(each for each in findings.observations if each.metric == metric)


@pytest.fixture(scope="module")
def moment(shop_history: History) -> Moment:
    return shop_history.known_until.plus_days(-56, shop_history.tables.time_zone)


def test_churn_is_judged_on_the_active_by_who_bought_nothing_in_28_days(shop_history: History, moment: Moment) -> None:
    findings = score_tasks.observe_churn(Told(shop_history, moment))
    auc = found(findings, "ROC AUC")
    customers = shop_history.features("customers", moment)
    active = set(customers.loc[customers[c.RECENCY_DAYS] <= 56, c.CUSTOMER_ROW])
    came = set(shop_history.purchases_after(moment, 28)[c.CUSTOMER_ROW])
    assert set(auc.customers) == active
    assert auc.outcomes is not None
    assert {int(who) for who, gone in zip(auc.customers, auc.outcomes, strict=True) if gone} == active - came
    assert set(auc.values) == {OURS, "Weibull AFT", "recency-frequency logistic", "recency alone", score_tasks.BG_NBD}
    squared = found(findings, "Brier").values[OURS]
    assert squared == pytest.approx((0.25 - auc.outcomes) ** 2)


def test_churn_over_56_days_has_labels_of_its_own_and_no_calibration(shop_history: History, moment: Moment) -> None:
    long = score_tasks.observe_long_churn(Told(shop_history, moment))
    assert [each.metric for each in long.observations] == ["ROC AUC"]
    short = found(score_tasks.observe_churn(Told(shop_history, moment)), "ROC AUC")
    assert long.observations[0].outcomes.sum() <= short.outcomes.sum()  # type: ignore[union-attr]  # both have them


def test_the_next_trip_is_counted_from_the_cutoff_and_capped(shop_history: History, moment: Moment) -> None:
    errors = found(score_tasks.observe_next_trip(Told(shop_history, moment)), "MAE, days")
    lines = shop_history.purchases_after(moment, 28)
    first = (lines.groupby(c.CUSTOMER_ROW)[c.ORDERED_US].min() - moment.us) / 86_400e6
    days = pd.Series(errors.customers).map(first).fillna(28.0).to_numpy()
    assert errors.values[OURS] == pytest.approx(np.abs(5.0 - days))
    assert max(map(np.max, errors.values.values())) <= 28.0


def test_spend_is_judged_on_everyone_by_median_and_by_mean(shop_history: History) -> None:
    cutoff = shop_history.known_until.plus_days(-84, shop_history.tables.time_zone)
    findings = score_tasks.observe_spend(Told(shop_history, cutoff, {"lifetime_value": Fixed()}))
    rmse, mae = found(findings, "RMSE"), found(findings, "MAE")
    lines = shop_history.purchases_after(cutoff, 84)
    spent = pd.Series(mae.customers).map(lines.groupby(c.CUSTOMER_ROW)[c.AMOUNT].sum()).fillna(0.0).to_numpy()
    assert len(mae.customers) == len(shop_history.features("customers", cutoff))
    assert mae.values[OURS] == pytest.approx(np.abs(30.0 - spent))
    assert rmse.values[OURS].tolist() == [40.0] * len(spent)
    assert rmse.outcomes == pytest.approx(spent)
    assert found(findings, "normalised Gini").statistic == "gini"  # this is the last cutoff


def test_a_pair_has_the_chance_of_the_list_and_else_that_of_the_model(shop_history: History, moment: Moment) -> None:
    config = PropensityConfig()
    names = shop_history.tables.read("categories", [c.CATEGORY_ROW, c.CATEGORY])
    listed = names.iloc[0]
    model = FittedPropensity(config, base_rate(np.zeros(8)), None, ())
    told = ({"category": listed[c.CATEGORY], "probability": 0.7},)
    served = Told(shop_history, moment, {"propensity": model}, told)
    macro = found(category_task.observe(served), "macro AUC")
    assert macro.groups is not None
    assert (macro.values[OURS][macro.groups == listed[c.CATEGORY_ROW]] == 0.7).all()
    assert macro.values[OURS][macro.groups != listed[c.CATEGORY_ROW]] == pytest.approx(0.5 / 9)
    assert {"recency-frequency logistic", "popularity"} < set(macro.values)


def test_offers_are_judged_by_models_that_learned_from_those_that_had_ended(shop_history: History) -> None:
    sent = coupon_task.judged_offers(shop_history)
    offers = shop_history.tables.read("offers").set_index(c.OFFER_ROW)
    assert sent
    for each in sent:
        assert each.moment.us == offers.loc[each.offer_row, c.STARTS_US] + 1
        assert offers.loc[each.offer_row, c.ENDS_US] <= shop_history.known_until.us
        assert (offers[c.ENDS_US] < each.moment.us).any()


def test_who_redeems_is_told_for_everyone_who_was_sent_it(shop_history: History) -> None:
    model = SimpleNamespace(config=CouponResponseConfig())
    findings = coupon_task.observe(Told(shop_history, shop_history.known_until, {"coupon_response": model}))
    auc = found(findings, "ROC AUC")
    rows = {each.offer_row for each in coupon_task.judged_offers(shop_history)}
    offers = shop_history.features("customer_offers", shop_history.known_until)
    judged = offers[offers[c.IS_SENT].astype(bool) & offers[c.OFFER_ROW].isin(rows)]
    assert 0.98 * len(judged) < len(auc.customers) <= len(judged)  # one who had not bought when it began is not told of
    assert auc.outcomes is not None
    assert 0 < auc.outcomes.sum() <= (judged[c.N_REDEEMED] > 0).sum()
    assert all(np.isfinite(each).all() for each in auc.values.values())


@pytest.mark.parametrize(
    "observe",
    [score_tasks.observe_churn, score_tasks.observe_long_churn, score_tasks.observe_next_trip],
)
def test_customers_who_are_told_nothing_are_left_out_for_all(
    shop_history: History, moment: Moment, observe: Any
) -> None:
    class Silent(Told):
        def scores(self) -> pd.DataFrame:
            scores = super().scores()
            return scores.assign(churn_probability=np.nan, next_purchase_at=None)

    findings = observe(Silent(shop_history, moment))
    assert all(len(each.customers) == 0 for each in findings.observations)


def test_a_source_without_amounts_or_offers_says_so(thin_history: History) -> None:
    moment = thin_history.known_until
    served = Told(thin_history, moment, {"lifetime_value": Fixed()})
    assert "no amounts" in score_tasks.observe_spend(served).notes[0]
    assert "no offer" in coupon_task.observe(served).notes[0]
    assert replace(served).known.known_until == moment


def test_every_trip_of_those_known_is_a_row_of_the_hours(shop_history: History) -> None:
    moment = shop_history.known_until.plus_days(-28, shop_history.tables.time_zone)
    model = BestHourModel(BestHourConfig(strengths=(10.0, 80.0))).fit(shop_history.until(moment))
    loss = found(hours_task.observe(Told(shop_history, moment, {"best_hour": model})), "log-loss")
    lines = shop_history.purchases_after(moment, 28)
    known = shop_history.features("customers", moment)[c.CUSTOMER_ROW]
    assert len(loss.customers) == lines[lines[c.CUSTOMER_ROW].isin(known)][c.ORDER_ROW].nunique()
    assert loss.values[OURS].mean() < loss.values["shop's histogram"].mean()
