"""What counts for whom: from the first exposure on, for so many days, and what came before as covariates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from serving.experiments_toml import default_experiments
from training.lift_doings import Doings
from training.lift_exposures import Exposure
from training.lift_outcomes import DAY_US, METRICS, Outcomes, outcomes_of

POLICY = replace(default_experiments().lift, days=7, before_days=28, unsubscribe_cost=5.0)
EXPOSED = 100 * DAY_US
EXPOSURES = (Exposure("anna", "treated", EXPOSED, "v"), Exposure("ben", "control", EXPOSED + DAY_US, "v"))


def purchases(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    """Return purchases of (customer, days after anna's exposure, quantity, amount), a fifth of which is margin."""
    frame = pd.DataFrame(list(rows), columns=[c.CUSTOMER_ID, "day", c.QUANTITY, c.AMOUNT])
    at_us = EXPOSED + (frame.pop("day") * DAY_US).astype(np.int64)
    return frame.assign(at_us=at_us, order_id=[f"o{i}" for i in range(len(frame))], margin=frame[c.AMOUNT] / 5)


def measured(
    bought: pd.DataFrame,
    events: list[tuple[str, float, str]] | None = None,
    rewards: list[tuple[str, float, float]] | None = None,
    until_day: float = 50,
) -> Outcomes:
    def frame(rows: list[tuple[str, float, object]], last: str) -> pd.DataFrame:
        found = pd.DataFrame(rows, columns=[c.CUSTOMER_ID, "day", last])
        return found.assign(at_us=EXPOSED + (found.pop("day").astype(float) * DAY_US).astype(np.int64))

    until_us = EXPOSED + int(until_day * DAY_US)
    doings = Doings(bought, frame(list(events or []), c.TYPE), frame(list(rewards or []), c.COST), until_us)
    return outcomes_of(EXPOSURES, ["high", "low"], doings, POLICY, until_us)


def test_what_was_bought_from_the_exposure_to_the_last_day_counts() -> None:
    found = measured(
        purchases(("anna", -0.001, 1, 1.0), ("anna", 0, 1, 2.0), ("anna", 6.999, 1, 4.0), ("anna", 7, 1, 8.0))
    )
    assert found.outcomes["revenue"].tolist() == [6.0, 0.0]
    assert found.outcomes["margin"].tolist() == pytest.approx([1.2, 0.0])
    assert found.outcomes["conversion"].tolist() == [1.0, 0.0]


def test_each_customer_has_their_own_days() -> None:
    found = measured(purchases(("ben", 0.5, 1, 1.0), ("ben", 1, 1, 2.0), ("ben", 7.5, 1, 4.0), ("ben", 8, 1, 8.0)))
    assert found.outcomes["revenue"].tolist() == [0.0, 6.0]
    assert found.covariates[1].tolist() == [1.0, 1.0, 0.5]


def test_a_return_takes_money_back_and_is_no_purchase() -> None:
    found = measured(purchases(("anna", 1, 2, 4.0), ("anna", 2, -1, -2.0), ("ben", 2, -1, -3.0)))
    assert found.outcomes["revenue"].tolist() == [2.0, -3.0]
    assert found.outcomes["conversion"].tolist() == [1.0, 0.0]


def test_the_past_is_money_baskets_and_days_since_the_last() -> None:
    two_lines = purchases(("anna", -10, 1, 3.0), ("anna", -10, 1, 4.0)).assign(order_id="same")
    rest = purchases(("anna", -3, 1, 5.0), ("anna", -29, 1, 100.0), ("anna", 1, 1, 50.0))
    found = measured(pd.concat([two_lines, rest]))
    assert found.covariates[0].tolist() == [12.0, 2.0, 3.0]
    assert found.covariates[1].tolist() == [0.0, 0.0, 28.0]


def test_value_is_margin_less_rewards_less_channels_left() -> None:
    found = measured(
        purchases(("anna", 1, 1, 100.0)),
        events=[
            ("anna", 1, "unsubscribe"),
            ("anna", 2, "notification_block"),
            ("anna", 2, "redeem"),
            ("ben", 20, "unsubscribe"),
        ],
        rewards=[("anna", 3, 1.5), ("anna", 8, 9.0)],
    )
    assert found.outcomes["left"].tolist() == [2.0, 0.0]
    assert found.outcomes["redeemed"].tolist() == [1.0, 0.0]
    assert found.outcomes["value"].tolist() == [100.0 / 5 - 1.5 - 2 * 5.0, 0.0]


def test_who_was_exposed_too_lately_waits() -> None:
    found = measured(purchases(("anna", 1, 1, 1.0)), until_day=7)
    assert found.arm.tolist() == ["treated"]
    assert found.tier.tolist() == ["high"]
    assert found.n_waiting == 1


def test_others_and_nothing_at_all_count_for_nobody() -> None:
    found = measured(purchases(("somebody", 1, 1, 1.0)))
    assert {metric: found.outcomes[metric].tolist() for metric in METRICS} == {metric: [0.0, 0.0] for metric in METRICS}
    assert measured(purchases(), until_day=-1).n_waiting == 2
