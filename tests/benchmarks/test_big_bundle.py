"""The drawn bundle: the same by its seed, sound, and its customers get answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serving.api import ChallengeRequest, RecommendationsRequest
from serving.bundle import Bundle, open_bundle
from serving.bundle_format import MAX_AGAIN, MAX_HABITS, MAX_STRETCHES
from serving.engine import Engine
from tests.benchmarks.big_bundle import Scale, write_big_bundle

SCALE = Scale(customers=200, products=2_000)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("drawn")
    return open_bundle(folder / write_big_bundle(SCALE, folder))  # verified: every value is one that the format allows


def test_the_same_scale_makes_the_same_bundle(drawn: Bundle, tmp_path: Path) -> None:
    assert write_big_bundle(SCALE, tmp_path) == drawn.manifest.version


def test_sizes_are_what_was_asked_for(drawn: Bundle) -> None:
    assert (drawn.manifest.sizes["customers"], drawn.manifest.sizes["products"]) == (200, 2_000)


def test_customers_have_different_habits_and_not_more_than_a_bundle_holds(drawn: Bundle) -> None:
    n_again, n_habits = np.diff(drawn.again.offsets), np.diff(drawn.habit.offsets)
    assert 1 <= n_again.min() < 10 < np.median(n_again) < 30 < n_again.max() <= MAX_AGAIN
    assert n_habits.max() <= MAX_HABITS


def test_stretches_are_of_categories_that_the_customer_does_not_buy_in(drawn: Bundle) -> None:
    for row in range(50):
        stretch = drawn.stretch.category[slice(*drawn.stretch.offsets[row : row + 2])]
        recent = drawn.recent.category[slice(*drawn.recent.offsets[row : row + 2])]
        assert len(stretch) == len({*stretch}) == MAX_STRETCHES
        assert not {*stretch} & {*recent}


def test_discoveries_were_never_bought(drawn: Bundle) -> None:
    for row in range(50):
        found = drawn.novelty.product[drawn.discover.novelty[slice(*drawn.discover.offsets[row : row + 2])]]
        assert not {*found} & {*drawn.again.product[slice(*drawn.again.offsets[row : row + 2])]}


def test_its_customers_get_personal_answers(drawn: Bundle) -> None:
    engine = Engine(drawn)
    for row in range(20):
        customer_id = drawn.customers.id[row]
        at = drawn.manifest.as_of
        assert engine.challenge(ChallengeRequest(customer_id=customer_id), at, "")["personalized"]
        assert len(engine.recommendations(RecommendationsRequest(customer_id=customer_id), at, "")["items"]) == 10
