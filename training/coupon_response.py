"""Coupon response: the chance that a customer redeems an offer, given that it is sent to them.

Learned from what was sent and had ended; features are as of the sending (groups/customer_offers.sql). It says who
redeems, not whom an offer wins: those who received one were chosen, so that lift needs randomized arms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from features import columns as c
from features.asof import Moment
from training import metrics
from training.blend import Blend, BlendConfig, fit_blend
from training.comparison import (
    Contest,
    auc_rows,
    contest_calibration,
    iso_days,
    loss_rows,
    probability_figures,
    squared_error,
)
from training.examples import Examples, feature_columns
from training.history import WEEK_DAYS, History
from training.judge import Judgement
from training.logistic import LogisticConfig, LogisticModel, base_rate, fit_logistic
from training.offer_rows import described

MIN_EVENTS = 30
"""With fewer redemptions or refusals than this the past redemption rate stands alone."""

ANSWERS = (c.N_REDEEMED, c.IS_SENT, c.IS_OVER, c.IS_CURRENT, c.SENT_DAY)
"""What tells the outcome or the calendar, and is no feature."""

GROWING = (
    *(c.N_SENT_BEFORE, c.N_REDEEMED_BEFORE, c.N_REDEEMS_BEFORE, c.N_CUSTOMERS, c.N_BASKETS),
    *(c.TENURE_DAYS, c.N_PRODUCTS_OWNED, c.N_BASKETS_OWNED),
)
"""Totals that grow with the age of the source, or with how much is sent: what they meant before they don't mean now.
Shares of them are used."""

OF_THE_OFFER = (c.N_OFFER_PRODUCTS, c.OFFER_DAYS)
"""The same for all who got an offer: with a few dozen offers a model learns these offers by heart, not their kind."""

NOT_USED = frozenset((*ANSWERS, *GROWING, *OF_THE_OFFER))
PAST_RATE = (c.REDEEM_RATE, c.N_REDEEMED_BEFORE, c.N_SENT_BEFORE)
PLAIN = "past redemption rate logistic"
BASELINE = LogisticConfig(n_knots=0, inverse_penalty=1.0)
TASK = "redeemed, given sent"
NO_OFFERS = "coupon response: off, no `send` event of an offer is known"
CALIBRATION_BINS = 15


@dataclass(frozen=True)
class CouponResponseConfig:
    """Settings of the coupon response model; sendings of the latest `n_weeks` are learned from."""

    n_weeks: int = 52
    blend: BlendConfig = field(default_factory=BlendConfig)


@dataclass(frozen=True)
class FittedCouponResponse:
    """A fitted response model; without a blend it is switched off and predicts no rows."""

    config: CouponResponseConfig
    blend: Blend | None
    baselines: Mapping[str, LogisticModel]
    feature_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, `offer_row`, `p` for every customer and every offer that runs at `moment`.

        For an offer that they have, it is the chance as of its sending; else the chance if it were sent now.
        """
        offers = history.features("customer_offers", moment)
        return self._chances(history, offers, ~offers[c.IS_OVER].astype(bool))

    def response(self, history: History, moment: Moment) -> pd.DataFrame:
        """Return `customer_row`, `p`: the chance of an answer to an offer of the kind now common, by customer.

        It is the mean over the offers that run at `moment` and the five that began last.
        """
        offers = history.features("customer_offers", moment)
        chances = self._chances(history, offers, offers[c.IS_CURRENT].astype(bool))
        return chances.groupby(c.CUSTOMER_ROW)[c.P].mean().reset_index()

    def _chances(self, history: History, offers: pd.DataFrame, chosen: pd.Series[bool]) -> pd.DataFrame:
        """Return the chances of the chosen rows, offer by offer, so that memory does not grow with their number."""
        rows = offers[chosen].sort_values([c.OFFER_ROW, c.CUSTOMER_ROW]) if self.blend is not None else offers.head(0)
        chances = [
            self.blend.predict(described(history, part, offers))
            for _, part in rows.groupby(c.OFFER_ROW)
            if self.blend is not None
        ]
        said = rows[[c.CUSTOMER_ROW, c.OFFER_ROW]].assign(**{c.P: np.concatenate([np.zeros(0), *chances])})
        return said.sort_values([c.CUSTOMER_ROW, c.OFFER_ROW], ignore_index=True)

    @property
    def importance(self) -> dict[str, float]:
        """Return what it looks at, and how much."""
        return {} if self.blend is None else self.blend.importance

    def artifacts(self) -> dict[str, str]:
        """Return the files that hold the whole model."""
        return {} if self.blend is None else self.blend.artifacts(self.notes)


class CouponResponseModel:
    """Learns from the offers that were sent and had ended."""

    name: ClassVar[str] = "coupon_response"

    def __init__(self, config: CouponResponseConfig) -> None:
        self.config = config

    def fit(self, history: History) -> FittedCouponResponse:
        """Return the fitted model; without offers sent it is off, with few redemptions it is the past rate."""
        offers = history.features("customer_offers", history.known_until)
        if not offers[c.IS_SENT].any():
            return FittedCouponResponse(self.config, None, {}, (), (NO_OFFERS,))
        latest = offers[c.SENT_DAY] >= history.known_until.day - self.config.n_weeks * WEEK_DAYS
        examples = ended_examples(history, offers, chosen=latest)
        baselines = {
            PLAIN: fit_logistic(examples.features, examples.labels, PAST_RATE, BASELINE),
            "same for all": base_rate(examples.labels),
        }
        rare = min(examples.n_positive, len(examples) - examples.n_positive)
        if rare < MIN_EVENTS:
            note = (
                f"coupon response: {rare} of the rarer outcome in {len(examples)} sendings, under {MIN_EVENTS}: {PLAIN}"
            )
            return FittedCouponResponse(self.config, Blend(baselines[PLAIN]), baselines, PAST_RATE, (note,))
        names = tuple(name for name in feature_columns(examples.features) if name not in NOT_USED)
        return FittedCouponResponse(self.config, fit_blend(examples, names, self.config.blend), baselines, names)


def ended_examples(history: History, offers: pd.DataFrame, *, chosen: pd.Series[bool] | None = None) -> Examples:
    """Return what was sent and had ended, labelled 1 where it was redeemed, from the `customer_offers` group.

    All of it, or the rows of `offers` that are `chosen`.
    """
    is_known = offers[c.IS_SENT].astype(bool) & offers[c.IS_OVER].astype(bool)
    ended = offers[is_known if chosen is None else is_known & chosen]
    rows = described(history, ended, offers).reset_index(drop=True)
    labels = np.asarray(rows[c.N_REDEEMED] > 0, dtype=np.float64)
    return Examples(rows, labels, rows[c.CUSTOMER_ROW].to_numpy(dtype=np.int64))


def evidence(fitted: Mapping[Moment, FittedCouponResponse], history: History) -> Contest | None:
    """Return what each model said of the offers sent from its cutoff up to the next one, where these had ended.

    None when there is no such offer, or no model.
    """
    offers = history.features("customer_offers", history.known_until)
    parts = []
    moments = sorted(fitted)
    for moment, following in zip(moments, [*moments[1:], None], strict=True):
        model = fitted[moment]
        until = history.known_until.day if following is None else following.day
        later = (offers[c.SENT_DAY] >= moment.day) & (offers[c.SENT_DAY] < until)
        at = ended_examples(history, offers, chosen=later)
        if model.blend is None or len(at) == 0:
            continue
        baselines = {name: each.predict(at.features) for name, each in model.baselines.items()}
        ours = model.blend.predict(at.features)
        parts.append(Contest(CouponResponseModel.name, TASK, ours, baselines, at.labels, at.customers))
    return Contest.pooled(parts) if parts else None


def judge(fitted: Mapping[Moment, FittedCouponResponse], history: History) -> Judgement:
    """Return the judgement of models by the cutoff that each had learned up to; empty when no later offer had ended."""
    contest = evidence(fitted, history)
    notes = sorted({note for model in fitted.values() for note in model.notes})
    if contest is None:
        none = "coupon response: no offer was sent after a cutoff and had ended: not judged"
        return Judgement(CouponResponseModel.name, iso_days(fitted), (), (), (*notes, none))
    rows = auc_rows(contest, is_primary=True)
    rows += loss_rows(contest, "brier", squared_error, is_primary=False)
    rows += loss_rows(contest, "log_loss", metrics.log_losses, is_primary=False)
    calibration = contest_calibration(contest, bins=CALIBRATION_BINS)
    return Judgement(CouponResponseModel.name, iso_days(fitted), tuple(rows), (calibration,), tuple(notes))


def figures(fitted: Mapping[Moment, FittedCouponResponse], history: History) -> dict[str, Figure]:
    """Return the pictures of the judgement, and what the latest model looks at; nothing when there is no evidence."""
    contest = evidence(fitted, history)
    return {} if contest is None else probability_figures(contest, fitted[max(fitted)].importance)
