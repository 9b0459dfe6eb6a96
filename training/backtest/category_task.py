"""Which categories a customer buys from in the next 28 days: of all that at least 1 % of the active customers buy.

Every such category of every customer active in 56 days is a row. `tercet batch scores` lists a customer's likeliest
categories; of the rest the model behind the lists is asked, as a list can't go on for ever.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from training.backtest import score_peers
from training.backtest.observation import OURS, Findings, Observation
from training.backtest.score_rows import BINS, asked_only, chance_observations
from training.backtest.task import Served, Task
from training.examples import Examples
from training.pairs import BASE_RATE
from training.peers import recency_frequency
from training.propensity import FittedPropensity, examples_at, pairs_at

FloatArray = npt.NDArray[np.float64]

TASK = "category bought in 28 days"
RECENCY_FREQUENCY, POPULARITY = "recency-frequency logistic", "popularity"
WINDOW_DAYS, N_CUTOFFS = score_peers.PAIR_DAYS, 4


def observe(served: Served) -> Findings:
    """Return how well the chances tell which categories are bought, over all pairs and within a category."""
    model: FittedPropensity = served.models["propensity"]
    pairs = pairs_at(served.history, served.moment, score_peers.PAIRS)
    rows = examples_at(served.history, served.moment, score_peers.PAIRS)
    if len(rows) == 0:
        return Findings(notes=(f"{TASK}: no category that 1 % of the active customers buy",))
    is_asked = np.isin(rows.customers, served.scores()[c.CUSTOMER_ROW].to_numpy())
    listed = _listed(served, pairs)
    ours = np.where(np.isnan(listed), model.score(rows.features), listed)[is_asked]
    rows, categories = asked_only(rows, served), pairs[c.CATEGORY_ROW].to_numpy(dtype=np.int64)[is_asked]
    chances = {OURS: ours, RECENCY_FREQUENCY: _peer(served, rows), POPULARITY: _popularity(rows)}
    macro = Observation(
        *(TASK, "macro AUC", chances, rows.customers, "macro_auc"),
        outcomes=rows.labels,
        groups=categories,
        bins=BINS,
    )
    found = chance_observations(TASK, chances, rows, statistics=[("pooled AUC", "auc")], losses=["log-loss"])
    share = float(np.isfinite(listed[is_asked]).mean())
    return Findings([macro, *found], notes=(f"{TASK}: {share:.0%} of the pairs are in a list of the batch",))


def _listed(served: Served, pairs: pd.DataFrame) -> FloatArray:
    """Return the chance that the batch lists for each pair, ``(n,)``; NaN where it lists none."""
    names = served.history.tables.read("categories", [c.CATEGORY_ROW, c.CATEGORY])
    row_of = dict(zip(names[c.CATEGORY], names[c.CATEGORY_ROW], strict=True))
    told = served.scores()
    entries = [
        (customer, row_of[each["category"]], each["probability"])
        for customer, listed in zip(told[c.CUSTOMER_ROW], told["categories"], strict=True)
        for each in listed
    ]
    found = pd.DataFrame(entries, columns=[c.CUSTOMER_ROW, c.CATEGORY_ROW, c.P28])
    keys = [c.CUSTOMER_ROW, c.CATEGORY_ROW]
    found = found.astype(dict.fromkeys(keys, np.int64))
    chances = pairs[keys].astype(np.int64).merge(found, on=keys, how="left")[c.P28]
    return chances.to_numpy(dtype=np.float64, na_value=np.nan)


def _peer(served: Served, rows: Examples) -> FloatArray:
    config = score_peers.settings(recency_frequency.RecencyFrequencyConfig, "recency_frequency-categories")
    learned = score_peers.pairs_learned(served.known)
    return score_peers.logistic(learned, recency_frequency.CATEGORIES, config).predict(rows.features)


def _popularity(rows: Examples) -> npt.NDArray[np.float64]:
    return rows.features[BASE_RATE].to_numpy(dtype=np.float64)


CATEGORIES = Task("categories", "Scores", WINDOW_DAYS, N_CUTOFFS, ("propensity",), observe)
