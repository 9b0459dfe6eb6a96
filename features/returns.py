"""Which earlier purchase a return takes back."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd

from features import columns as c

# Quantities are sums of decimals: what is left below this is nothing.
_NOTHING = 1e-9


def net_returns(returns: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Return which line each return takes back: columns return_number, line_key (null when none), quantity, amount.

    A return takes from the line of its own order first, else from the latest line of that customer and product that is not
    after the return and still has quantity, then the one before; one return may so become several rows, and what no line
    holds is a row of its own. Only what is not after the return matters. `returns` is in the order of time; the amount is
    split as the quantity is. `lines` needs line_key, customer_row, product_row, order_row, ordered_us and quantity.
    """
    held = _lines_by_item(lines)
    returns = returns.assign(order_row=returns[c.ORDER_ROW].fillna(-1))  # an order that holds nothing but returns
    taken: list[tuple[int, int | None, float, float]] = []
    for row in returns.itertuples(index=False):
        candidates = held.get((row.customer_row, row.product_row), [])
        left, per_unit = float(row.quantity), float(row.amount) / float(row.quantity)
        for line in _in_order_of_netting(candidates, row.returned_us, row.order_row):
            part = min(left, line.left)
            line.left -= part
            left -= part
            taken.append((row.return_number, line.key, part, part * per_unit))
            if left <= _NOTHING:
                break
        if left > _NOTHING:
            taken.append((row.return_number, None, left, left * per_unit))
    return _as_frame(taken)


class _Line:
    """A purchase line, with what has not been returned of it yet."""

    __slots__ = ("key", "left", "order", "us")

    def __init__(self, key: int, order: int, us: int, left: float) -> None:
        self.key, self.order, self.us, self.left = key, order, us, left


def _lines_by_item(lines: pd.DataFrame) -> dict[tuple[int, int], list[_Line]]:
    """Return the lines of each (customer, product) in the order of time."""
    held: dict[tuple[int, int], list[_Line]] = defaultdict(list)
    for row in lines.sort_values(c.LINE_KEY).itertuples(index=False):
        held[row.customer_row, row.product_row].append(
            _Line(row.line_key, row.order_row, row.ordered_us, float(row.quantity))
        )
    return held


def _in_order_of_netting(lines: list[_Line], returned_us: int, order_row: float) -> list[_Line]:
    """Return the lines that a return may take from: those of its own order, then the others, each the latest first."""
    known = [line for line in reversed(lines) if line.us <= returned_us and line.left > _NOTHING]
    return sorted(known, key=lambda line: line.order != order_row)


def _as_frame(taken: list[tuple[int, int | None, float, float]]) -> pd.DataFrame:
    numbers, keys, quantities, amounts = zip(*taken, strict=True) if taken else ((), (), (), ())
    return pd.DataFrame(
        {
            "return_number": np.asarray(numbers, dtype=np.int64),
            c.LINE_KEY: pd.array(keys, dtype="Int64"),
            c.QUANTITY: np.asarray(quantities, dtype=np.float64),
            c.AMOUNT: np.asarray(amounts, dtype=np.float64),
        }
    )
