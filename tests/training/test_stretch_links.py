from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from features.build import FeatureStore
from tests.features.tiny import at, line, write_tables
from training import stretch_links
from training.history import History
from training.stretch_links import NONE, category_lifts, links


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Ten customers take 0 with 1, four times; five others take 2 with 3. Customer 20 has had 0 alone, four times."""
    lines, order = [], 0
    for customer in range(15):
        for week in range(4):
            pair = (0, 1) if customer < 10 else (2, 3)
            lines += [line(order, 7 * week + customer % 5, product, customer_row=customer) for product in pair]
            order += 1
    lines += [line(order + week, 7 * week, 0, customer_row=20) for week in range(4)]
    folder: Path = tmp_path_factory.mktemp("links")
    tables = write_tables(folder / "t", lines)
    return History(FeatureStore(tables, folder / "f"), at(40))


def test_what_is_bought_together_has_the_higher_lift(history: History) -> None:
    lifts = category_lifts(history, at(40), np.arange(4))
    lift = lifts.at(*np.divmod(np.arange(16), 4)).reshape(4, 4)
    assert lift[0, 1] > 1 > lift[0, 2]
    assert lift[2, 3] > lift[0, 1]  # fewer baskets, all of them together
    assert np.diag(lift).tolist() == [0, 0, 0, 0]


def test_lifts_are_those_of_the_whole_table(history: History) -> None:
    pairs = history.features("category_pairs", at(40))
    count = history.features("categories", at(40)).set_index("category_row")["n_baskets"].reindex(range(4))
    seen, expected = np.zeros((4, 4)), np.outer(count, count).astype(float)
    for row in pairs.itertuples():
        seen[row.category_row, row.other_row] = row.n_both + row.n_next
    np.fill_diagonal(expected, 0.0)
    expected *= seen.sum() / expected.sum()
    slow = (seen + 10) / (expected + 10)
    np.fill_diagonal(slow, 0.0)
    lifts = category_lifts(history, at(40), np.arange(4))
    assert lifts.at(*np.divmod(np.arange(16), 4)) == pytest.approx(slow.ravel())


def test_a_hundred_thousand_categories_take_no_table(history: History) -> None:
    lifts = category_lifts(history, at(40), np.arange(100_000))
    assert lifts.at(np.array([0, 99_999]), np.array([1, 99_998]))[1] == 1.0


def test_a_new_category_is_reached_from_the_habit_that_leads_there(history: History) -> None:
    pairs = pd.DataFrame({"customer_row": [20, 20], "category_row": [1, 3], "p28": [0.2, 0.1]})
    linked = links(pairs, history, at(40))
    assert linked["source_category_row"].tolist() == [0, NONE]
    assert linked["lift"].iloc[0] > 1.1
    assert np.isnan(linked["lift"].iloc[1])
    assert linked["p28"].tolist() == [0.2, 0.1]


def test_nothing_to_link_stays_nothing(history: History) -> None:
    nothing = pd.DataFrame({"customer_row": np.zeros(0, dtype=np.int32), "category_row": np.zeros(0, dtype=np.int32)})
    assert links(nothing, history, at(40)).empty


def test_a_customer_without_habits_reaches_nothing(history: History) -> None:
    pairs = pd.DataFrame({"customer_row": [30], "category_row": [1]})
    assert links(pairs, history, at(40))["source_category_row"].tolist() == [NONE]


class Table:
    """Lifts that are written down."""

    def __init__(self, lift: np.ndarray) -> None:
        self.lift = lift

    def at(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.asarray(self.lift[one, other])


def slow_source(held: list[int], target: int, lift: np.ndarray) -> tuple[float, int]:
    """Return the highest lift towards `target` from one of the places held, and the first such place."""
    if not held:
        return 0.0, NONE
    best = max(lift[place, target] for place in held)
    return best, min(place for place in held if lift[place, target] == best)


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_the_strongest_habit_is_found_in_portions(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(stretch_links, "_HABITS_AT_ONCE", at_once)
    rng = np.random.default_rng(3)
    is_held = rng.random((12, 6)) < 0.4
    is_held[4] = False
    lift = rng.integers(0, 3, (6, 6)).astype(np.float64)  # many ties
    pairs = pd.DataFrame({"customer_row": np.repeat(np.arange(12), 3), "category_row": rng.integers(0, 6, 36) + 10})

    best, source = stretch_links._strongest(pairs, sp.csr_array(is_held * 1.0), Table(lift), np.arange(6) + 10)

    slow = [slow_source(np.flatnonzero(is_held[who]).tolist(), what - 10, lift) for who, what in pairs.to_numpy()]
    assert best.tolist() == [each[0] for each in slow]
    assert source.tolist() == [each[1] + 10 if each[1] != NONE else NONE for each in slow]


def test_without_pairs_there_is_nothing_to_reach() -> None:
    none = pd.DataFrame({"customer_row": [], "category_row": []}, dtype="int64")

    best, source = stretch_links._strongest(none, sp.csr_array((1, 2)), Table(np.ones((2, 2))), np.arange(2))

    assert len(best) == len(source) == 0
