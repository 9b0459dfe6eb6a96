"""Which earlier purchase a return takes back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from features import columns as c

# Quantities are sums of decimals: what is left below this is nothing.
_NOTHING = 1e-9


def net_returns(returns: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Return which line each return takes back: columns return_number, line_key (null when none), quantity, amount.

    A return takes from the line of its own order first, else from the latest line of that customer and product that is
    not after the return and still has quantity, then the one before; one return may so become several rows, and what
    no line holds is a row of its own. Only what is not after the return matters. `returns` is in the order of time;
    the amount is split as the quantity is. `lines` needs line_key, customer_row, product_row, order_row, ordered_us
    and quantity.
    """
    held = _lines_by_item(lines)
    taken: list[_Taken] = []
    for row in _rows(returns, ("return_number", c.CUSTOMER_ROW, c.PRODUCT_ROW, c.ORDER_ROW, c.RETURNED_US, c.QUANTITY)):
        number, customer_row, product_row, order_row, returned_us, quantity = row
        taken += _take_back(
            number, quantity, _in_order_of_netting(held.get((customer_row, product_row), []), returned_us, order_row)
        )
    netted = _as_frame(taken)
    per_unit = (returns[c.AMOUNT] / returns[c.QUANTITY]).set_axis(returns["return_number"])
    return netted.assign(amount=netted[c.QUANTITY] * netted["return_number"].map(per_unit))


def _rows(frame: pd.DataFrame, names: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:  # int or float, by the column
    """Yield the values of some columns, row by row, as Python numbers."""
    return zip(*(frame[name].tolist() for name in names), strict=True)


class _Taken(NamedTuple):
    """So much of a return is taken from that line, None where no line holds it."""

    return_number: int
    line_key: int | None
    quantity: float


def _take_back(return_number: int, quantity: float, lines: list[_Line]) -> list[_Taken]:
    """Return what one return takes from each of the lines, in their order; the lines remember it."""
    taken = []
    for line in lines:
        part = min(quantity, line.left)
        line.left -= part
        quantity -= part
        taken.append(_Taken(return_number, line.key, part))
        if quantity <= _NOTHING:
            return taken
    return [*taken, _Taken(return_number, None, quantity)]


class _Line:
    """A purchase line, with what has not been returned of it yet."""

    __slots__ = ("key", "left", "order", "us")

    def __init__(self, key: int, order: int, us: int, left: float) -> None:
        self.key, self.order, self.us, self.left = key, order, us, left


def _lines_by_item(lines: pd.DataFrame) -> dict[tuple[int, int], list[_Line]]:
    """Return the lines of each (customer, product) in the order of time."""
    held: dict[tuple[int, int], list[_Line]] = defaultdict(list)
    names = (c.CUSTOMER_ROW, c.PRODUCT_ROW, c.LINE_KEY, c.ORDER_ROW, c.ORDERED_US, c.QUANTITY)
    for customer_row, product_row, key, order, us, quantity in _rows(lines.sort_values(c.LINE_KEY), names):
        held[customer_row, product_row].append(_Line(key, order, us, quantity))
    return held


def _in_order_of_netting(lines: list[_Line], returned_us: int, order_row: float) -> list[_Line]:
    """Return the lines that a return may take from: those of its own order, then the others, each the latest first."""
    known = [line for line in reversed(lines) if line.us <= returned_us and line.left > _NOTHING]
    return sorted(known, key=lambda line: line.order != order_row)


def _as_frame(taken: list[_Taken]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "return_number": np.asarray([each.return_number for each in taken], dtype=np.int64),
            c.LINE_KEY: pd.array([each.line_key for each in taken], dtype="Int64"),
            c.QUANTITY: np.asarray([each.quantity for each in taken], dtype=np.float64),
        }
    )
