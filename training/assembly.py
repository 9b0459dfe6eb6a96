"""From fitted models to what a bundle holds, as of one moment: the same steps for tonight and for past weeks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from features import columns as c
from features.asof import Moment, at_utc
from features.catalogue import catalogue_digest
from serving.bundle import BundleContents
from serving.bundle_format import BundleArrays, Factors
from serving.decisioning.policy import parse_policy
from serving.manifest import Available, BundleMeta
from serving.numbers import Numbers
from training.habit_details import habit_details
from training.history import WEEK_DAYS, History
from training.learners import HABIT_PRODUCT, HABIT_TYPE
from training.lifetime_value import customer_scores
from training.product_factors import fold_in_config, no_factors, product_factors
from training.profile import best_channels, engagement_tiers, tier_cuts
from training.publish import P_SHOP, Predictions, Publisher
from training.publish_catalogue import Catalogue
from training.publish_offers import leaving
from training.windows import population_shares

Models = Mapping[str, Any]  # Any: each part knows the fitted class that it needs


_COLUMNS = {
    HABIT_TYPE: (c.CUSTOMER_ROW, c.TYPE_ROW, c.P7),
    HABIT_PRODUCT: (c.CUSTOMER_ROW, c.PRODUCT_ROW, c.P7),
    "next_purchase": (c.CUSTOMER_ROW, *P_SHOP, c.EXPECTED_DAYS),
    "stretch": (c.CUSTOMER_ROW, c.CATEGORY_ROW, c.P28, c.P7, c.SOURCE_CATEGORY_ROW, c.LIFT),
    "discover": (c.CUSTOMER_ROW, c.PRODUCT_ROW, c.P28, c.P7),
    "also_bought": (c.PRODUCT_ROW, c.OTHER_ROW, c.SCORE, c.LIFT, c.SUPPORT),
    "substitutes": (c.PRODUCT_ROW, c.OTHER_ROW, c.SCORE),
    "churn": (c.CUSTOMER_ROW, c.CHURN_PROBABILITY),
    "propensity": (c.CUSTOMER_ROW, c.CATEGORY_ROW, c.P28),
    "lifetime_value": (c.CUSTOMER_ROW, c.VALUE_MEAN, c.VALUE_MEDIAN),
    "segments": (c.CUSTOMER_ROW, c.SEGMENT),
    "best_hour": (c.CUSTOMER_ROW, c.BEST_HOUR),
    "coupon_response": (c.CUSTOMER_ROW, c.OFFER_ROW, c.P),
}
"""What each model says in a bundle: the columns of its predictions."""

FACTORS = "factors"
EVERYTHING = (*_COLUMNS, FACTORS)
FOR_CHALLENGE = (HABIT_TYPE, "next_purchase", "stretch")
"""Whose predictions a challenge needs; `discover` chooses the products of a stretch without predicting."""


@dataclass(frozen=True)
class Assembly:
    """Fitted models and what they are to be published with; `models` may lack those that `says` leaves out."""

    models: Models
    policy_text: str
    says: tuple[str, ...] = EVERYTHING
    """Whose predictions go in; the arrays of the others stay empty."""

    def arrays(self, history: History, moment: Moment) -> BundleArrays:
        """Return all the arrays of a bundle as of `moment`."""
        lists = parse_policy(self.policy_text).lists
        catalogue = Catalogue(history, moment, lists)
        return Publisher(history, moment, catalogue).arrays(self._predictions(history, moment))

    def contents(self, history: History, moment: Moment, numbers: Numbers, **about: Any) -> BundleContents:
        """Return a bundle as of `moment`; `about` are further fields of its manifest (metrics, recipe)."""
        arrays = self.arrays(history, moment)
        return BundleContents(
            **{name: getattr(arrays, name) for name in arrays.__dataclass_fields__},
            meta=_meta(history, moment, self.policy_text, about),
            numbers=numbers,
            policy_text=self.policy_text,
            models=self._texts(),
        )

    def _predictions(self, history: History, moment: Moment) -> Predictions:
        """Return what the models say; of a model that is not there, nothing."""
        said = {name: self.models[name].predict(history, moment) for name in self.says if name in _COLUMNS}
        said |= {name: _without_rows(columns) for name, columns in _COLUMNS.items() if name not in said}
        best = _without_rows(_BEST_COLUMNS)
        if "discover" in self.models:
            best = self.models["discover"].best_products(history, moment, said["stretch"])
        return Predictions(
            habit=said[HABIT_TYPE],
            habit_details=habit_details(history, moment, "type"),
            again=said[HABIT_PRODUCT],
            again_details=self._product_details(history, moment),
            shop=said["next_purchase"],
            stretch=said["stretch"],
            stretch_products=best,
            discover=said["discover"],
            also=said["also_bought"],
            substitutes=said["substitutes"],
            churn=said["churn"],
            propensity=said["propensity"],
            value=said["lifetime_value"],
            profile=_profile(said, history, moment),
            factors=self._factors(history, moment),
            response=said["coupon_response"] if "coupon_response" in self.says else None,
        )

    def _factors(self, history: History, moment: Moment) -> Factors:
        n_products = len(history.tables.read("products", [c.PRODUCT_ROW]))
        if FACTORS not in self.says:
            return no_factors(n_products)
        return product_factors(history, moment, n_products, fold_in_config())

    def _product_details(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return what is known of every product bought before; nothing where no product is predicted."""
        if HABIT_PRODUCT in self.says:
            return habit_details(history, moment, "product")
        return _without_rows((c.CUSTOMER_ROW, c.PRODUCT_ROW, c.DUE_DAY, c.LAST_DAY, c.GAP_DAYS, c.QUANTITY, c.N))

    def _texts(self) -> dict[str, str]:
        return {
            f"{name}.{file}": text for name, model in self.models.items() for file, text in model.artifacts().items()
        }


def _without_rows(columns: tuple[str, ...]) -> pd.DataFrame:
    rows = {name: np.int32 for name in columns if name.endswith("_row")}
    return pd.DataFrame({name: pd.Series(dtype=rows.get(name, np.float64)) for name in columns})


_BEST_COLUMNS = (c.CUSTOMER_ROW, c.CATEGORY_ROW, c.PRODUCT_ROW, c.RANK)


def _profile(said: Mapping[str, pd.DataFrame], history: History, moment: Moment) -> pd.DataFrame:
    """Return score, segment, tier, channel and hour of every customer."""
    customers = history.features("customers", moment)
    profile = customers[[c.CUSTOMER_ROW]]
    scores = customer_scores(said["lifetime_value"], said["churn"], customers)
    tiers, channels = engagement_tiers(history, moment), best_channels(history, moment)
    for each in (scores, said["segments"], tiers, channels, said["best_hour"]):
        profile = profile.merge(each, on=c.CUSTOMER_ROW, how="left")
    return profile


def numbers_of(models: Models, history: History, completion: Mapping[str, float]) -> Numbers:
    """Return the calibrations that travel in a bundle: window conversions, and the joint chance's coefficients.

    Where the models lack the one that a conversion comes from, all days are alike.
    """
    plain = Numbers.plain()
    return Numbers(
        habit_window=models[HABIT_TYPE].windows if HABIT_TYPE in models else plain.habit_window,
        stretch_window=models["stretch"].windows if "stretch" in models else plain.stretch_window,
        population_window=_population_window(history),
        completion=completion,
        population_completion=population_completion(history),
        fold_in=fold_in_config().numbers,
        leaving=leaving(history, history.known_until),
        tiers=tier_cuts(history.features("customers", history.known_until)),
    )


def _population_window(history: History) -> tuple[float, ...]:
    """Return which share of a week's first purchases of a type falls in its first h days, from the latest weeks."""
    days = [np.zeros(0)]
    for moment in history.cutoff_before(WEEK_DAYS, 4):
        lines = history.purchases_after(moment, WEEK_DAYS)
        first = lines[lines[c.IS_PURCHASE]].groupby([c.CUSTOMER_ROW, c.TYPE_ROW])[c.DAY_OFFSET].min()
        days.append(first.to_numpy(dtype=np.float64))
    return population_shares(np.concatenate(days))


def population_completion(history: History) -> float:
    """Return the share of customers who bought in all three most popular categories within one of the latest weeks.

    The share is of those active in the four weeks before; half a completion is added, so that it is never 0.
    """
    n_done, n_seen = 0.5, 1.0
    for moment in history.cutoff_before(WEEK_DAYS, 4):
        categories = history.features("categories", moment, [c.CATEGORY_ROW, c.WEEKLY_RATE])
        top = categories.nlargest(3, c.WEEKLY_RATE)[c.CATEGORY_ROW]
        customers = history.features("customers", moment, [c.CUSTOMER_ROW, c.RECENCY_DAYS])
        active = customers.loc[customers[c.RECENCY_DAYS] <= 4 * WEEK_DAYS, c.CUSTOMER_ROW]
        lines = history.purchases_after(moment, WEEK_DAYS)
        bought = lines[lines[c.IS_PURCHASE] & lines[c.CATEGORY_ROW].isin(top) & lines[c.CUSTOMER_ROW].isin(active)]
        n_each = bought.groupby(c.CUSTOMER_ROW)[c.CATEGORY_ROW].nunique()
        n_done += float((n_each == 3).sum())
        n_seen += len(active)
    return float(min(n_done / n_seen, 1.0))


def _meta(history: History, moment: Moment, policy_text: str, about: Mapping[str, Any]) -> BundleMeta:
    tables = history.tables
    return BundleMeta(
        as_of=at_utc(moment.us),
        as_of_day=moment.day,
        time_zone=tables.time_zone,
        currency=tables.currency or parse_policy(policy_text).shop.currency,
        source_name=tables.source_name,
        catalogue_digest=catalogue_digest(),
        created_by=f"tercet {version('tercet')}",
        has=Available(
            types=tables.has_types,
            categories=tables.has_categories,
            prices=tables.has_prices,
            hours=tables.has_hours,
            amounts=tables.has_amounts,
        ),
        switched_off=tables.switched_off,
        **about,
    )
