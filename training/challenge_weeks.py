"""What the engine's own challenges of past weeks came to: the rows that the joint chance is fitted and judged on.

A week counts when it begins on a Monday of the source's time zone and had ended by the end of the history. Its
challenges come from a bundle of what was known on that Monday, by models that had learned only from labels that ended
before it, and are composed by the very engine that customers meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from features import columns as c
from features.asof import Moment, at_utc
from serving.api import ChallengeRequest
from serving.bundle import Bundle
from serving.engine import Engine
from training.history import WEEK_DAYS, History

EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday."""

N_ITEMS = 3
NO_DECISION = "0" * 32
"""What is replayed here is not a decision that anybody saw."""

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
        return ChallengeRows(
            np.zeros(0, dtype=np.int64),
            np.zeros((0, N_ITEMS)),
            np.zeros(0),
            np.zeros((0, N_ITEMS), dtype=np.bool_),
            np.zeros(0),
        )
    return ChallengeRows(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("customers", "chances", "shops", "done", "completion")
        )
    )


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
    answers = challenges(bundle, monday)
    bought = _bought(history, monday)
    rows = _rows_by_name(history)
    customer_rows = rows[c.CUSTOMER_ROW]
    days = WEEK_DAYS - 1
    kept = [customer_rows[customer_id] for customer_id, _ in answers]
    return ChallengeRows(
        customers=np.array(kept, dtype=np.int64),
        chances=_matrix([[item["probability"] for item in answer["items"]] for _, answer in answers]),
        shops=np.array([bundle.customers.p_shop[place, days] for place in _places(bundle, answers)], dtype=np.float64),
        done=_matrix(
            [
                [_is_done(item, customer, rows, bought) for item in answer["items"]]
                for customer, (_, answer) in zip(kept, answers, strict=True)
            ]
        ).astype(np.bool_),
        completion=np.array([answer["completion_probability"] for _, answer in answers], dtype=np.float64),
    )


Answer = dict[str, Any]  # Any: the engine's plain JSON answers


def challenges(bundle: Bundle, monday: Moment) -> list[tuple[str, Answer]]:
    """Return the personal challenges of three items that the bundle's customers get for the week of `monday`."""
    engine, at = Engine(bundle), at_utc(monday.us)
    made = []
    for customer_id in bundle.customers.id:
        answer: Any = engine.challenge(ChallengeRequest(customer_id=customer_id), at, NO_DECISION)
        if answer["personalized"] and len(answer["items"]) == N_ITEMS:
            made.append((customer_id, answer))
    return made


def _places(bundle: Bundle, answers: Sequence[tuple[str, Answer]]) -> list[int]:
    place = {customer_id: i for i, customer_id in enumerate(bundle.customers.id)}
    return [place[customer_id] for customer_id, _ in answers]


def _matrix(values: Sequence[Sequence[float]]) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float64).reshape(len(values), N_ITEMS)


def _bought(history: History, monday: Moment) -> dict[str, Mapping[tuple[int, int], float]]:
    """Return the net pieces bought in the week by customer and item, for each level."""
    lines = history.purchases_after(monday, WEEK_DAYS)
    lines = lines[lines[c.IS_PURCHASE]]
    return {
        level: cast("dict[tuple[int, int], float]", lines.groupby([c.CUSTOMER_ROW, row])[c.QUANTITY].sum().to_dict())
        for level, row in ROW_OF_LEVEL.items()
    }


def _is_done(
    item: Answer,
    customer: int,
    rows: Mapping[str, Mapping[str, int]],
    bought: Mapping[str, Mapping[tuple[int, int], float]],
) -> bool:
    level, name = item["counts"]["level"], item["counts"]["id"]
    return bool(bought[level].get((customer, rows[ROW_OF_LEVEL[level]][name]), 0.0) >= item["target_quantity"])


def _rows_by_name(history: History) -> dict[str, dict[str, int]]:
    """Return for customers and every level the row of each id or name."""
    tables = history.tables
    named = {
        c.CUSTOMER_ROW: tables.read("customers", [c.CUSTOMER_ID, c.CUSTOMER_ROW]),
        c.PRODUCT_ROW: tables.read("products", [c.PRODUCT_ID, c.PRODUCT_ROW]),
        c.TYPE_ROW: tables.read("types", [c.PRODUCT_TYPE, c.TYPE_ROW]),
        c.CATEGORY_ROW: tables.read("categories", [c.CATEGORY, c.CATEGORY_ROW]),
    }
    return {row: dict(zip(frame.iloc[:, 0], frame[row].tolist(), strict=True)) for row, frame in named.items()}
