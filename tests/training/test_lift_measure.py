"""The checks before anything is said, effects by arm and tier, and what the report says of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.experiments_toml import default_experiments
from training.errors import LiftRefused
from training.lift_exposures import Exposure, Exposures, Question
from training.lift_measure import Lift, check_enough, check_sample_ratio, measure
from training.lift_outcomes import DAY_US, METRICS, Outcomes
from training.lift_report import flat_metrics, lift_figures, lift_text, table_rows

POLICY = replace(default_experiments().lift, min_customers=50, min_buyers=5, planned_customers=600)
QUESTION = Question("exp", {"control": 0.4, "bold": 0.3, "bolder": 0.3})
EFFECTS = {"control": 0.0, "bold": 4.0, "bolder": -4.0}


def outcomes(n_an_arm: int = 200, tiers: tuple[str, ...] = ("high", "low")) -> Outcomes:
    """Return customers of three arms; the bold effect holds for the first tier only."""
    rng = np.random.default_rng(8)
    arm = np.repeat(np.array(list(EFFECTS), dtype=object), n_an_arm)
    tier = np.array([tiers[i % len(tiers)] for i in range(len(arm))], dtype=object)
    before = rng.normal(20.0, 3.0, len(arm))
    effect = np.array([EFFECTS[each] for each in arm]) * (tier == tiers[0])
    value = before + rng.normal(0.0, 1.0, len(arm)) + effect
    numbers = dict.fromkeys(METRICS, np.zeros(len(arm))) | {
        "value": value,
        "margin": value,
        "revenue": 3 * value,
        "conversion": np.ones(len(arm)),
    }
    return Outcomes(arm, tier, np.arange(len(arm), dtype=np.int64) % 7 * DAY_US, numbers, before[:, None], 3)


def exposures(**counts: int) -> Exposures:
    found = tuple(Exposure(f"{arm}-{i}", arm, i, "v") for arm, n in counts.items() for i in range(n))
    return Exposures(found, dict(zip(counts, (0.5, 0.5), strict=True)), 0)


def lift() -> Lift:
    found = outcomes()
    counts = check_enough(found, QUESTION.arms, POLICY)
    return Lift(QUESTION, POLICY, "EUR", counts, counts, 0.5, 40 * DAY_US, 2, measure(QUESTION, found, POLICY))


def test_each_arm_is_compared_with_the_control() -> None:
    bold, bolder = lift().arms
    assert (bold.arm, bolder.arm) == ("bold", "bolder")
    assert bold.effects["value"].adjusted.low < 2.0 < bold.effects["value"].adjusted.high
    assert bolder.effects["value"].adjusted.low < -2.0 < bolder.effects["value"].adjusted.high
    assert bold.effects["left"].always.low == bold.effects["left"].always.high == 0.0
    assert not bold.effects["left"].is_shown


def test_an_effect_shows_in_the_tier_that_has_it() -> None:
    by_tier = lift().arms[0].by_tier
    assert by_tier["high"].is_shown
    assert not by_tier["low"].is_shown


def test_a_tier_that_is_too_small_or_the_only_one_is_not_told() -> None:
    many = measure(QUESTION, outcomes(tiers=("high", "low", "low", "low", "low")), POLICY)[0].by_tier
    assert set(many) == {"low"}
    assert measure(QUESTION, outcomes(tiers=("unknown",)), POLICY)[0].by_tier == {}


def test_uneven_arms_are_refused_and_even_ones_are_not() -> None:
    assert check_sample_ratio(exposures(control=500, bold=520), POLICY) > 0.5
    with pytest.raises(LiftRefused, match=r"sample ratio: control 400 \(500 expected\), bold 600 \(500 expected\)"):
        check_sample_ratio(exposures(control=400, bold=600), POLICY)


def test_an_arm_without_anybody_is_refused() -> None:
    with pytest.raises(LiftRefused, match=r"control 0 \(50 expected\), bold 100"):
        check_sample_ratio(exposures(control=0, bold=100), POLICY)


def test_too_little_is_refused_with_its_counts() -> None:
    with pytest.raises(LiftRefused, match=r"customers: 20 of 'control', 20 of 'bold', 20 of 'bolder' .* \(3 more wait"):
        check_enough(outcomes(20), QUESTION.arms, POLICY)
    few = outcomes()
    few.outcomes["conversion"][:200] = 0.0
    with pytest.raises(LiftRefused, match="buyers: 0 of 'control', 200 of 'bold'"):
        check_enough(few, QUESTION.arms, POLICY)


def test_the_report_says_who_brings_more_and_who_less() -> None:
    text = lift_text(lift())
    assert "bold brings more than control: +" in text
    assert "bolder brings less than control: -" in text
    assert "customers exposed: control 200, bold 200, bolder 200" in text
    assert "2 decisions were about customers who were forgotten since" in text
    assert "value, tier high" in text


def test_every_number_is_logged_once() -> None:
    found = lift()
    logged = flat_metrics(found)
    assert logged["bold.value.cuped"] == found.arms[0].effects["value"].adjusted.value
    assert len(logged) == 1 + 3 + 3 + 2 * len(METRICS) * 3 * 3
    assert [(row["arm"], row["metric"]) for row in table_rows(found)] == [
        (arm, metric) for arm in ("bold", "bolder") for metric in METRICS
    ]


def test_the_pictures_are_of_money_tiers_and_days() -> None:
    assert set(lift_figures(lift())) == {
        f"{arm}-{what}.png" for arm in ("bold", "bolder") for what in ("money", "tiers", "days")
    }
