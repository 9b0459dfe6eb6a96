"""Scores of customers: who stays away, when they come next, what they spend; as `tercet batch scores` tells them.

Every line counts as a trip and as spend. Churn and the next trip are judged on customers active in the 56 days before,
spend on everyone who had bought. The one chance to stay away that is served is of 28 days; over 56 days it is judged as
what it is there, an order of customers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from training.backtest import score_peers
from training.backtest.cutoffs import judged_cutoffs
from training.backtest.observation import OURS, Findings, Observation
from training.backtest.score_peers import settings
from training.backtest.score_rows import asked_only, chance_observations, said
from training.backtest.task import Served, Task
from training.comparison import absolute_error
from training.examples import Examples
from training.history import History
from training.lifetime_value import examples_at as spend_examples
from training.peers import bg_nbd, linear_spend, recency_frequency, weibull_aft

FloatArray = npt.NDArray[np.float64]

CHURN_28, CHURN_56 = "churn, 28 days", "churn, 56 days"
NEXT_TRIP = "next trip"
SPEND = "spend in 84 days"
WEIBULL, RECENCY_FREQUENCY, RECENCY = "Weibull AFT", "recency-frequency logistic", "recency alone"
BG_NBD, GAMMA_GAMMA = "BG/NBD, 1 - P(alive)", "BG/NBD with Gamma-Gamma"
LINE, MEAN_LINE, LAST_SPEND = "linear, by median", "linear, by mean", "spend of the last 84 days"

WINDOW_DAYS, LONG_DAYS, SPEND_DAYS = 28, 56, score_peers.SPEND_DAYS
N_CHURN, N_CHURN_LONG, N_SPEND = 4, 3, 4
_DAY_SECONDS = 86_400.0


def observe_churn(served: Served, horizon_days: int = WINDOW_DAYS, task: str = CHURN_28) -> Findings:
    """Return how well the served chance to stay away tells who does, beside peers fitted for `horizon_days`."""
    rows = asked_only(score_peers.churn_rows(served.history, served.moment, horizon_days), served)
    if len(rows) == 0:
        return Findings(notes=(f"{task}: nobody was active in the {score_peers.ACTIVE_DAYS} days before",))
    chances = {OURS: said(served, "churn_probability", rows.customers), **churn_peers(served, rows, horizon_days)}
    if horizon_days != WINDOW_DAYS:
        return Findings([_auc(task, chances, rows)], notes=(f"{task}: tercet serves the chance of 28 days",))
    return Findings(chance_observations(task, chances, rows))


def observe_long_churn(served: Served) -> Findings:
    """Return the same over 56 days: how the served chance of 28 days puts customers in order."""
    return observe_churn(served, LONG_DAYS, CHURN_56)


def observe_next_trip(served: Served) -> Findings:
    """Return by how many days the told next trip is wrong, both capped at 28."""
    rows = asked_only(score_peers.trip_rows(served.history, served.moment, WINDOW_DAYS), served)
    if len(rows) == 0:
        return Findings(notes=(f"{NEXT_TRIP}: nobody was active in the {score_peers.ACTIVE_DAYS} days before",))
    own_gap = rows.features[c.GAP_MEAN_DAYS].to_numpy(dtype=np.float64, na_value=np.inf)
    left = own_gap - rows.features[c.RECENCY_DAYS].to_numpy(dtype=np.float64)
    days = {
        OURS: _served_days(served, rows.customers),
        "Weibull median": _weibull(served.known, WINDOW_DAYS, "weibull_aft-next_trip").median(rows.features),
        "own mean gap": np.maximum(left, 0.5),
    }
    told = np.isfinite(days[OURS])
    errors = {name: absolute_error(np.minimum(each, WINDOW_DAYS), rows.labels)[told] for name, each in days.items()}
    missed = Observation(NEXT_TRIP, "MAE, days", errors, rows.customers[told], higher_is_better=False)
    return Findings([missed])


def observe_spend(served: Served) -> Findings:
    """Return how far told spend is from what was spent, and how well it puts customers in order.

    The value that is served is the mean; absolute errors are judged by the model's own median, as the mean of skewed
    amounts can't have the smallest.
    """
    if not served.history.tables.has_amounts:
        return Findings(notes=(f"{SPEND}: the source has no amounts",))
    rows = asked_only(spend_examples(served.history, served.moment, score_peers.SPEND_ROWS), served)
    if len(rows) == 0:
        return Findings(notes=(f"{SPEND}: nobody had bought before",))
    median, mean = spend_peers(served, rows)
    told = served.models["lifetime_value"].predict(served.known, served.moment).set_index(c.CUSTOMER_ROW)
    ours_median = told[c.VALUE_MEDIAN].reindex(rows.customers).to_numpy(dtype=np.float64)
    ours = said(served, "lifetime_value_value", rows.customers)
    known = np.isfinite(ours)
    rows = rows.only(known)
    medians = {name: each[known] for name, each in ({OURS: ours_median} | median).items()}
    means = {name: each[known] for name, each in ({OURS: ours} | median | mean).items()}
    absolute = {name: absolute_error(each, rows.labels) for name, each in medians.items()}
    found = [
        Observation(SPEND, "MAE", absolute, rows.customers, higher_is_better=False),
        Observation(SPEND, "RMSE", means, rows.customers, "rmse", higher_is_better=False, outcomes=rows.labels),
        Observation(SPEND, "Spearman", medians, rows.customers, "spearman", outcomes=rows.labels),
    ]
    if served.moment == judged_cutoffs(served.history, SPEND_DAYS, N_SPEND)[-1]:
        found.append(Observation(SPEND, "normalised Gini", means, rows.customers, "gini", outcomes=rows.labels))
    note = f"{SPEND}: MAE and Spearman are of the model's median, the others of its mean, which is what is served"
    return Findings(found, notes=(note,))


def churn_peers(served: Served, rows: Examples, horizon_days: int) -> dict[str, FloatArray]:
    """Return the chance that each peer gives customers of staying away for `horizon_days`."""
    learned = score_peers.churn_learned(served.known, horizon_days)
    config = settings(recency_frequency.RecencyFrequencyConfig, "recency_frequency-churn")
    by_recency, by_both = (
        score_peers.logistic(learned, columns, config).predict(rows.features)
        for columns in ((c.RECENCY_DAYS,), recency_frequency.CUSTOMERS)
    )
    bg_nbd_settings = settings(bg_nbd.BgNbdConfig, "bg_nbd-churn")
    gone_for_good = score_peers.trips_of_all(served.known, served.moment, bg_nbd_settings)
    return {
        WEIBULL: _weibull(served.known, horizon_days, "weibull_aft-churn").survival(rows.features, horizon_days),
        RECENCY_FREQUENCY: by_both,
        RECENCY: by_recency,
        BG_NBD: 1.0 - gone_for_good.alive(bg_nbd.Trips.of(rows.features)),
    }


def spend_peers(served: Served, rows: Examples) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Return what the peers say each customer spends: those that answer any question, and those of a mean."""
    last = rows.features[c.SPEND_12W].to_numpy(dtype=np.float64, na_value=0.0)
    trips = settings(bg_nbd.BgNbdConfig, "bg_nbd-spend")
    worth = score_peers.trips_times_worth(served.known, served.moment, rows.features, trips)
    anything = {GAMMA_GAMMA: worth, LAST_SPEND: last}
    learned = score_peers.spend_learned(served.known)
    if len(learned) == 0:
        return anything, {}
    config = settings(linear_spend.LinearSpendConfig, "linear_spend-spend")
    median, mean = (score_peers.line(learned, rows.features, aim, config) for aim in ("median", "mean"))
    return {LINE: median} | anything, {MEAN_LINE: mean}


def _weibull(known: History, cap_days: int, name: str) -> weibull_aft.WeibullAft:
    """Return the model of days up to the cap, from customers who were active at earlier cutoffs."""
    config = settings(weibull_aft.WeibullConfig, name)
    return score_peers.weibull(score_peers.trips_learned(known, cap_days, config.n_cutoffs), cap_days, config)


def _served_days(served: Served, customers: npt.NDArray[np.int64]) -> FloatArray:
    """Return the days from the cutoff to the told next trip, ``(n,)``; NaN where none was told."""
    told = served.scores().set_index(c.CUSTOMER_ROW)["next_purchase_at"].reindex(customers)
    at = pd.to_datetime(told, utc=True, errors="coerce")
    days = (at - pd.Timestamp(served.moment.us, unit="us", tz="UTC")).dt.total_seconds() / _DAY_SECONDS
    return np.asarray(days.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _auc(task: str, chances: dict[str, FloatArray], rows: Examples) -> Observation:
    told = np.isfinite(chances[OURS])
    kept = {name: each[told] for name, each in chances.items()}
    return Observation(task, "ROC AUC", kept, rows.customers[told], "auc", outcomes=rows.labels[told])


CHURN = Task("churn", "Scores", WINDOW_DAYS, N_CHURN, ("churn",), observe_churn)
LONG_CHURN = replace(CHURN, name="churn-56", window_days=LONG_DAYS, n_cutoffs=N_CHURN_LONG, observe=observe_long_churn)
TRIP = Task("next-trip", "Scores", WINDOW_DAYS, N_CHURN, ("next_purchase",), observe_next_trip)
VALUE = Task("spend", "Scores", SPEND_DAYS, N_SPEND, ("lifetime_value",), observe_spend)
