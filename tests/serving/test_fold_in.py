from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.bundle import Bundle
from serving.bundle_format import N_FACTORS, Factors
from serving.fold_in import FoldIn
from serving.numbers import Numbers
from serving.shelf import Shelf
from tests.serving.tiny import PRODUCTS


@pytest.fixture
def shelf(tiny_bundle: Bundle) -> Shelf:
    return Shelf(tiny_bundle, margin_rate=0.25)


def test_one_product_of_one_factor_is_solved_by_hand(tiny_bundle: Bundle, shelf: Shelf) -> None:
    # Milk is 1 on the first factor, whose gram is 1 + .81 + .64; with confidence 3 and ridge 2: (2.45 + 2 + 2) x = 3.
    numbers = replace(Numbers.plain(), fold_in={"regularization": 2.0, "confidence": 3.0, "strength": 2.0})
    vector = FoldIn(tiny_bundle, numbers).vector({shelf.row_of("milk-1"): 1.0})
    assert vector[0] == pytest.approx(3 / 6.45, rel=1e-6)
    assert not vector[1:].any()


def best(fold_in: FoldIn, shelf: Shelf, weights: dict[str, float], n: int) -> list[str]:
    """Return the ids of the `n` products of which the weights say the most."""
    rows = list(range(len(PRODUCTS)))
    found = fold_in.log_odds({shelf.row_of(each): weight for each, weight in weights.items()}, rows)
    return [shelf.ids[row] for row in sorted(rows, key=lambda row: -found[row])[:n]]


def test_log_odds_are_scores_times_the_strength(tiny_bundle: Bundle, shelf: Shelf) -> None:
    numbers = replace(Numbers.plain(), fold_in={"regularization": 2.0, "confidence": 3.0, "strength": 2.0})
    fold_in, milk = FoldIn(tiny_bundle, numbers), shelf.row_of("milk-1")
    bread, brie = fold_in.log_odds({milk: 1.0}, [shelf.row_of("bread-1"), shelf.row_of("brie-1")])
    assert (bread, brie) == (pytest.approx(2 * 0.9 * 3 / 6.45, rel=1e-5), 0.0)


def test_likely_is_everybodys_chance_moved(tiny_bundle: Bundle, shelf: Shelf) -> None:
    numbers = replace(Numbers.plain(), fold_in={"regularization": 2.0, "confidence": 3.0, "strength": 2.0})
    likely = FoldIn(tiny_bundle, numbers).likely({shelf.row_of("milk-1"): 1.0}, len(PRODUCTS))
    found = {shelf.ids[each.product]: each for each in likely}
    # Bread: odds of .2 to .8; brie keeps its .04.
    added = 2 * 0.9 * 3 / 6.45
    assert (found["brie-1"].chance, found["brie-1"].added) == (pytest.approx(0.04), 0.0)
    odds = 0.25 * np.exp(added)
    assert (found["bread-1"].chance, found["bread-1"].added) == pytest.approx((odds / (1 + odds), added), rel=1e-5)
    assert [each.chance for each in likely] == sorted((each.chance for each in likely), reverse=True)


def test_those_of_the_same_factor_come_first(tiny_bundle: Bundle, shelf: Shelf) -> None:
    fold_in = FoldIn(tiny_bundle, tiny_bundle.numbers)
    assert best(fold_in, shelf, {"brie-1": 1.0}, 3) == ["brie-1", "coffee-1", "salad-1"]


def test_a_stronger_interest_weighs_more(tiny_bundle: Bundle, shelf: Shelf) -> None:
    fold_in = FoldIn(tiny_bundle, tiny_bundle.numbers)
    assert best(fold_in, shelf, {"milk-1": 1.0, "brie-1": 0.1}, 1) == ["milk-1"]
    assert best(fold_in, shelf, {"milk-1": 0.1, "brie-1": 1.0}, 1) == ["brie-1"]


def test_nothing_known_or_learned_says_nothing(tiny_bundle: Bundle, shelf: Shelf) -> None:
    fold_in = FoldIn(tiny_bundle, tiny_bundle.numbers)
    assert fold_in.likely({}, 3) == []
    assert fold_in.log_odds({}, [0, 1]) == [0.0, 0.0]
    assert set(fold_in.log_odds({shelf.row_of("crisps-1"): 1.0}, list(range(len(PRODUCTS))))) == {0.0}
    zeros = Factors(np.zeros((len(PRODUCTS), N_FACTORS), dtype="<f4"), np.zeros((N_FACTORS, N_FACTORS)))
    assert FoldIn(replace(tiny_bundle, factors=zeros), tiny_bundle.numbers).log_odds({0: 1.0}, [0]) == [0.0]
