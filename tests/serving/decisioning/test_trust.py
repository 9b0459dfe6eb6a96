from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.decisioning.contact import NO_PAST, Contacts, Past, contacts_of
from serving.decisioning.policy_contact import TrustPolicy
from serving.decisioning.trust import trust

POLICY = TrustPolicy(
    answers_weight=2.0,
    returns_weight=1.0,
    completions_weight=1.0,
    prior_messages=10.0,
    usual_answer_share=0.1,
    left_messages=20.0,
    prior_baskets=5.0,
    usual_return_share=0.05,
    prior_challenges=4.0,
    usual_completion=0.25,
)
counts = st.integers(0, 500)
contacts = st.builds(
    lambda sent, answered, left, share, baskets: contacts_of(
        Past(sent=sent, answered=answered, left=(0, 0, 0, left, 0, 0), return_share=share, n_baskets=baskets), ()
    ),
    counts,
    counts,
    st.integers(0, 3),
    st.floats(0, 1),
    counts,
)


def of(past: Past, n_completed: int = 0, n_missed: int = 0, policy: TrustPolicy = POLICY) -> float:
    return trust(contacts_of(past, ()), n_completed, n_missed, policy)


def only(**weights: float) -> TrustPolicy:
    return replace(POLICY, **({"answers_weight": 0.0, "returns_weight": 0.0, "completions_weight": 0.0} | weights))


def test_nothing_known_is_one_half() -> None:
    assert of(NO_PAST) == pytest.approx(1 / 2)


def test_who_is_as_usual_in_everything_has_one_half() -> None:
    usual = Past(sent=100, answered=10, return_share=0.05, n_baskets=40)
    assert of(usual, n_completed=2, n_missed=6) == pytest.approx(1 / 2)


def test_the_parts_by_hand() -> None:
    # 5 answers of 10: drawn (5 + 1) / (10 + 10) = 0.3, against 0.1
    assert of(Past(sent=10, answered=5), policy=only(answers_weight=1.0)) == pytest.approx(0.3 / 0.4)
    # the same, and one channel left: (5 + 1) / (30 + 10) = 0.15
    left = Past(sent=10, answered=5, left=(0, 0, 0, 0, 1, 0))
    assert of(left, policy=only(answers_weight=1.0)) == pytest.approx(0.15 / 0.25)
    # 0.5 of 15 baskets back: (7.5 + 0.25) / 20 = 0.3875, against 0.05
    returns = Past(return_share=0.5, n_baskets=15)
    assert of(returns, policy=only(returns_weight=1.0)) == pytest.approx(0.05 / 0.4375)
    # 3 of 4 challenges: (3 + 1) / (4 + 4) = 0.5, against 0.25
    assert of(NO_PAST, 3, 1, policy=only(completions_weight=1.0)) == pytest.approx(0.5 / 0.75)


def test_the_parts_are_weighted() -> None:
    good = Past(sent=10, answered=5)
    assert of(good) == pytest.approx((2 * 0.75 + 0.5 + 0.5) / 4)


def test_more_answers_than_messages_is_every_message_answered() -> None:
    assert of(Past(sent=1, answered=8)) == of(Past(sent=8, answered=8))


@settings(deadline=None)
@given(contacts, counts, counts)
def test_trust_lies_in_0_to_1(known: Contacts, n_completed: int, n_missed: int) -> None:
    assert 0.0 <= trust(known, n_completed, n_missed, POLICY) <= 1.0


@settings(deadline=None)
@given(contacts, counts, counts)
def test_what_went_well_never_lowers_it_and_what_went_badly_never_raises_it(
    known: Contacts, n_completed: int, n_missed: int
) -> None:
    now = trust(known, n_completed, n_missed, POLICY)
    better = (
        trust(replace(known, n_answered=known.n_answered + 1), n_completed, n_missed, POLICY),
        trust(replace(known, return_share=known.return_share / 2), n_completed, n_missed, POLICY),
        trust(known, n_completed + 1, n_missed, POLICY),
    )
    worse = (
        trust(replace(known, n_sent=known.n_sent + 1), n_completed, n_missed, POLICY),
        trust(replace(known, left=(0, 0, 0, known.n_left() + 1, 0, 0)), n_completed, n_missed, POLICY),
        trust(replace(known, return_share=(1.0 + known.return_share) / 2), n_completed, n_missed, POLICY),
        trust(known, n_completed, n_missed + 1, POLICY),
    )
    slack = 1e-12  # the order in which floats are added
    assert min(better) >= now - slack
    assert max(worse) <= now + slack
