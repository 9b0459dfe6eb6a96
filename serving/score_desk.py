"""Customers in numbers, many at once: what `Answers.score` says of one, a column at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import orjson

from serving.answers import FARTHEST_DAYS
from serving.api_answers import Score
from serving.decisioning.contact import TOLD
from serving.decisioning.windows import iso
from serving.desk import Desk
from serving.live import epoch_us
from serving.score_columns import Columns, ScoreWriter, as_json
from serving.state.known import NOTHING_KNOWN, Known, Live
from serving.tier import Tier

_DAY_US = 86_400_000_000.0
_TIERS_REMEMBERED = 65_536
_FEW = 2  # customers who are told of in less time one after the other
_NOT_TOLD: Mapping[str, None] = dict.fromkeys(
    (
        "churn_probability",
        "next_purchase_at",
        "lifetime_value",
        "customer_score",
        "segment",
        "engagement_tier",
        "best_channel",
        "best_hour",
    )
)
_NOT_TOLD_TEXT = as_json({**_NOT_TOLD, "categories": []})[1:-1]

Rows = npt.NDArray[np.int64]


class Scores(NamedTuple):
    """The scores of customers in the order asked, and whether any of them may get personal answers."""

    scores: list[Score]
    is_personal: bool


class ScoresText(NamedTuple):
    """The same with the scores as a JSON list, to be written into an answer as it is."""

    scores: orjson.Fragment
    is_personal: bool


class _Asked(NamedTuple):
    """What is found of customers: their rows and whether they may be told of, and the numbers of those who may."""

    rows: list[tuple[int, bool]]
    columns: Columns
    is_personal: bool


class ScoreDesk:
    """Tells scores from one open bundle."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._bundle = desk.bundle
        self._features_at = iso(desk.bundle.manifest.as_of)
        self._as_of_us = epoch_us(desk.bundle.manifest.as_of)
        self._segments, self._channels = list(desk.bundle.segments), list(desk.bundle.channels)
        self._writer = ScoreWriter(desk.shelf.category_names, desk.bundle.manifest.currency)
        self._tier_of_row = lru_cache(_TIERS_REMEMBERED)(desk.contacts.tier_of_row)

    def scores(self, customer_ids: Sequence[str], at: datetime, known: Mapping[str, Known], *, k: int) -> Scores:
        """Return the scores, with the `k` best categories each; nulls of whom nothing is known or may be told.

        InvalidRequest when `at` lies before the bundle's as-of.
        """
        if len(customer_ids) <= _FEW:
            return self._one_by_one(customer_ids, at, known, k)
        asked = self._asked(customer_ids, at, known, k)
        told = self._writer.dictionaries(asked.columns)
        scores = []
        for customer_id, (row, is_told) in zip(customer_ids, asked.rows, strict=True):
            numbers = next(told) if is_told else {**_NOT_TOLD, "categories": []}
            about = {"features_at": self._features_at, "cold_start": row < 0}
            scores.append(cast("Score", {"customer_id": customer_id, **numbers, **about}))
        return Scores(scores, asked.is_personal)

    def text(self, customer_ids: Sequence[str], at: datetime, known: Mapping[str, Known], *, k: int) -> ScoresText:
        """Return the same as text, in half the time where there are many."""
        if len(customer_ids) <= _FEW:
            few = self._one_by_one(customer_ids, at, known, k)
            return ScoresText(orjson.Fragment(orjson.dumps(few.scores)), few.is_personal)
        asked = self._asked(customer_ids, at, known, k)
        told = self._writer.texts(asked.columns)
        about = {
            is_cold: as_json({"features_at": self._features_at, "cold_start": is_cold})[1:] for is_cold in (True, False)
        }
        scores = [
            f'{{"customer_id":{as_json(each)},{next(told) if is_told else _NOT_TOLD_TEXT},{about[row < 0]}'
            for each, (row, is_told) in zip(customer_ids, asked.rows, strict=True)
        ]
        return ScoresText(orjson.Fragment(f"[{','.join(scores)}]"), asked.is_personal)

    def _one_by_one(self, customer_ids: Sequence[str], at: datetime, known: Mapping[str, Known], k: int) -> Scores:
        scores, is_personal = [], False
        for customer_id in customer_ids:
            here = known.get(customer_id, NOTHING_KNOWN)
            shopper = self._desk.shopper(customer_id, None, at, here)
            tier = self._desk.contacts.tier(customer_id, here.live)
            scores.append(self._desk.answers.score(customer_id, at, shopper=shopper, tier=tier, k=k))
            is_personal |= shopper.is_personal
        return Scores(scores, is_personal)

    def _asked(self, customer_ids: Sequence[str], at: datetime, known: Mapping[str, Known], k: int) -> _Asked:
        self._desk.check(at)
        lives = [known.get(each, NOTHING_KNOWN).live for each in customer_ids]
        rows, tiers = self._looked_up(customer_ids, lives)
        columns = self._columns(np.array([row for row, is_told in rows if is_told], dtype=np.int64), at, tiers, k)
        is_personal = any(is_told for _, is_told in rows) or self._is_any_personal(customer_ids, at, known, rows)
        return _Asked(rows, columns, is_personal)

    def _looked_up(
        self, customer_ids: Sequence[str], lives: Sequence[Live]
    ) -> tuple[list[tuple[int, bool]], list[Tier]]:
        """Return the row of each customer and whether it may be told of, and the tiers of those of whom it may."""
        shoppers, contacts = self._desk.shoppers, self._desk.contacts
        found, tiers = [], []
        for customer_id, live in zip(customer_ids, lives, strict=True):
            rows = shoppers.rows(customer_id, live)
            is_told = bool(rows) and shoppers.consents(rows[0], live)
            found.append((rows[0] if rows else -1, is_told))
            if is_told:
                is_plain = len(rows) == 1 and not any(event.type in TOLD for event in live.events)
                tiers.append(self._tier_of_row(rows[0]) if is_plain else contacts.tier(customer_id, live))
        return found, tiers

    def _is_any_personal(
        self,
        customer_ids: Sequence[str],
        at: datetime,
        known: Mapping[str, Known],
        rows: Sequence[tuple[int, bool]],
    ) -> bool:
        """Return whether one whom the bundle doesn't know has done enough for personal answers."""
        unknown = [each for each, (row, _) in zip(customer_ids, rows, strict=True) if row < 0 and each in known]
        return any(
            self._desk.shopper(each, None, at, known[each]).is_personal for each in unknown if known[each].live.events
        )

    def _columns(self, rows: Rows, at: datetime, tiers: Sequence[Tier], k: int) -> Columns:
        """Return all numbers of these rows of the bundle."""
        customers, propensity = self._bundle.customers, self._bundle.propensity
        starts = propensity.offsets[rows].astype(np.int64)
        counts = np.minimum(propensity.offsets[rows + 1].astype(np.int64) - starts, k)
        ends = np.cumsum(counts)
        places = np.repeat(starts - ends + counts, counts) + np.arange(ends[-1] if len(ends) else 0)
        return Columns(
            rounded(customers.churn[rows], 6),
            self._next_purchases(customers.next_days[rows], at),
            rounded(customers.value[rows], 4),
            rounded(customers.score[rows], 4),
            labels(self._segments, customers.segment[rows]),
            tiers,
            labels(self._channels, customers.channel[rows]),
            [hour if hour >= 0 else None for hour in customers.hour[rows].tolist()],
            propensity.category[places].tolist(),
            rounded(propensity.p28.read(np.repeat(rows, counts), places), 6),
            ends.tolist(),
        )

    def _next_purchases(self, days: npt.NDArray[np.float32], at: datetime) -> list[str]:
        """Return when each is expected next, as answers write a moment: not before `at`, to the second."""
        us = self._as_of_us + np.rint(np.minimum(days.astype(np.float64), FARTHEST_DAYS) * _DAY_US).astype(np.int64)
        seconds = np.maximum(us, epoch_us(at)) // 1_000_000
        return [f"{text}Z" for text in np.datetime_as_string(seconds.astype("datetime64[s]")).tolist()]


def rounded(values: npt.NDArray[np.floating], places: int) -> list[float]:
    """Return float32 numbers as `round` gives each: their products with 10^places are whole within float64's 53 bits.

    Of chances as `Falling` reads them none lies so near a half that it would be another.

    >>> rounded(np.array([0.1, 0.0078125], dtype=np.float32), 6)
    [0.1, 0.007812]
    """
    scale = 10.0**places
    found: list[float] = (np.rint(values.astype(np.float64) * scale) / scale).tolist()
    return found


def labels(names: Sequence[str], rows: npt.NDArray[np.integer]) -> list[str | None]:
    """Return the name of each row, None for -1."""
    return [names[row] if row >= 0 else None for row in rows.tolist()]
