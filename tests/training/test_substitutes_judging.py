from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from features.asof import Moment
from training.history import History
from training.substitutes import SubstitutesConfig, SubstitutesModel
from training.substitutes_judging import Around, Sales, figures, gone_row, judge, purchases_around, silences

START = 100  # the day from which on product 0 is gone
GONE, INSTEAD, PLACEBO, OTHER, RARE = range(5)


def sales() -> Sales:
    """Ten customers buy product 0 until it is gone and 2 all the time; while 0 is gone each buys 1 instead.

    Before, each of them bought product 1 once. Product 3 goes with 2, evenly; product 4 sold too seldom.
    """
    rows = []
    for customer in range(10):
        for week in range(-8, 4):
            day = START + 7 * week + customer % 7
            rows += [(customer, PLACEBO, day), (customer, OTHER, day)]
            rows.append((customer, GONE if week < 0 else INSTEAD, day))
        rows.append((customer, INSTEAD, START - 20))
    rows.append((0, RARE, START - 10))
    columns = np.array(rows, dtype=np.int64).T
    return Sales(columns[0], columns[1], columns[2], 10, 5)


def pairs(*both: tuple[int, int]) -> sp.csr_array:
    rows, columns = (np.array(each) for each in zip(*both, strict=True))
    return sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=(5, 5))


ONE_CATEGORY, ALL = np.zeros(5, dtype=np.int64), np.ones(5, dtype=np.bool_)


def test_gone_is_what_sold_steadily_and_then_not_at_all() -> None:
    found = silences(sales(), START, ONE_CATEGORY, ALL)
    assert found.gone.tolist() == [GONE]
    assert found.placebo.tolist() == [PLACEBO, OTHER]
    assert found.weights.tolist() == [0.5, 0.5]


def test_without_a_placebo_of_its_category_a_silence_tells_nothing() -> None:
    found = silences(sales(), START, np.array([1, 0, 0, 0, 0]), ALL)
    assert found.gone.tolist() == []
    assert found.placebo.tolist() == []


def test_products_without_suggestions_are_left_out() -> None:
    is_answered = np.array([False, True, True, True, True])
    assert silences(sales(), START, ONE_CATEGORY, is_answered).gone.tolist() == []


def test_purchases_are_counted_before_and_while_it_is_gone() -> None:
    suggested = pairs((GONE, INSTEAD), (PLACEBO, OTHER), (OTHER, PLACEBO))
    found = purchases_around(sales(), silences(sales(), START, ONE_CATEGORY, ALL), suggested)
    # 10 of product 1 before and 40 while 0 is gone; of the placebos' suggestions 80 before and 40 after.
    assert found.sum(axis=1).tolist() == [10, 40, 80, 40]
    assert found[:, 0].tolist() == [1, 4, 8, 4]


def test_only_customers_who_had_bought_it_count() -> None:
    found = purchases_around(sales(), silences(sales(), START, ONE_CATEGORY, ALL), pairs((GONE, RARE)))
    assert found[0].tolist() == [1] + [0] * 9


def test_the_ratio_is_told_against_placebos_and_best_sellers() -> None:
    shop = sales()
    silent = silences(shop, START, ONE_CATEGORY, ALL)
    ours = purchases_around(shop, silent, pairs((GONE, INSTEAD), (PLACEBO, OTHER), (OTHER, PLACEBO)))
    theirs = purchases_around(shop, silent, pairs((GONE, OTHER), (PLACEBO, OTHER), (OTHER, PLACEBO)))
    row = gone_row([Around(ours, theirs, 1)])
    assert row.ours == (40 / 10) / (40 / 80)
    assert row.baseline_value == 1.0
    assert row.low == row.high == row.ours  # every customer did the same
    assert not row.is_primary


def test_a_shop_where_nothing_was_gone_says_so(shop_history: History, shop_cutoff: Moment) -> None:
    fitted = SubstitutesModel(SubstitutesConfig(n_threads=1)).fit(shop_history.until(shop_cutoff))
    judgement = judge({shop_cutoff: fitted}, shop_history)
    assert [row.metric for row in judgement.rows] == ["hit@5"]
    assert "substitutes: no product that sold steadily was gone for four weeks" in judgement.notes
    assert set(figures({shop_cutoff: fitted}, shop_history)) == {"gains.png"}
