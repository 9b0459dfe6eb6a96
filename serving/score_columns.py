"""Scores of many customers in columns, told either as dictionaries or as the JSON text that these would make.

A thousand customers with ten categories each are 12,000 dictionaries, which take longer to make, to encode and to have
collected than all else about them; text that is put together from columns needs none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import orjson

from serving.answers import VALUE_HORIZON_DAYS
from serving.api_answers import CategoryChance, LifetimeValue
from serving.tier import Tier

_N_OF_EACH = 8  # columns of one value a customer, the first ones


class Columns(NamedTuple):
    """The numbers of customers, a column each, in their order.

    `categories` (rows) and `chances` are those of all customers, one customer after the other; `ends` says before which
    place those of each end.
    """

    churn: Sequence[float]
    next_at: Sequence[str]
    value: Sequence[float]
    score: Sequence[float]
    segment: Sequence[str | None]
    tier: Sequence[Tier]
    channel: Sequence[str | None]
    hour: Sequence[int | None]
    categories: Sequence[int]
    chances: Sequence[float]
    ends: Sequence[int]

    def spans(self) -> Iterator[slice]:
        """Return where the categories of each customer stand."""
        return map(slice, (0, *self.ends), self.ends)


class ScoreWriter:
    """Tells what stands in columns, by the names of the categories' rows and the currency of all money."""

    def __init__(self, category_names: Sequence[str], currency: str) -> None:
        self._names, self._currency = category_names, currency
        # What comes before a chance, and after a value.
        self._before = [f'{{"category":{as_json(name)},"probability":' for name in category_names]
        self._after = f'"horizon_days":{VALUE_HORIZON_DAYS},"currency":{as_json(currency)}'

    def dictionaries(self, columns: Columns) -> Iterator[dict[str, object]]:
        """Yield the numbers of each customer."""
        names, currency = self._names, self._currency
        found = zip(columns.categories, columns.chances, strict=True)
        chances: list[CategoryChance] = [{"category": names[each], "probability": p} for each, p in found]
        rows = zip(*columns[:_N_OF_EACH], columns.spans(), strict=True)
        for churn, next_at, value, score, segment, tier, channel, hour, span in rows:
            yield {
                "churn_probability": churn,
                "next_purchase_at": next_at,
                "lifetime_value": LifetimeValue(value=value, horizon_days=VALUE_HORIZON_DAYS, currency=currency),
                "customer_score": score,
                "segment": segment,
                "engagement_tier": tier,
                "best_channel": channel,
                "best_hour": hour,
                "categories": chances[span],
            }

    def texts(self, columns: Columns) -> Iterator[str]:
        """Yield the same as JSON: the members of an object, without its braces."""
        before, after = self._before, self._after
        found = zip(columns.categories, _texts(columns.chances), strict=True)
        chances = [before[each] + p for each, p in found]
        rows = zip(
            _texts(columns.churn),
            _texts(columns.next_at),
            _texts(columns.value),
            _texts(columns.score),
            map(_label, columns.segment),
            map(_label, columns.tier),
            map(_label, columns.channel),
            _texts(columns.hour),
            columns.spans(),
            strict=True,
        )
        for churn, next_at, value, score, segment, tier, channel, hour, span in rows:
            categories = "},".join(chances[span]) + "}" if span.stop > span.start else ""
            yield (
                f'"churn_probability":{churn},"next_purchase_at":{next_at},"lifetime_value":{{"value":{value},{after}}},'
                f'"customer_score":{score},"segment":{segment},"engagement_tier":{tier},"best_channel":{channel},'
                f'"best_hour":{hour},"categories":[{categories}]'
            )


def as_json(value: object) -> str:
    """Return a value as JSON, as an answer has it."""
    return orjson.dumps(value).decode()


def _texts(column: Sequence[float | str | None]) -> list[str]:
    """Return each value of a column as JSON; none of them may hold a comma.

    >>> _texts([0.5, None, "a"])
    ['0.5', 'null', '"a"']
    """
    return as_json(column)[1:-1].split(",") if column else []


_label = lru_cache(maxsize=256)(as_json)
