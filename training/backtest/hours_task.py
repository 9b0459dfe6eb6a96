"""When customers shop: the chance given to the weekday and part of the day of every trip in the next 28 days.

What is served is the best hour alone. Judged is the week that it is the crest of: `FittedBestHour.week`.
"""

from __future__ import annotations

import numpy as np

from features import columns as c
from training.backtest.observation import OURS, Findings, Observation
from training.backtest.score_peers import settings
from training.backtest.task import Served, Task
from training.best_hour import (
    FACTORISED,
    JUDGED_DAYS,
    SHOP,
    TASK,
    evidence,
    factorised_chances,
    of_each_trip,
    trips_around,
)
from training.peers.factorised_week import FactorisedConfig

WINDOW_DAYS, N_CUTOFFS = 28, 4


def observe(served: Served) -> Findings:
    """Return the surprise at each trip, −ln of the chance that was given to its bucket."""
    model = served.models["best_hour"]
    if model.shop_hours is None:
        return Findings(notes=(f"{TASK}: the source has no times of day",))
    contest = evidence({served.moment: model}, served.history)
    asked = np.isin(contest.customers, served.scores()[c.CUSTOMER_ROW].to_numpy())
    if not asked.any():
        return Findings(notes=(f"{TASK}: nobody came",))
    _, later, _ = trips_around(served.history, served.moment, JUDGED_DAYS)
    factorised = factorised_chances(served.known, served.moment, settings(FactorisedConfig, "factorised-hours"))
    given = {OURS: contest.ours, FACTORISED: of_each_trip(factorised, later), SHOP: contest.baselines[SHOP]}
    surprise = {name: -np.log(each[asked]) for name, each in given.items()}
    found = Observation(TASK, "log-loss", surprise, contest.customers[asked], higher_is_better=False)
    return Findings([found], notes=(f"{TASK}: only the best hour is served; judged is the week behind it",))


HOURS = Task("hours", "Scores", WINDOW_DAYS, N_CUTOFFS, ("best_hour",), observe)
