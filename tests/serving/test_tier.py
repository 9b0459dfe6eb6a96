from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.tier import PLAIN_CUTS, Tier, TierCuts, answer_rate, tier_of
from training.profile import by_messages, tier_cuts

counts = st.integers(0, 200)
ORDER = (Tier.HIGH, Tier.MEDIUM, Tier.LOW, Tier.SILENT)


@pytest.mark.parametrize(
    ("n_sent", "n_answered", "tier"),
    [
        (0, 0, "untested"),
        (2, 0, "untested"),
        (3, 0, "silent"),
        (300, 0, "silent"),
        (0, 1, "medium"),  # 2 in 10, answered something that nobody reported as sent
        (10, 1, "low"),  # 2 in 20: as believed beforehand, and no more
        (10, 2, "medium"),  # 3 in 20
        (10, 3, "medium"),  # 4 in 20: at the cut itself
        (10, 4, "high"),
    ],
)
def test_the_tier_of_plain_counts(n_sent: int, n_answered: int, tier: str) -> None:
    assert tier_of(n_sent, n_answered, PLAIN_CUTS) == tier


def test_a_rate_is_drawn_to_one_in_ten() -> None:
    assert answer_rate(0, 0) == 1 / 10
    assert answer_rate(90, 0) == 1 / 100


@settings(deadline=None)
@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=40))
def test_serving_says_the_tier_that_training_says(customers: list[tuple[int, int]]) -> None:
    frame = pd.DataFrame(customers, columns=["n_sent", "n_opened"]).assign(n_clicked=0, n_redeemed=0)
    cuts = tier_cuts(frame)
    assert by_messages(frame) == [tier_of(n_sent, n_answered, cuts) for n_sent, n_answered in customers]


@settings(deadline=None)
@given(counts, counts, st.floats(0, 1), st.floats(0, 1))
def test_one_more_message_never_raises_a_tier(n_sent: int, n_answered: int, one: float, other: float) -> None:
    cuts = TierCuts(min(one, other), max(one, other))
    before, after = (tier_of(n, n_answered, cuts) for n in (n_sent, n_sent + 1))
    if before is Tier.UNTESTED:
        assert after in {Tier.UNTESTED, Tier.SILENT}
    else:
        assert ORDER.index(after) >= ORDER.index(before)
