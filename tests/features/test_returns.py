"""A return takes back what was bought before it, and nothing else."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from features import columns as c
from features.returns import net_returns

RETURN = "return_number"


def lines(*rows: tuple[int, float, int]) -> pd.DataFrame:
    """Lines of one customer and product: (when, quantity, order)."""
    frame = pd.DataFrame(rows, columns=[c.ORDERED_US, c.QUANTITY, c.ORDER_ROW])
    return frame.assign(**{c.LINE_KEY: range(len(rows)), c.CUSTOMER_ROW: 1, c.PRODUCT_ROW: 2})


def returns(*rows: tuple[int, float, int]) -> pd.DataFrame:
    """Returns of that customer and product: (when, quantity, order); each brings 2 a piece."""
    frame = pd.DataFrame(rows, columns=[c.RETURNED_US, c.QUANTITY, c.ORDER_ROW])
    numbered = frame.assign(**{RETURN: range(len(rows)), c.CUSTOMER_ROW: 1, c.PRODUCT_ROW: 2})
    return numbered.assign(**{c.AMOUNT: numbered[c.QUANTITY] * 2})


def pairs(netted: pd.DataFrame) -> list[tuple[int | None, float]]:
    """Return (line, quantity) in order; None where no line holds it."""
    keys = [None if pd.isna(key) else int(key) for key in netted[c.LINE_KEY]]
    return list(zip(keys, netted[c.QUANTITY].tolist(), strict=True))


def test_a_return_takes_from_its_own_order_first() -> None:
    netted = net_returns(returns((50, 1, 0)), lines((10, 1, 0), (20, 1, 1)))

    assert pairs(netted) == [(0, 1)]


def test_a_return_of_another_order_takes_from_the_latest_earlier_line() -> None:
    netted = net_returns(returns((25, 1, -1)), lines((10, 1, 0), (20, 1, 1), (30, 1, 2)))

    assert pairs(netted) == [(1, 1)]


def test_a_return_never_takes_from_a_later_line() -> None:
    netted = net_returns(returns((5, 1, -1)), lines((10, 1, 0)))

    assert pairs(netted) == [(None, 1)]


def test_a_large_return_takes_from_several_lines_and_the_rest_from_none() -> None:
    netted = net_returns(returns((50, 4, -1)), lines((10, 1, 0), (20, 2, 1)))

    assert pairs(netted) == [(1, 2), (0, 1), (None, 1)]
    assert netted[c.AMOUNT].tolist() == [4, 2, 2]


def test_two_returns_do_not_take_the_same_piece() -> None:
    netted = net_returns(returns((30, 1, 0), (40, 1, 0)), lines((10, 1, 0), (5, 1, 1)))

    assert pairs(netted) == [(0, 1), (1, 1)]


def test_an_earlier_return_is_not_changed_by_a_later_purchase() -> None:
    before = net_returns(returns((30, 1, -1)), lines((10, 1, 0)))
    after = net_returns(returns((30, 1, -1)), lines((10, 1, 0), (40, 9, 1)))

    assert pairs(before) == pairs(after)


def test_another_customers_line_is_not_taken_from_and_no_returns_are_none() -> None:
    other = lines((10, 1, 0)).assign(**{c.CUSTOMER_ROW: 9})

    assert pairs(net_returns(returns((30, 1, 0)), other)) == [(None, 1)]
    assert len(net_returns(returns(), lines((10, 1, 0)))) == 0


MOMENTS = st.tuples(st.integers(0, 9), st.integers(1, 5).map(float), st.integers(0, 4))


@given(st.lists(MOMENTS, max_size=6), st.lists(MOMENTS, max_size=6))
def test_what_is_netted_adds_up_and_no_line_gives_more_than_it_has(
    bought: list[tuple[int, float, int]], back: list[tuple[int, float, int]]
) -> None:
    given_lines, given_returns = lines(*sorted(bought)), returns(*sorted(back))
    netted = net_returns(given_returns, given_lines)

    assert netted[c.QUANTITY].sum() == sum(quantity for _, quantity, _ in back)
    taken = netted.dropna(subset=[c.LINE_KEY]).groupby(c.LINE_KEY)[c.QUANTITY].sum()
    assert all(quantity <= given_lines[c.QUANTITY][key] for key, quantity in taken.items())
    moments = given_lines[c.ORDERED_US].reindex(netted[c.LINE_KEY].dropna().astype(int)).to_numpy()
    asked = (
        given_returns.set_index(RETURN)[c.RETURNED_US].reindex(netted.dropna(subset=[c.LINE_KEY])[RETURN]).to_numpy()
    )
    assert (moments <= asked).all()
