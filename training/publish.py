"""From predictions to the arrays of a bundle (docs/architecture.md, part 5).

Everything here is as of one moment. Customers are those with a line, or a joining, before it; products are all of the
catalogue, since an answer may name any of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from features.ids import hash_ids
from serving import bundle_format as form
from serving.named_products import places_among
from serving.shares import DAY_STEPS, LIFT_STEPS, Shares, in_steps
from serving.strings import StringTable
from training.history import History
from training.publish_catalogue import Catalogue
from training.publish_offers import OfferArrays, no_offers
from training.ragged import best_of_each, offsets_of

RECENT_DAYS = 26 * 7
P_SHOP = tuple(f"p_shop_{h}" for h in range(1, 8))
UNKNOWN = -1

RowArray = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Predictions:
    """What the models say of every customer and product as of one moment (docs/architecture.md, part 4).

    Frames are keyed by dense rows of the tables. `habit_details` and `again_details` have due_day, last_day, gap_days,
    quantity and n for each customer and item. `stretch_products` has product_row and rank (1 is best) for each customer
    and category.
    """

    habit: pd.DataFrame
    habit_details: pd.DataFrame
    again: pd.DataFrame
    again_details: pd.DataFrame
    shop: pd.DataFrame
    stretch: pd.DataFrame
    stretch_products: pd.DataFrame
    discover: pd.DataFrame
    also: pd.DataFrame
    substitutes: pd.DataFrame
    churn: pd.DataFrame
    propensity: pd.DataFrame
    value: pd.DataFrame
    profile: pd.DataFrame
    """customer_row, customer_score, segment, engagement_tier, best_channel, best_hour; nulls where unknown."""
    factors: form.Factors
    response: pd.DataFrame | None
    """customer_row, offer_row, p, of the offers that run; None leaves everything about offers out."""


@dataclass(frozen=True)
class Publisher:
    """The arrays of one bundle, built part by part from what is known at `moment`."""

    history: History
    moment: Moment
    catalogue: Catalogue

    @cached_property
    def known(self) -> pd.DataFrame:
        """Return the customers of the bundle, in row order, with their features (null for those without a line)."""
        customers = self.history.tables.read("customers")
        features = self.history.features("customers", self.moment)
        known = customers.merge(features, on=c.CUSTOMER_ROW, how="left")
        has_joined = known[c.JOINED_US].notna() & (known[c.JOINED_US] < self.moment.us)
        return known[known[c.N_BASKETS].notna() | has_joined].sort_values(c.CUSTOMER_ROW, ignore_index=True)

    def owners(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a frame whose customer is in the bundle, with bundle rows in place of table rows."""
        rows = self.known[c.CUSTOMER_ROW].to_numpy()
        place = np.searchsorted(rows, frame[c.CUSTOMER_ROW].to_numpy())
        place = np.minimum(place, max(len(rows) - 1, 0))
        is_known = rows[place] == frame[c.CUSTOMER_ROW].to_numpy() if len(rows) else np.zeros(len(frame), dtype=bool)
        return frame.assign(**{c.CUSTOMER_ROW: place.astype(np.int32)})[is_known]

    def arrays(self, predictions: Predictions) -> form.BundleArrays:
        """Return all arrays of the bundle."""
        segments, tiers, channels = (_names(predictions.profile[name]) for name in _PROFILE_NAMES)
        catalogue, recent = self.catalogue, self._recent()
        return form.BundleArrays(
            customers=self._customers(predictions, (segments, tiers, channels)),
            segments=StringTable.of(segments),
            tiers=StringTable.of(tiers),
            channels=StringTable.of(channels),
            **self._habits(predictions),
            again=self._again(predictions),
            **self._new(predictions, recent),
            propensity=self._propensities(predictions.propensity),
            recent=recent,
            products=catalogue.products(),
            types=catalogue.types(),
            categories=catalogue.categories(),
            category_top=catalogue.category_top(),
            popular=catalogue.popular(),
            store_popular=catalogue.store_popular(),
            stores=catalogue.stores(),
            also=catalogue.also(predictions.also),
            substitute=catalogue.substitutes(predictions.substitutes),
            factors=predictions.factors,
            **self._offers(predictions.response),
        )

    def _offers(self, response: pd.DataFrame | None) -> dict[str, Any]:  # Any: groups of several classes
        n_customers = len(self.known)
        if response is None:
            return no_offers(n_customers, len(self.catalogue.frame))
        return OfferArrays(self.history, self.moment, self.catalogue, self.owners, n_customers, response).groups()

    def _customers(self, predictions: Predictions, names: tuple[list[str], ...]) -> form.Customers:
        known = self.known
        ids = known[c.CUSTOMER_ID].tolist()
        frame = known[[c.CUSTOMER_ROW]].copy()
        for each in (predictions.shop, predictions.churn, predictions.value, predictions.profile):
            frame = frame.merge(each, on=c.CUSTOMER_ROW, how="left", validate="one_to_one")
        shop = frame[list(P_SHOP)].to_numpy(dtype=np.float32)
        profile = [_codes(frame[name], each) for name, each in zip(_PROFILE_NAMES, names, strict=True)]
        return form.Customers(
            id=StringTable.of(ids),
            hash=hash_ids(ids),
            store=_rows(known[c.MAIN_STORE_ROW]),
            consent=_consents(known[c.CONSENT]),
            churn=_float(frame[c.CHURN_PROBABILITY], missing=_mean(frame[c.CHURN_PROBABILITY], 0.5)),
            next_days=_float(frame[c.EXPECTED_DAYS], missing=_mean(frame[c.EXPECTED_DAYS], 28.0)),
            value=_float(frame[c.VALUE_MEAN], missing=0.0),
            score=_float(frame[c.CUSTOMER_SCORE], missing=0.0),
            usual_price=_float(known[c.UNIT_PRICE_MEAN], missing=np.nan),
            private_label=_float(known[c.PRIVATE_LABEL_SHARE], missing=np.nan),
            healthy=self._healthy_shares(),
            p_shop=Shares.of(_or_mean(shop)),
            segment=profile[0],
            tier=profile[1],
            channel=profile[2],
            hour=frame[c.BEST_HOUR].astype(np.float64).fillna(UNKNOWN).to_numpy().astype(np.int8),
            n_baskets=known[c.N_BASKETS].fillna(0).to_numpy(dtype=np.int32),
        )

    def _healthy_shares(self) -> npt.NDArray[np.float32]:
        """Return the share of healthy products in each customer's purchases, NaN where none or no product says so."""
        wanted = [c.CUSTOMER_ROW, c.PRODUCT_ROW, c.N_BASKETS]
        bought = self.owners(self.history.features("customer_products", self.moment, wanted))
        n_known = len(self.known)
        owner = bought[c.CUSTOMER_ROW].to_numpy()
        n_bought = bought[c.N_BASKETS].to_numpy(dtype=np.float64)
        is_healthy = self.catalogue.is_healthy[bought[c.PRODUCT_ROW].to_numpy()]
        total = np.bincount(owner, weights=n_bought, minlength=n_known)
        healthy = np.bincount(owner, weights=n_bought * is_healthy, minlength=n_known)
        says_so = (total > 0) & self.catalogue.is_healthy.any()
        shares = np.divide(healthy, total, out=np.full(n_known, np.nan), where=says_so)
        return np.asarray(shares, dtype=np.float32)

    def _habits(self, predictions: Predictions) -> dict[str, Any]:  # Any: groups of two classes
        usual = self.catalogue.usual_products(self.history.features("customer_products", self.moment))
        frame = _with_details(self.owners(predictions.habit), self.owners(predictions.habit_details), c.TYPE_ROW)
        frame = frame.merge(self.owners(usual), on=[c.CUSTOMER_ROW, c.TYPE_ROW])
        frame = best_of_each(frame, c.CUSTOMER_ROW, c.P7, n=form.MAX_HABITS, ties=[c.TYPE_ROW])
        product = _rows(frame[c.PRODUCT_ROW])
        named = self.catalogue.named_by_type(product)
        habits = form.Habits(type=_rows(frame[c.TYPE_ROW]), place=named.places(product), **self._repeat(frame))
        return {"usual": form.UsualProducts(named.offsets, named.product), "habit": habits}

    def _again(self, predictions: Predictions) -> form.Again:
        frame = _with_details(self.owners(predictions.again), self.owners(predictions.again_details), c.PRODUCT_ROW)
        frame = frame[self.catalogue.is_recommendable[frame[c.PRODUCT_ROW].to_numpy()]]
        frame = best_of_each(frame, c.CUSTOMER_ROW, c.P7, n=form.MAX_AGAIN, ties=[c.PRODUCT_ROW])
        return form.Again(product=_rows(frame[c.PRODUCT_ROW]), **self._repeat(frame))

    def _repeat(self, frame: pd.DataFrame) -> dict[str, Any]:  # Any: arrays of several dtypes
        return {
            "offsets": offsets_of(frame[c.CUSTOMER_ROW].to_numpy(), len(self.known)),
            "p7": Shares.of(frame[c.P7]),
            "wait": in_steps(frame[c.DUE_DAY] - frame[c.LAST_DAY], DAY_STEPS, is_floor=True),
            "last_day": _rows(frame[c.LAST_DAY]),
            "gap": in_steps(frame[c.GAP_DAYS], DAY_STEPS),
            "quantity": frame[c.QUANTITY].clip(1, np.iinfo(np.int16).max).to_numpy(dtype=np.int16),
            "n": _rows(frame[c.N]),
        }

    def _new(self, predictions: Predictions, recent: form.RecentCategories) -> dict[str, Any]:  # Any: several classes
        """Return stretches and discoveries, and the novelties that both name."""
        stretches, best = self._stretches(predictions)
        discoveries = self._discoveries(predictions.discover)
        found = discoveries[c.PRODUCT_ROW].to_numpy(dtype=np.int64)
        novel = self.catalogue.named_by_category([found, best])
        owner, source = stretches[c.CUSTOMER_ROW].to_numpy(), _rows(stretches[c.SOURCE_CATEGORY_ROW])
        offsets = offsets_of(discoveries[c.CUSTOMER_ROW].to_numpy(), len(self.known))
        return {
            "novelty": form.Novelties(novel.offsets, novel.product),
            "stretch": form.Stretches(
                offsets=offsets_of(stretches[c.CUSTOMER_ROW].to_numpy(), len(self.known)),
                category=_rows(stretches[c.CATEGORY_ROW]),
                p7=Shares.of(stretches[c.P7]),
                place=novel.places(best),
                source=places_among(recent.offsets, recent.category, owner, source),
                lift=in_steps(stretches[c.LIFT], LIFT_STEPS),
            ),
            "discover": form.Discoveries.of(offsets, novel.rows(found), discoveries[c.P7]),
        }

    def _stretches(self, predictions: Predictions) -> tuple[pd.DataFrame, RowArray]:
        """Return the stretches of everyone, best first, and the rows of the best products of each, -1 pads."""
        frame = self.owners(predictions.stretch)
        frame = best_of_each(frame, c.CUSTOMER_ROW, c.P7, n=form.MAX_STRETCHES, ties=[c.CATEGORY_ROW])
        best = self.owners(predictions.stretch_products)
        best = best[best[c.RANK] <= form.N_STRETCH_PRODUCTS]
        wide = best.pivot_table(
            index=[c.CUSTOMER_ROW, c.CATEGORY_ROW], columns=c.RANK, values=c.PRODUCT_ROW, aggfunc="first"
        )
        wide = wide.reindex(columns=range(1, form.N_STRETCH_PRODUCTS + 1))
        products = wide.reindex(pd.MultiIndex.from_frame(frame[[c.CUSTOMER_ROW, c.CATEGORY_ROW]])).to_numpy(dtype=float)
        return frame, np.where(np.isnan(products), UNKNOWN, products).astype(np.int32)

    def _discoveries(self, predicted: pd.DataFrame) -> pd.DataFrame:
        frame = self.owners(predicted)
        frame = frame[self.catalogue.is_recommendable[frame[c.PRODUCT_ROW].to_numpy()]]
        return best_of_each(frame, c.CUSTOMER_ROW, c.P7, n=form.MAX_DISCOVERIES, ties=[c.PRODUCT_ROW])

    def _propensities(self, predicted: pd.DataFrame) -> form.Propensities:
        frame = self.owners(predicted)
        frame = best_of_each(frame, c.CUSTOMER_ROW, c.P28, n=form.MAX_PROPENSITIES, ties=[c.CATEGORY_ROW])
        offsets = offsets_of(frame[c.CUSTOMER_ROW].to_numpy(), len(self.known))
        return form.Propensities.of(offsets, _rows(frame[c.CATEGORY_ROW]), frame[c.P28])

    def _recent(self) -> form.RecentCategories:
        wanted = [c.CUSTOMER_ROW, c.CATEGORY_ROW, c.RECENCY_DAYS]
        frame = self.owners(self.history.features("customer_categories", self.moment, wanted))
        frame = frame[frame[c.RECENCY_DAYS] <= RECENT_DAYS].sort_values([c.CUSTOMER_ROW, c.CATEGORY_ROW])
        return form.RecentCategories(
            offsets=offsets_of(frame[c.CUSTOMER_ROW].to_numpy(), len(self.known)),
            category=_rows(frame[c.CATEGORY_ROW]),
        )


_PROFILE_NAMES = (c.SEGMENT, c.ENGAGEMENT_TIER, c.BEST_CHANNEL)


def _with_details(predicted: pd.DataFrame, details: pd.DataFrame, item: str) -> pd.DataFrame:
    return predicted.merge(details, on=[c.CUSTOMER_ROW, item], how="inner", validate="one_to_one")


def _names(values: pd.Series) -> list[str]:
    return sorted(set(values.dropna()))


def _codes(values: pd.Series, names: list[str]) -> npt.NDArray[np.int16]:
    return pd.Categorical(values, categories=names).codes.astype(np.int16)


def _rows(values: pd.Series) -> RowArray:
    return values.astype(np.float64).fillna(UNKNOWN).to_numpy().astype(np.int32)


def _float(values: pd.Series, missing: float | None = None) -> npt.NDArray[np.float32]:
    floats = values.astype(np.float64)
    return (floats if missing is None else floats.fillna(missing)).to_numpy(dtype=np.float32)


def _or_mean(chances: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return chances with each column's mean where one is not known; zeros where none is."""
    is_known = ~np.isnan(chances)
    sums, n_known = np.where(is_known, chances, 0.0).sum(axis=0, dtype=np.float64), is_known.sum(axis=0)
    means = np.divide(sums, n_known, out=np.zeros(chances.shape[1]), where=n_known > 0)
    return np.where(is_known, chances, means).astype(np.float32)


def _mean(values: pd.Series, otherwise: float) -> float:
    mean = values.astype(np.float64).mean()
    return otherwise if np.isnan(mean) else float(mean)


def _consents(texts: pd.Series) -> npt.NDArray[np.uint8]:
    """Return what each customer agreed to, shape ``(n, 6)``; with a consent on record, a missing key is a no.

    A key that is null is unknown: they spoke of others only.
    """
    distinct = {text: _consent(text) for text in texts.dropna().unique()}
    unknown = [form.CONSENT_UNKNOWN] * len(form.CONSENT_KEYS)
    rows = [distinct.get(text, unknown) for text in texts]
    return np.array(rows, dtype=np.uint8).reshape(len(rows), len(form.CONSENT_KEYS))


def _consent(text: str) -> list[int]:
    given = json.loads(text)
    said = {True: form.CONSENT_YES, False: form.CONSENT_NO, None: form.CONSENT_UNKNOWN}
    return [said[given.get(key, False)] for key in form.CONSENT_KEYS]
