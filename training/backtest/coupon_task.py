"""Who redeems an offer that was sent to them: every offer of the last part of the source that had ended by its end.

Each is told by a model that had learned only from offers that had ended when it began, at that moment: one task over
all these moments, where other tasks have a cutoff. The chances are those that the offer's place in a bundle holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment, local_midnight
from training.backtest import score_peers
from training.backtest.observation import OURS, Findings
from training.backtest.score_rows import chance_observations
from training.backtest.task import Served, Task
from training.coupon_response import CouponResponseModel, ended_examples
from training.examples import Examples
from training.history import History
from training.peers import recency_frequency

FloatArray = npt.NDArray[np.float64]

TASK = "offer redeemed, given sent"
RECENCY_FREQUENCY, PAST_RATE = "recency-frequency logistic", "past redemption rate logistic"
MOST_OFFERS = 10
LATEST_SHARE = 0.6
"""Offers are judged that began in this last part of the source: those before are for tuning."""


@dataclass(frozen=True)
class Sent:
    """An offer of which it is known who redeemed it: its row, and the moment just after it was sent."""

    offer_row: int
    moment: Moment


def observe(served: Served) -> Findings:
    """Return how well the chances tell who redeems, over all offers that are judged."""
    sent = judged_offers(served.history)
    if not sent:
        return Findings(notes=(f"{TASK}: no offer was sent and had ended, with others that had ended before it",))
    model = CouponResponseModel(served.models["coupon_response"].config)
    offers = served.history.features("customer_offers", served.history.known_until)
    chosen = offers[c.OFFER_ROW].isin([each.offer_row for each in sent])
    outcomes = ended_examples(served.history, offers, chosen=chosen)
    parts = [_told(model, served.history, each, outcomes) for each in sent]
    rows = _concat([part for part, _ in parts])
    names = {OURS, RECENCY_FREQUENCY, PAST_RATE}
    chances = {name: np.concatenate([told[name] for _, told in parts]) for name in sorted(names, key=(OURS,).count)}
    found = chance_observations(TASK, chances, rows, statistics=[("ROC AUC", "auc"), ("PR AUC", "pr_auc")])
    note = f"{TASK}: {len(sent)} offers, {int(rows.labels.sum())} of {len(rows)} sendings redeemed"
    return Findings(found, notes=(note,))


def judged_offers(history: History, most: int = MOST_OFFERS) -> list[Sent]:
    """Return the latest offers that had ended by what `history` knows, of those that began in its last part.

    Only offers before which another one had ended: there is nothing to learn from otherwise. Earliest first.
    """
    tables = history.tables
    offers = tables.read("offers", [c.OFFER_ROW, c.STARTS_US, c.ENDS_US]).dropna()
    known = history.known_until
    span = known.day - tables.first_day
    earliest = local_midnight(known.day - int(LATEST_SHARE * span), tables.time_zone)
    ended = offers[offers[c.ENDS_US] <= known.us].sort_values([c.STARTS_US, c.OFFER_ROW])
    first_end = ended[c.ENDS_US].min()
    late = ended[(ended[c.STARTS_US] >= earliest.us) & (ended[c.STARTS_US] >= first_end)]
    return [
        Sent(int(row), _just_after(int(start), tables.time_zone))
        for row, start in zip(late[c.OFFER_ROW].tail(most), late[c.STARTS_US].tail(most), strict=True)
    ]


def _just_after(us: int, time_zone: str) -> Moment:
    """Return the moment after what happens at `us`: who was sent the offer is known then, and nothing else is new."""
    local = pd.Timestamp(us, unit="us", tz="UTC").tz_convert(time_zone)
    return Moment(us + 1, local.date().toordinal() - pd.Timestamp(0).date().toordinal())


def _told(
    model: CouponResponseModel, history: History, sent: Sent, outcomes: Examples
) -> tuple[Examples, dict[str, FloatArray]]:
    """Return who was sent the offer with what they did, and the chance that each ranker gave to it."""
    known = history.until(sent.moment)
    fitted = model.fit(known)
    rows = outcomes.only((outcomes.features[c.OFFER_ROW] == sent.offer_row).to_numpy(dtype=np.bool_))
    said = fitted.predict(known, sent.moment)
    of_offer = said[said[c.OFFER_ROW] == sent.offer_row].set_index(c.CUSTOMER_ROW)[c.P]
    learned = score_peers.offers_learned(known, sent.moment)
    chances = {OURS: of_offer.reindex(rows.customers).to_numpy(dtype=np.float64)}
    config = score_peers.settings(recency_frequency.RecencyFrequencyConfig, "recency_frequency-offers")
    for name, columns in (
        (RECENCY_FREQUENCY, recency_frequency.OFFERS),
        (PAST_RATE, (c.REDEEM_RATE, c.N_REDEEMED_BEFORE, c.N_SENT_BEFORE)),
    ):
        chances[name] = score_peers.logistic(learned, columns, config).predict(rows.features)
    return rows, chances


def _concat(parts: list[Examples]) -> Examples:
    return Examples(
        pd.concat([part.features for part in parts], ignore_index=True),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.customers for part in parts]),
    )


OFFERS = Task("offers", "Scores", 1, 1, ("coupon_response",), observe)
