from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.build import FeatureStore
from tests.features.tiny import at, line, write_tables
from training.adoption import Adoption, Newness, adoption
from training.history import History

NEWNESS = Newness(new_days=182, active_days=56, min_baskets=1, first_weeks_days=28)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Four customers who come on days 0, 30, 60 and 90 for product 0; three take up product 1, at day 95, 95 and 70."""
    folder: Path = tmp_path_factory.mktemp("adoption")
    days = [(customer, day) for customer in range(4) for day in (0, 30, 60, 90)]
    lines = [line(i, day, 0, customer_row=customer) for i, (customer, day) in enumerate(days)]
    lines += [line(100 + i, day, 1, customer_row=i) for i, day in enumerate((95, 95, 70))]
    lines += [line(200, 99, 1, customer_row=2), line(201, 1, 2, customer_row=3), line(202, 98, 2, customer_row=3)]
    return History(FeatureStore(write_tables(folder / "t", lines), folder / "f"), at(100))


@pytest.fixture(scope="module")
def found(history: History) -> Adoption:
    return adoption(history, at(100), np.arange(4), np.arange(3), NEWNESS)


def test_a_share_is_of_those_to_whom_it_was_new(found: Adoption, history: History) -> None:
    share = history.features("categories", at(100)).set_index("category_row")["buyer_share_4w"]
    assert found.share[1] == pytest.approx((2 + 4 * share[1]) / (3 + 4))  # customer 2 had it when the window began
    assert found.share_before[1] == pytest.approx((1 + 4 * share[1]) / (4 + 4))


def test_what_was_had_in_26_weeks_is_not_taken_up(found: Adoption) -> None:
    assert found.n_4w.tolist() == [1.0, 1.0, 0.0, 0.0]
    assert found.n_8w.tolist() == [1.0, 1.0, 1.0, 0.0]


def test_nothing_after_the_moment_is_seen(history: History) -> None:
    early = adoption(history.until(at(95)), at(95), np.arange(4), np.arange(3), NEWNESS)
    assert early.n_4w.tolist() == [0.0, 0.0, 1.0, 0.0]


def test_before_the_source_begins_the_share_of_buyers_stands_in(history: History) -> None:
    early = adoption(history, at(1), np.arange(4), np.arange(3), NEWNESS)
    assert early.share[0] == pytest.approx(1.0)
    assert early.share[1] == pytest.approx(1e-4)
    assert early.n_8w.tolist() == [0.0] * 4


def test_nobody_and_nothing_are_no_reason_to_fail(history: History) -> None:
    nobody = np.zeros(0, dtype=np.int64)
    assert adoption(history, at(100), nobody, np.arange(3), NEWNESS).n_4w.shape == (0,)
    assert adoption(history, at(100), np.arange(4), nobody, NEWNESS).share.shape == (0,)
