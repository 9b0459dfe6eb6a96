"""What a stretch is worth beside being bought: is it new or lapsed, what does it cost, what is it that is shown.

A hit alone rewards milk for a light shopper. So the category shown is also judged by what was spent in it, and beside
the most probable one stand two other picks from the same served list: the highest probability × margin, and the same
among what costs more than the customer usually pays. Margin is taken as proportional to the price of the product that
the list names where the source has no costs: the share of it is the same for all, so that the order is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from serving.named_products import best_products
from training.backtest.new_items import Board, Lists
from training.backtest.observation import OURS, Fact, Observation, Table
from training.backtest.task import Served

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TASK, WORTH = "stretch: the category shown", "stretch: what the one shown brings"
BY_WORTH, WORTH_MORE = "tercet, chance × margin", "tercet, chance × margin above their usual price"
WINDOW_DAYS, N_LISTED = 28, 12
_PRICE, _PRODUCT = "price", "product"
_PAIR = [c.CUSTOMER_ROW, c.CATEGORY_ROW]
_NO_MONEY = "stretch: no amounts in this source: price level and what a stretch brings were left out"


def held(served: Served) -> pd.DataFrame:
    """Return all stretches of a bundle: customer_row, category_row, p7, p28 and the price of the best product there.

    A past bundle has customer rows of its own; these are the tables'. It doesn't tell p28: its model does.
    """
    bundle = served.bundle
    stretch, rows = bundle.stretch, customer_rows(served)
    owner = np.repeat(np.arange(len(stretch.offsets) - 1), np.diff(stretch.offsets))
    product = best_products(bundle, slice(None))[:, 0]
    price = np.asarray(bundle.products.price, dtype=np.float64)
    of_product = np.where(product >= 0, price[np.maximum(product, 0)], np.nan) if len(price) else np.zeros(len(product))
    found = pd.DataFrame(
        {
            c.CUSTOMER_ROW: rows[owner],
            c.CATEGORY_ROW: np.asarray(stretch.category, dtype=np.int64),
            c.P7: stretch.p7[:],
            _PRICE: of_product,
            _PRODUCT: product,
        }
    )
    predicted = served.models["stretch"].predict(served.known, served.moment)
    return found.merge(predicted[[*_PAIR, c.P28]].astype(dict.fromkeys(_PAIR, np.int64)), on=_PAIR, how="left")


def customer_rows(served: Served) -> IntArray:
    """Return the row in the tables of each customer of the bundle, shape ``(n_customers,)``."""
    known = served.known.tables.read("customers", [c.CUSTOMER_ROW, c.CUSTOMER_ID]).set_index(c.CUSTOMER_ID)
    return known[c.CUSTOMER_ROW].reindex(list(served.bundle.customers.id)).to_numpy(dtype=np.int64)


def observations(served: Served, board: Board) -> tuple[Observation, ...]:
    """Return hits of, and money spent in, the category of each pick within 28 days; nothing without amounts."""
    if not served.known.tables.has_amounts:
        return ()
    picks = _picks(served, board)
    spent = _spent(served)
    hits = {name: (board.days_of(each[:, None])[:, 0] < WINDOW_DAYS).astype(np.float64) for name, each in picks.items()}
    money = {name: _of_shown(board, each, spent) for name, each in picks.items()}
    return (
        Observation(WORTH, "bought within 28 days", hits, board.customers),
        Observation(WORTH, "spent there in 28 days", money, board.customers),
    )


def facts(served: Served, lists: Lists) -> tuple[Fact, ...]:
    """Return of the one that each ranker shows: never owned or lapsed, how many different ones, its price level."""
    ever = _keys(served.known.features("customer_categories", served.moment, [c.CUSTOMER_ROW, c.CATEGORY_ROW]))
    shown = {name: firsts[:, 0] for name, firsts in lists.firsts.items()}
    board = lists.board
    found = [
        Fact(
            TASK,
            "share never bought before (the others lapsed)",
            {name: _mean(~pd.Index(_shown_keys(board, each)).isin(ever)) for name, each in shown.items()},
        ),
        Fact(TASK, "different categories shown", {name: float(len(np.unique(each))) for name, each in shown.items()}),
    ]
    if served.known.tables.has_amounts:
        level = _price_levels(served, board)
        found.append(Fact(TASK, "price level ÷ the customer's usual, median", _medians(board, shown, level)))
        found.append(
            Fact(
                TASK,
                "price level of those bought, median",
                _medians(board, {name: _bought(board, each) for name, each in shown.items()}, level),
            )
        )
    return tuple(found)


def tables(served: Served, lists: Lists) -> tuple[Table, ...]:
    """Return what is shown most: ours, with how often it was bought, and how often popularity shows it."""
    board = lists.board
    named = served.known.tables.read("categories", [c.CATEGORY_ROW, c.CATEGORY]).set_index(c.CATEGORY_ROW)[c.CATEGORY]
    ours = lists.firsts[OURS][:, 0]
    hit = board.days_of(ours[:, None])[:, 0] < WINDOW_DAYS
    shares = {name: _shares(firsts[:, 0], len(board.items)) for name, firsts in lists.firsts.items()}
    most = np.argsort(-shares[OURS], kind="stable")[:N_LISTED]
    rows = [
        (
            str(named.get(board.items[place], "")),
            f"{shares[OURS][place]:.1%}",
            f"{hit[ours == place].mean():.1%}",
            f"{shares['popularity'][place]:.1%}",
        )
        for place in most
        if shares[OURS][place] > 0
    ]
    header = ("category", "shown first to", "of these bought", "popularity shows it to")
    return (Table(TASK, "what is shown most", header, tuple(rows)),)


def notes(served: Served) -> tuple[str, ...]:
    """Return what was left out."""
    return () if served.known.tables.has_amounts else (_NO_MONEY,)


def _picks(served: Served, board: Board) -> dict[str, IntArray]:
    """Return the place of the category that each way of picking shows, −1 where it has nothing."""
    options = held(served)
    usual = pd.Series(served.bundle.customers.usual_price, index=customer_rows(served), dtype="float64")
    worth = (options[c.P28] * options[_PRICE].fillna(0.0)).to_numpy()
    is_worth_more = options[_PRICE].to_numpy() > usual.reindex(options[c.CUSTOMER_ROW]).to_numpy()
    is_there = options[_PRODUCT].to_numpy() >= 0
    ways = {
        OURS: np.where(is_there, options[c.P7].to_numpy(), -1.0),
        BY_WORTH: np.where(is_there, worth, -1.0),
        WORTH_MORE: np.where(is_there & is_worth_more, worth, -1.0),
    }
    return {name: _best(board, options, value) for name, value in ways.items()}


def _best(board: Board, options: pd.DataFrame, value: FloatArray) -> IntArray:
    """Return the place of the option of the highest value that each customer has; below 0 is no option."""
    kept = options[value >= 0]
    rank = np.argsort(np.argsort(-value[value >= 0], kind="stable"), kind="stable")
    return board.served(kept[[c.CUSTOMER_ROW, c.CATEGORY_ROW]].assign(rank=rank), c.CATEGORY_ROW, k=1)[:, 0]


def _spent(served: Served) -> pd.Series[float]:
    """Return what was spent in 28 days, by customer × category key."""
    lines = served.history.purchases_after(served.moment, WINDOW_DAYS)
    lines = lines[lines[c.IS_PURCHASE]]
    return lines[c.AMOUNT].fillna(0.0).groupby(_keys(lines)).sum()


def _of_shown(board: Board, shown: IntArray, values: pd.Series[float]) -> FloatArray:
    return np.asarray(values.reindex(_shown_keys(board, shown)).fillna(0.0).to_numpy(dtype=np.float64))


def _bought(board: Board, shown: IntArray) -> IntArray:
    """Return the shown places that were bought, −1 elsewhere."""
    return np.where(board.days_of(shown[:, None])[:, 0] < WINDOW_DAYS, shown, -1)


def _price_levels(served: Served, board: Board) -> FloatArray:
    """Return the mean price of each category ÷ what each customer pays for one thing on average, ``(n, m)``."""
    prices = served.known.features("categories", served.moment, [c.CATEGORY_ROW, c.PRICE_MEAN])
    price = prices.set_index(c.CATEGORY_ROW)[c.PRICE_MEAN].reindex(board.items).to_numpy(dtype=np.float64)
    customers = served.known.features("customers", served.moment, [c.CUSTOMER_ROW, c.UNIT_PRICE_MEAN])
    usual = customers.set_index(c.CUSTOMER_ROW)[c.UNIT_PRICE_MEAN].reindex(board.customers).to_numpy(dtype=np.float64)
    known = np.where(usual > 0, usual, np.nan)
    return np.asarray(price[None, :] / known[:, None], dtype=np.float64)


def _medians(board: Board, shown: Mapping[str, IntArray], table: FloatArray) -> dict[str, float]:
    """Return the median of the table over what is shown, by ranker; NaN where nothing is."""
    found = {}
    for name, each in shown.items():
        values = table[np.arange(len(board.customers)), np.maximum(each, 0)][each >= 0]
        known = values[np.isfinite(values)]
        found[name] = float(np.median(known)) if len(known) else float("nan")
    return found


def _shares(shown: IntArray, n_items: int) -> FloatArray:
    counts = np.bincount(shown[shown >= 0], minlength=n_items)
    return np.asarray(counts / max(len(shown), 1), dtype=np.float64)


def _mean(values: npt.NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _keys(frame: pd.DataFrame) -> IntArray:
    return _key(frame[c.CUSTOMER_ROW].to_numpy(dtype=np.int64), frame[c.CATEGORY_ROW].to_numpy(dtype=np.int64))


def _shown_keys(board: Board, shown: IntArray) -> IntArray:
    """Return the key of what each customer is shown; −1 where that is nothing."""
    return np.where(shown >= 0, _key(board.customers, board.items[np.maximum(shown, 0)]), -1)


def _key(customer: IntArray, category: IntArray) -> IntArray:
    return customer * 2**32 + category
