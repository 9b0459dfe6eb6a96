"""What the engine's own challenges of past weeks came to: the rows that the joint chance is fitted and judged on.

A week counts when it begins on a Monday of the source's time zone and had ended by the end of the history. Its
challenges come from a bundle of what was known on that Monday, by models that had learned only from labels that ended
before it, and are composed by the very engine that customers meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment, at_utc
from serving.api import ChallengeRequest
from serving.api_answers import ChallengeAnswer
from serving.bundle import Bundle
from serving.engine import Engine
from training.history import WEEK_DAYS, History

EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday."""

N_ITEMS = 3
NO_DECISION = "0" * 32
"""What is replayed here is not a decision that anybody saw."""

PLACE, COUNTS_LEVEL, COUNTS_ROW = "place", "counts_level", "counts_row"
TARGET, COMPLETION, REWARD_COST = "target_quantity", "completion_probability", "reward_cost"

ROW_OF_LEVEL = {"product": c.PRODUCT_ROW, "product_type": c.TYPE_ROW, "category": c.CATEGORY_ROW}


@dataclass(frozen=True)
class ChallengeRows:
    """Personal challenges of one or more weeks and what came of them.

    Attributes
    ----------
    customers
        Customer rows of the tables, shape ``(n,)``.
    chances
        The three items' probabilities within the challenge's window, shape ``(n, 3)``: habit, habit, stretch.
    shops
        The chance of a trip within the window, shape ``(n,)``.
    done
        Whether each item was bought in the window, shape ``(n, 3)``.
    """

    customers: npt.NDArray[np.int64]
    chances: npt.NDArray[np.float64]
    shops: npt.NDArray[np.float64]
    done: npt.NDArray[np.bool_]
    completion: npt.NDArray[np.float64]
    """The answer's own completion probability, shape ``(n,)``."""

    def __len__(self) -> int:
        """Return the number of challenges."""
        return len(self.customers)

    @property
    def completed(self) -> npt.NDArray[np.bool_]:
        """Return whether all three were bought, shape ``(n,)``."""
        return np.asarray(self.done.all(axis=1), dtype=np.bool_)


def concatenated(parts: Sequence[ChallengeRows]) -> ChallengeRows:
    """Return the rows of several weeks one after the other."""
    if not parts:
        none = np.zeros(0)
        nothing = np.zeros((0, N_ITEMS))
        return ChallengeRows(none.astype(np.int64), nothing, none, nothing.astype(np.bool_), none)
    return ChallengeRows(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(parts[0])))


def mondays(start: Moment, end: Moment, time_zone: str) -> list[Moment]:
    """Return the Mondays at or after `start` whose week has ended by `end`, earliest first.

    Examples
    --------
    >>> from datetime import date
    >>> from features.asof import local_midnight
    >>> first, last = local_midnight(date(2017, 12, 4), "UTC"), local_midnight(date(2018, 1, 1), "UTC")
    >>> [each.day - first.day for each in mondays(first, last, "UTC")]
    [0, 7, 14, 21]
    """
    to_monday = -(start.day + EPOCH_WEEKDAY) % WEEK_DAYS
    found: list[Moment] = []
    while True:
        monday = start.plus_days(to_monday, time_zone)
        if monday.plus_days(WEEK_DAYS, time_zone).us > end.us:
            return found
        found.append(monday)
        to_monday += WEEK_DAYS


def replay_week(bundle: Bundle, history: History, monday: Moment) -> ChallengeRows:
    """Return the challenges that the engine makes of `bundle` for the week of `monday`, and what came of them."""
    return challenge_rows(challenge_items(bundle, history, monday), bundle, history, monday)


def challenge_items(
    bundle: Bundle, history: History, monday: Moment, asked: npt.NDArray[np.int64] | None = None
) -> pd.DataFrame:
    """Return what the personal challenges of a week ask for, three rows each: two habits and a stretch.

    The columns are customer_row, place (0 to 2), `counts_level`, `counts_row`, product_row, probability,
    target_quantity, completion_probability and reward_cost (0 where none is granted). `asked` are the rows of the
    customers whom it is for; None is everybody. Who gets no personal challenge of three items has no rows.
    """
    rows = rows_by_name(history)
    row_of = rows[c.CUSTOMER_ROW]
    wanted = None if asked is None else set(asked.tolist())
    engine, at = Engine(bundle), at_utc(monday.us)
    found: list[tuple[float | int | str, ...]] = []
    for customer_id in bundle.customers.id:
        if wanted is not None and row_of[customer_id] not in wanted:
            continue
        answer = engine.challenge(ChallengeRequest(customer_id=customer_id), at, NO_DECISION)
        if answer["personalized"] and len(answer["items"]) == N_ITEMS:
            found += _item_rows(answer, row_of[customer_id], rows)
    cells = list(zip(*found, strict=True)) or [()] * len(_COLUMNS)
    columns = zip(_COLUMNS.items(), cells, strict=True)
    return pd.DataFrame({name: np.array(each, dtype=kind) for (name, kind), each in columns})


_COLUMNS: Mapping[str, Any] = {  # Any: dtypes
    c.CUSTOMER_ROW: np.int64,
    PLACE: np.int64,
    COUNTS_LEVEL: object,
    COUNTS_ROW: np.int64,
    c.PRODUCT_ROW: np.int64,
    "probability": np.float64,
    TARGET: np.float64,
    COMPLETION: np.float64,
    REWARD_COST: np.float64,
}


def _item_rows(
    answer: ChallengeAnswer, customer_row: int, rows: Mapping[str, Mapping[str, int]]
) -> list[tuple[float | int | str, ...]]:
    reward = answer["reward"]
    cost = 0.0 if reward is None else reward["cost"]
    return [
        (
            customer_row,
            place,
            item["counts"]["level"],
            rows[ROW_OF_LEVEL[item["counts"]["level"]]][item["counts"]["id"]],
            rows[c.PRODUCT_ROW][item["product_id"]],
            item["probability"],
            item["target_quantity"],
            answer["completion_probability"],
            cost,
        )
        for place, item in enumerate(answer["items"])
    ]


def challenge_rows(items: pd.DataFrame, bundle: Bundle, history: History, monday: Moment) -> ChallengeRows:
    """Return the challenges of a frame of `challenge_items` and what came of them in the seven days from `monday`."""
    first = items[items[PLACE] == 0]
    customers = first[c.CUSTOMER_ROW].to_numpy(dtype=np.int64)
    ids = history.tables.read("customers", [c.CUSTOMER_ID, c.CUSTOMER_ROW]).set_index(c.CUSTOMER_ROW)[c.CUSTOMER_ID]
    place = {customer_id: i for i, customer_id in enumerate(bundle.customers.id)}
    places = [place[customer_id] for customer_id in ids.loc[customers]]
    return ChallengeRows(
        customers=customers,
        chances=items["probability"].to_numpy(dtype=np.float64).reshape(-1, N_ITEMS),
        shops=np.asarray(bundle.customers.p_shop[places, WEEK_DAYS - 1], dtype=np.float64),
        done=is_done(items, history.purchases_after(monday, WEEK_DAYS)).reshape(-1, N_ITEMS),
        completion=first[COMPLETION].to_numpy(dtype=np.float64),
    )


def is_done(items: pd.DataFrame, lines: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return whether each item was bought, at least as many pieces as asked, shape ``(len(items),)``.

    `items` has customer_row, `counts_level`, `counts_row` and target_quantity; `lines` are those of the window
    (features/labels.sql), of which purchases count, net of returns.
    """
    bought = lines[lines[c.IS_PURCHASE]]
    pieces = np.zeros(len(items))
    levels = items[COUNTS_LEVEL].to_numpy()
    for level, row in ROW_OF_LEVEL.items():
        of_level = np.flatnonzero(levels == level)
        sums = bought.groupby([c.CUSTOMER_ROW, row])[c.QUANTITY].sum()
        keys = pd.MultiIndex.from_frame(items.iloc[of_level][[c.CUSTOMER_ROW, COUNTS_ROW]])
        pieces[of_level] = sums.reindex(keys).fillna(0.0).to_numpy()
    return np.asarray(pieces >= items[TARGET].to_numpy(), dtype=np.bool_)


def rows_by_name(history: History) -> dict[str, dict[str, int]]:
    """Return for customers and every level the row of each id or name."""
    tables = history.tables
    named = {
        c.CUSTOMER_ROW: tables.read("customers", [c.CUSTOMER_ID, c.CUSTOMER_ROW]),
        c.PRODUCT_ROW: tables.read("products", [c.PRODUCT_ID, c.PRODUCT_ROW]),
        c.TYPE_ROW: tables.read("types", [c.PRODUCT_TYPE, c.TYPE_ROW]),
        c.CATEGORY_ROW: tables.read("categories", [c.CATEGORY, c.CATEGORY_ROW]),
    }
    return {row: dict(zip(frame.iloc[:, 0], frame[row].tolist(), strict=True)) for row, frame in named.items()}
