"""Judgements to try the gate with: a recall for each customer, drawn once, and moved by a set amount."""

from __future__ import annotations

import numpy as np

from training.judge import COVERAGE, TOP_SHARE, Calibration, Guard, Judgement, MetricRow
from training.sums import CustomerSums

N_CUSTOMERS = 400
CUTOFFS = ("2017-11-06", "2017-12-04")


def judgement(
    *,
    recall: float = 0.0,
    noise: float = 0.0,
    coverage: float = 0.4,
    top: float = 0.2,
    ece: float = 0.01,
    ahead: float = 0.1,
) -> Judgement:
    """Return a judgement whose primary recall is .5 on average plus `recall`, and `ahead` of its baseline.

    The customers' values are the same at each call but for `noise` of that size, which makes the paired interval wide.
    """
    rng = np.random.default_rng(1)
    values = rng.random(N_CUSTOMERS) + recall + noise * np.random.default_rng(2).normal(size=N_CUSTOMERS)
    sums = CustomerSums.of(values, np.arange(N_CUSTOMERS))
    row = MetricRow(
        *("habit", "next basket", "recall@10", sums.value, 0.4, 0.6),
        *("personal top frequency", sums.value - ahead, ahead, ahead - 0.01, ahead + 0.01),
        is_primary=True,
        sums=sums,
    )
    guards = (
        Guard("lists", COVERAGE, CustomerSums.whole(coverage)),
        Guard("lists", TOP_SHARE, CustomerSums.whole(top), higher_is_better=False),
    )
    calibration = Calibration("all pairs", ece, 0.004, 0.008, 1.0, 0.2, 1000, 100)
    return Judgement("habit", CUTOFFS, (row,), (calibration,), (), guards)
