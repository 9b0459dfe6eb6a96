"""Which categories a customer buys from in the next 28 days: of all that at least 1 % of the active customers buy.

Every such category of every customer active in 56 days is a row. `tercet batch scores` lists a customer's likeliest
categories; of the rest the model behind the lists is asked, as a list can't go on for ever.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from training.backtest.observation import OURS, Findings, Observation
from training.backtest.score_rows import BINS, N_CUTOFFS_LEARNED, asked_only, chance_observations
from training.backtest.task import Served, Task
from training.examples import Examples, gather
from training.pairs import BASE_RATE
from training.peers import recency_frequency
from training.propensity import FittedPropensity, PropensityConfig, examples_at, pairs_at

FloatArray = npt.NDArray[np.float64]

TASK = "category bought in 28 days"
RECENCY_FREQUENCY, POPULARITY = "recency-frequency logistic", "popularity"
WINDOW_DAYS, N_CUTOFFS = 28, 4
_N_LEARNED_ROWS = 60_000


def observe(served: Served) -> Findings:
    """Return how well the chances tell which categories are bought, over all pairs and within a category."""
    model: FittedPropensity = served.models["propensity"]
    config = PropensityConfig(horizon_days=WINDOW_DAYS, min_base_rate=0.01)
    pairs = pairs_at(served.history, served.moment, config)
    rows = examples_at(served.history, served.moment, config)
    if len(rows) == 0:
        return Findings(notes=(f"{TASK}: no category that 1 % of the active customers buy",))
    is_asked = np.isin(rows.customers, served.scores()[c.CUSTOMER_ROW].to_numpy())
    listed = _listed(served, pairs)
    ours = np.where(np.isnan(listed), model.score(rows.features), listed)[is_asked]
    rows, categories = asked_only(rows, served), pairs[c.CATEGORY_ROW].to_numpy(dtype=np.int64)[is_asked]
    chances = {OURS: ours, RECENCY_FREQUENCY: _peer(served, config, rows), POPULARITY: _popularity(rows)}
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


def _peer(served: Served, config: PropensityConfig, rows: Examples) -> FloatArray:
    cutoffs = served.known.cutoff_before(WINDOW_DAYS, N_CUTOFFS_LEARNED)
    share = _N_LEARNED_ROWS // max(len(cutoffs), 1)
    learned = gather(cutoffs, lambda moment: examples_at(served.known, moment, config, n_rows=share))
    columns = recency_frequency.CATEGORIES if len(learned) else ()
    settings = recency_frequency.RecencyFrequencyConfig()
    return recency_frequency.fit(learned.features, learned.labels, columns, settings).predict(rows.features)


def _popularity(rows: Examples) -> npt.NDArray[np.float64]:
    return rows.features[BASE_RATE].to_numpy(dtype=np.float64)


CATEGORIES = Task("categories", "Scores", WINDOW_DAYS, N_CUTOFFS, ("propensity",), observe)
