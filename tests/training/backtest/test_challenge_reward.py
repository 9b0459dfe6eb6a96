from __future__ import annotations

import numpy as np
import pytest

from training.backtest.challenge_reward import (
    Stakes,
    break_even_share,
    break_even_uplift,
    reward_facts,
    reward_tables,
)
from training.backtest.observation import OURS


def stakes(**changes: object) -> Stakes:
    """Four challenges of one likelihood: one is done; rewards cost 2, items bring 1, 1 and 4."""
    done = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]], dtype=bool)
    fields = {
        "margins": np.tile([1.0, 1.0, 4.0], (4, 1)),
        "done": done,
        "chances": np.full(4, 0.1),
        "costs": np.full(4, 2.0),
        "habit_share": 0.1,
    }
    return Stakes(**{**fields, **changes})  # type: ignore[arg-type]  # fields of several types


def test_one_more_completed_brings_what_was_missing() -> None:
    # missing: 5 of the second, 6 of the third, 4 of the fourth
    assert stakes().of_one_more == pytest.approx(((5 + 6 + 4) / 3, 2.0))


def test_the_likelier_to_complete_weigh_more() -> None:
    likely = stakes(chances=np.array([0.1, 0.0, 0.0, 0.3]))
    assert likely.of_one_more == pytest.approx((4.0, 2.0))


def test_break_even_is_where_net_is_zero() -> None:
    found = break_even_uplift(stakes())
    assert found == pytest.approx(2 / (5 - 2))  # one reward of 2 is paid anyway, each further brings 5 and costs 2
    margin, cost = stakes().of_one_more
    assert found * 1 * margin == pytest.approx(stakes().paid + found * 1 * cost)


def test_a_reward_dearer_than_what_is_missing_never_pays() -> None:
    dear = stakes(costs=np.full(4, 9.0))
    assert break_even_uplift(dear) == float("inf")
    assert "no rise pays" in reward_tables("challenge", dear)[0].title
    assert not any(each.name.startswith("break-even: completions") for each in reward_facts("challenge", dear))


def test_the_share_of_stretches_that_pays_for_the_rewards() -> None:
    # habits bring 5 x 1 of which a tenth is extra, the one stretch 4
    assert break_even_share(stakes()) == pytest.approx((2 - 0.5) / 4)


def test_without_rewards_everything_pays() -> None:
    free = stakes(costs=np.zeros(4))
    assert (break_even_uplift(free), break_even_share(free)) == (0.0, 0.0)


def test_rows_are_per_thousand_challenges() -> None:
    by_uplift, by_share = reward_tables("challenge", stakes())
    assert by_uplift.rows[0] == ("+0%", "250.0", "0.00", "500.00", "-500.00")
    assert by_uplift.rows[3] == ("+100%", "500.0", "1250.00", "1000.00", "+250.00")
    assert by_share.rows[-1] == ("100%", "250.0", "1125.00", "500.00", "+625.00")


def test_facts_name_what_one_more_costs() -> None:
    facts = {each.name: each.by_ranker[OURS] for each in reward_facts("challenge", stakes())}
    assert facts["challenges with a reward"] == 1.0
    assert facts["margin of one more completed"] == pytest.approx(5.0)


@pytest.mark.parametrize("unknown", [stakes(margins=np.zeros((4, 3)))])
def test_without_margins_nothing_is_said(unknown: Stakes) -> None:
    assert reward_tables("challenge", unknown) == ()
    assert reward_facts("challenge", unknown) == ()
