"""What is promised with an offer, as values: money held for a customer, and answers that stand for a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.state.events import Event

MINUTE_US = 60_000_000
"""Money of a hold that has ended comes back with the next whole minute."""


@dataclass(frozen=True, slots=True)
class Hold:
    """An offer that a customer was given, the same on every channel until `until_us` (epoch µs).

    `cost` is what is reserved of the offer's budget for it, money; 0 for one without a budget. `redeemed_us` is when it
    was redeemed, None while it wasn't. `back_minute` is the minute (since 1970) in which the money comes back, where
    it is later than that of its end.
    """

    offer_id: str
    cost: float
    given_us: int
    until_us: int
    redeemed_us: int | None = None
    back_minute: int = 0


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer that stands for as long as `fingerprint` is the same, before `until_us`.

    `key` says what was asked, such as `offers/email`: one answer of a key is kept. `stock` tells how available the
    products were that are in it.
    """

    key: str
    fingerprint: str
    at_us: int
    until_us: int
    answer: Mapping[str, Any]  # Any: an answer, typed in serving/api_offers.py and api_actions.py
    stock: str = ""


@dataclass(frozen=True, slots=True)
class Spending:
    """What is gone of an offer's budget, money: reserved for customers who hold it, and spent by redemptions."""

    reserved: float = 0.0
    spent: float = 0.0

    @property
    def gone(self) -> float:
        """Return what of the budget can't be reserved any more."""
        return self.reserved + self.spent


@dataclass(frozen=True, slots=True)
class Promise:
    """What one answer promises a customer: all of it is kept in one commit, or none.

    `holds` are those that are new (an offer that the customer holds already is not reserved again), `budgets` the money
    of those offers that have a budget; `sends` are the messages that the answer is. `basis` is that of the `Known` that
    it was decided by: where one of those documents has changed since, nothing is kept.
    """

    kept: KeptAnswer
    holds: tuple[Hold, ...] = ()
    budgets: Mapping[str, float] = field(default_factory=dict)
    sends: tuple[Event, ...] = ()
    basis: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Promised:
    """What became of a promise.

    `kept` is the promised answer once it is kept. It is None where nothing was: the budgets of the `refused` offers had
    not enough left, or (none is refused) something that it was decided by has changed, and it is to be decided again.
    """

    kept: KeptAnswer | None
    refused: frozenset[str] = frozenset()
