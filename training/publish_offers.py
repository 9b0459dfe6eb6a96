"""The part of a bundle about offers (serving/bundle_offers.py): what they are, who answers them, what was sent.

Offers are those of the table that have not ended, also those that begin later: a plan is known beforehand. What
happened is as of the moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from serving import bundle_offers as form
from serving.channels import CHANNELS
from serving.shares import Shares
from serving.strings import StringTable
from training import profile
from training.history import History
from training.publish_catalogue import Catalogue
from training.ragged import offsets_of

PRIOR_CHANCE, PRIOR_SENDINGS = 0.05, 10.0
"""What is believed of an offer before any was sent: one in twenty redeems it, as if ten sendings had said so."""

UNKNOWN = -1
DAYS_US = 86_400_000_000.0
WITHOUT_END_DAYS = 28.0
"""How long an offer without an end is taken to run, to say how much of its time has passed."""

Owners = Callable[[pd.DataFrame], pd.DataFrame]
"""What keeps the customers of the bundle in a frame, with the bundle's rows in place of the tables'."""


@dataclass(frozen=True)
class OfferArrays:
    """The groups about offers as of `moment`. `responses` has customer_row, offer_row, p of the tables' rows."""

    history: History
    moment: Moment
    catalogue: Catalogue
    owners: Owners
    n_customers: int
    responses: pd.DataFrame

    def groups(self) -> dict[str, Any]:  # Any: groups of several classes
        """Return all groups by name."""
        offer, product = self._pairs
        n_products = len(self.catalogue.frame)
        order = np.lexsort((offer, product))
        return {
            "offers": self._offers(),
            "offer_products": form.OfferProducts(offsets_of(offer, len(self.frame)), product),
            "product_offers": form.ProductOffers(offsets_of(product[order], n_products), offer[order]),
            "response": self._responses(),
            "redeemed": self._redeemed(),
            "sends": self._sends(),
            "contacts": self._contacts(),
        }

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Return the offers of the bundle, in row order."""
        offers = self.history.tables.read("offers").sort_values(c.OFFER_ROW, ignore_index=True)
        is_over = offers[c.ENDS_US].notna() & (offers[c.ENDS_US] <= self.moment.us)
        return offers[~is_over].reset_index(drop=True)

    @cached_property
    def _value(self) -> npt.NDArray[np.float64]:
        """Return what each offer takes off: as the table says, else as its redemptions did, or all did, else NaN."""
        redeemed = self.history.features("customer_redemptions", self.moment)
        sums = redeemed.groupby(c.OFFER_ROW)[[c.TAKEN_OFF, c.N_VALUED]].sum()
        n_valued = float(sums[c.N_VALUED].sum())
        of_all = float(sums[c.TAKEN_OFF].sum()) / n_valued if n_valued else np.nan
        own = (sums[c.TAKEN_OFF] / sums[c.N_VALUED].where(sums[c.N_VALUED] > 0)).clip(lower=0.0)
        learned = self.frame[c.OFFER_ROW].map(own).astype(np.float64).fillna(max(of_all, 0.0) if n_valued else np.nan)
        value = self.frame[c.VALUE].astype(np.float64).fillna(learned)
        return np.asarray(value, dtype=np.float64)

    @cached_property
    def chance(self) -> npt.NDArray[np.float32]:
        """Return the share of those who got each offer that redeem it, drawn to that of all offers.

        Of an offer that runs, as many sendings count as the share of its days that has passed: the others may yet
        redeem it.
        """
        sent = self.history.features("customer_offers", self.moment)
        sent = sent[sent[c.IS_SENT].astype(bool)]
        n_redeemed = (sent[c.N_REDEEMED] > 0).groupby(sent[c.OFFER_ROW]).sum().astype(np.float64)
        n_sent = sent.groupby(c.OFFER_ROW).size().astype(np.float64) * self._passed().reindex(n_redeemed.index)
        n_sent = n_sent.clip(lower=n_redeemed)
        of_all = (n_redeemed.sum() + PRIOR_CHANCE * PRIOR_SENDINGS) / (n_sent.sum() + PRIOR_SENDINGS)
        of_each = (n_redeemed + of_all * PRIOR_SENDINGS) / (n_sent + PRIOR_SENDINGS)
        chance = self.frame[c.OFFER_ROW].map(of_each).astype(np.float64).fillna(of_all)
        return chance.to_numpy(dtype=np.float32)

    def _passed(self) -> pd.Series:
        """Return which share of each offer's days lies before the moment, 0 to 1, by offer_row."""
        offers = self.history.tables.read("offers").set_index(c.OFFER_ROW)
        starts = offers[c.STARTS_US].astype(np.float64)
        ends = offers[c.ENDS_US].astype(np.float64).fillna(starts + WITHOUT_END_DAYS * DAYS_US)
        shares: pd.Series = ((self.moment.us - starts) / (ends - starts).clip(lower=1.0)).clip(0.0, 1.0).fillna(1.0)
        return shares

    def _offers(self) -> form.Offers:
        frame = self.frame
        cost = frame[c.COST].astype(np.float64).fillna(pd.Series(self._value, index=frame.index))
        return form.Offers(
            id=StringTable.of(frame[c.OFFER_ID].tolist()),
            kind=StringTable.of(frame[c.KIND].tolist()),
            value=self._value.astype(np.float32),
            cost=cost.to_numpy(dtype=np.float32),
            budget=frame[c.BUDGET].astype(np.float64).to_numpy(dtype=np.float32),
            starts_us=_times(frame[c.STARTS_US], form.OPEN_START_US),
            ends_us=_times(frame[c.ENDS_US], form.OPEN_END_US),
            channels=np.array([_channel_bits(text) for text in frame[c.CHANNELS]], dtype=np.uint8),
            chance=self.chance,
        )

    @cached_property
    def _pairs(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return the places of offers and the rows of the recommendable products that they are for, by both."""
        products = self.catalogue.frame[[c.PRODUCT_ROW, c.CATEGORY_ROW, c.DEPARTMENT]]
        products = products[self.catalogue.is_recommendable]
        listed = self.history.tables.read("offer_products")
        categories = self.history.tables.read("categories", [c.CATEGORY_ROW, c.CATEGORY])
        by_category = self.frame[[c.OFFER_ROW, c.CATEGORY]].dropna().merge(categories, on=c.CATEGORY)
        by_department = self.frame[[c.OFFER_ROW, c.DEPARTMENT]].dropna()
        found = [
            listed.merge(products, on=c.PRODUCT_ROW),
            by_category.merge(products, on=c.CATEGORY_ROW),
            by_department.merge(products, on=c.DEPARTMENT),
        ]
        pairs = pd.concat([each[[c.OFFER_ROW, c.PRODUCT_ROW]] for each in found])
        place = _places(self.frame[c.OFFER_ROW], pairs[c.OFFER_ROW])
        pairs = pairs.assign(**{c.OFFER_ROW: place})[place != UNKNOWN].drop_duplicates()
        pairs = pairs.sort_values([c.OFFER_ROW, c.PRODUCT_ROW])
        return pairs[c.OFFER_ROW].to_numpy(dtype=np.int32), pairs[c.PRODUCT_ROW].to_numpy(dtype=np.int32)

    def _responses(self) -> form.Responses:
        """Return the chance of every customer for every offer; where the model says nothing, the offer's own.

        Of an offer that begins later it says nothing yet: there it is the mean of the customer's others.
        Linear in customers × offers, built in place.
        """
        n_offers = len(self.frame)
        p = np.tile(self.chance, (self.n_customers, 1))
        said = self.owners(self.responses)
        place = _places(self.frame[c.OFFER_ROW], said[c.OFFER_ROW])
        is_here = place != UNKNOWN
        rows, chances = said[c.CUSTOMER_ROW].to_numpy(), said[c.P].to_numpy(dtype=np.float32)
        n_said = np.bincount(rows, minlength=self.n_customers)
        usual = np.bincount(rows, chances, minlength=self.n_customers) / np.maximum(n_said, 1)
        is_later = (self.frame[c.STARTS_US].fillna(self.moment.us - 1) >= self.moment.us).to_numpy(dtype=bool)
        p[np.ix_(n_said > 0, is_later)] = usual[n_said > 0, None]
        p[rows[is_here], place[is_here]] = chances[is_here]
        return form.Responses(
            offsets=np.arange(self.n_customers + 1, dtype=np.int64) * n_offers,
            offer=np.tile(np.arange(n_offers, dtype=np.int32), self.n_customers),
            p=Shares.of(np.clip(p, 0.0, 1.0).reshape(-1)),
        )

    def _redeemed(self) -> form.Redeemed:
        frame = self.owners(self.history.features("customer_redemptions", self.moment))
        place = _places(self.frame[c.OFFER_ROW], frame[c.OFFER_ROW])
        frame = frame.assign(**{c.OFFER_ROW: place})[place != UNKNOWN]
        frame = frame.sort_values([c.CUSTOMER_ROW, c.OFFER_ROW])
        offsets = offsets_of(frame[c.CUSTOMER_ROW].to_numpy(), self.n_customers)
        return form.Redeemed(offsets, frame[c.OFFER_ROW].to_numpy(dtype=np.int32))

    def _sends(self) -> form.Sends:
        frame = self.owners(self.history.features("customer_sends", self.moment))
        place = _places(self.frame[c.OFFER_ROW], frame[c.OFFER_ROW].astype(np.float64).fillna(UNKNOWN))
        order = np.lexsort((frame[c.PLACE].to_numpy(), frame[c.CUSTOMER_ROW].to_numpy()))
        frame, place = frame.iloc[order], place[order]
        return form.Sends(
            offsets=offsets_of(frame[c.CUSTOMER_ROW].to_numpy(), self.n_customers),
            channel=_channel_codes(frame[c.CHANNEL]),
            at_us=frame[c.AT_US].to_numpy(dtype=np.int64),
            offer=place,
            is_answered=frame[c.IS_ANSWERED].to_numpy(dtype=np.uint8),
        )

    def _contacts(self) -> form.Contacts:
        channels = self.owners(self.history.features("customer_channels", self.moment))
        codes = _channel_codes(channels[c.CHANNEL])
        by_channel = {name: self._by_channel(channels, codes, name) for name in (c.N_SENT, c.N_ANSWERED, c.N_LEFT)}
        redeemed = self.owners(self.history.features("customer_redemptions", self.moment))
        n_redeemed = np.bincount(
            redeemed[c.CUSTOMER_ROW].to_numpy(), redeemed[c.N_REDEEMED].to_numpy(), minlength=self.n_customers
        )
        bought = self.owners(self.history.features("customer_discounts", self.moment))
        everyone = self.owners(self.history.features("customers", self.moment))
        return form.Contacts(
            sent=by_channel[c.N_SENT],
            answered=by_channel[c.N_ANSWERED],
            left=by_channel[c.N_LEFT],
            n_sent=self._counts(everyone, c.N_SENT),
            n_answered=self._counts(everyone, *profile.ANSWERED),
            redeemed=n_redeemed.astype(np.int32),
            return_share=self._shares(bought, c.RETURNED_PIECE_SHARE),
            discount_share=self._shares(bought, c.DISCOUNT_SHARE_26W),
            discounted_lines=self._shares(bought, c.DISCOUNTED_LINE_SHARE),
        )

    def _by_channel(self, frame: pd.DataFrame, codes: npt.NDArray[np.int8], name: str) -> npt.NDArray[np.int32]:
        counts = np.zeros((self.n_customers, len(CHANNELS)), dtype=np.int32)
        is_ours = codes != form.NO_CHANNEL
        rows = frame[c.CUSTOMER_ROW].to_numpy()
        np.add.at(counts, (rows[is_ours], codes[is_ours]), frame[name].to_numpy(dtype=np.int32)[is_ours])
        return counts

    def _counts(self, frame: pd.DataFrame, *names: str) -> npt.NDArray[np.int32]:
        counts = np.zeros(self.n_customers, dtype=np.int32)
        counts[frame[c.CUSTOMER_ROW].to_numpy()] = frame[list(names)].sum(axis=1)
        return counts

    def _shares(self, frame: pd.DataFrame, name: str) -> npt.NDArray[np.float32]:
        shares = np.zeros(self.n_customers, dtype=np.float32)
        shares[frame[c.CUSTOMER_ROW].to_numpy()] = frame[name].astype(np.float64).fillna(0.0).clip(0.0, 1.0)
        return shares


def no_offers(n_customers: int, n_products: int) -> dict[str, Any]:  # Any: groups of several classes
    """Return the groups about offers of a shop that has none, and where nothing was sent."""
    none, names = np.zeros(0, dtype=np.int32), StringTable.of([])
    of_customers, shares = np.zeros(n_customers + 1, dtype=np.int64), np.zeros(n_customers, dtype=np.float32)
    counts, count = np.zeros((n_customers, len(CHANNELS)), dtype=np.int32), np.zeros(n_customers, dtype=np.int32)
    floats, times = np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int64)
    return {
        "offers": form.Offers(names, names, floats, floats, floats, times, times, np.zeros(0, dtype=np.uint8), floats),
        "offer_products": form.OfferProducts(np.zeros(1, dtype=np.int64), none),
        "product_offers": form.ProductOffers(np.zeros(n_products + 1, dtype=np.int64), none),
        "response": form.Responses(of_customers, none, Shares.of(floats)),
        "redeemed": form.Redeemed(of_customers, none),
        "sends": form.Sends(of_customers, np.zeros(0, dtype=np.int8), times, none, np.zeros(0, dtype=np.uint8)),
        "contacts": form.Contacts(counts, counts, counts, count, count, count, shares, shares, shares),
    }


def leaving(history: History, moment: Moment) -> dict[str, tuple[int, int]]:
    """Return for each channel how often anybody left it, and how many messages were sent there, before `moment`."""
    channels = history.features("customer_channels", moment)
    sums = (
        channels.assign(**{c.CHANNEL: channels[c.CHANNEL].str.lower()}).groupby(c.CHANNEL)[[c.N_LEFT, c.N_SENT]].sum()
    )
    sums = sums.reindex(list(CHANNELS), fill_value=0)
    return {
        str(channel): (int(n_left), int(n_sent))
        for channel, n_left, n_sent in zip(CHANNELS, sums[c.N_LEFT], sums[c.N_SENT], strict=True)
    }


def _places(rows: pd.Series, wanted: pd.Series) -> npt.NDArray[np.int32]:
    """Return the place of each wanted row among ascending `rows`, `UNKNOWN` where it is not among them."""
    known, asked = rows.to_numpy(dtype=np.int64), wanted.to_numpy(dtype=np.int64)
    if not len(known):
        return np.full(len(asked), UNKNOWN, dtype=np.int32)
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return np.where(known[place] == asked, place, UNKNOWN).astype(np.int32)


def _times(values: pd.Series, otherwise: int) -> npt.NDArray[np.int64]:
    """Return epoch microseconds; through integers only, as floats lose some of them."""
    return np.array([otherwise if pd.isna(each) else int(each) for each in values], dtype=np.int64)


def _channel_codes(names: pd.Series) -> npt.NDArray[np.int8]:
    """Return the place of each channel's name in `CHANNELS`, `NO_CHANNEL` where it is none of them."""
    places = {str(channel): place for place, channel in enumerate(CHANNELS)}
    codes = names.astype(object).str.lower().map(places).astype(np.float64).fillna(form.NO_CHANNEL)
    return np.asarray(codes, dtype=np.int8)


def _channel_bits(text: object) -> int:
    """Return the bits of the channels in a JSON list; all of them where the table names none."""
    names = json.loads(text) if isinstance(text, str) else []
    if not names:
        return form.ALL_CHANNELS
    named = {str(name).lower() for name in names}
    return sum(form.channel_bit(channel) for channel in CHANNELS if channel in named)
