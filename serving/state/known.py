"""What the state knows that the bundle does not, as values that the engine can be given: it reads no store itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from serving.state.drafts import quick
from serving.state.events import Event
from serving.state.holding import held
from serving.state.holds import MINUTE_US, Hold, KeptAnswer, Spending

if TYPE_CHECKING:
    from serving.state.challenges import Challenge, KeptChallenge


class Tried(NamedTuple):
    """A challenge that a customer was shown: when its week ended, and when they completed it, if they did."""

    ends_us: int
    completed_us: int | None


class Earned(NamedTuple):
    """A reward that a customer has earned by a challenge and not redeemed: what it is, money, and since when."""

    reward_id: str
    kind: str
    value: float
    completed_us: int


@dataclass(frozen=True, slots=True)
class Live:
    """One customer between bundles.

    `customer_id` is the id that stands after merges (empty for nobody), `also` those that were merged into it.
    `events` are the newest that are kept, in order of (at_us, event_id), of all these ids. `consent` is what was said
    over the API (None: nothing, then the bundle's and the policy's hold). `is_erased`: they asked to be forgotten, so
    that what a bundle older than `erased_us` knows of them does not count. `holds` are the offers that they were given
    lately; `held_at` says which of them stand. `tried` are the challenges that they were shown, `challenge` is the
    newest of them where it is not completed (its purchases count by `kinds`, the product type and category of each
    product bought), `rewards` are those that they have not redeemed.
    """

    customer_id: str
    also: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    consent: Mapping[str, bool] | None = None
    is_erased: bool = False
    erased_us: int = 0
    holds: tuple[Hold, ...] = ()
    tried: tuple[Tried, ...] = ()
    challenge: Challenge | None = None
    kinds: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    rewards: tuple[Earned, ...] = ()

    def held_at(self, at_us: int) -> tuple[Hold, ...]:
        """Return the offers that the customer holds at a moment."""
        return held(self.holds, at_us)

    def challenges_at(self, at_us: int) -> tuple[int, int]:
        """Return how many challenges they had completed by a moment, and how many had ended without that."""
        tried = [each for each in self.tried if each.ends_us > self.erased_us]
        is_done = [each.completed_us is not None and each.completed_us < at_us for each in tried]
        has_ended = [each.ends_us <= at_us for each in tried]
        return sum(is_done), sum(ended and not done for ended, done in zip(has_ended, is_done, strict=True))

    def says_more_than(self, customer_id: str) -> bool:
        """Return whether anything but this id is known: who they are, what they did, said, asked for or were given.

        >>> anna = Live("anna", consent={"email": False})
        >>> anna.says_more_than("anna"), Live("ben").says_more_than("ben"), Live("ben").says_more_than("ben-2")
        (True, False, True)
        """
        told = self.events or self.also or self.holds or self.tried or self.rewards
        return bool(told) or self.consent is not None or self.is_erased or self.customer_id != customer_id

    @property
    def is_gone(self) -> bool:
        """Whether they were forgotten, and nothing new was told of them since."""
        return self.is_erased and not self.events and self.consent is None


@dataclass(frozen=True, slots=True)
class Stock:
    """What is in stock by the latest word: pieces (0: none; math.inf: there is some) by product_id and store_id.

    The store None is everywhere; a store's own word goes before it. `generation` tells two states of the stock apart.
    `returned` are those that an earlier word said to be out, and the latest says to be there.
    """

    generation: int = 0
    available: Mapping[tuple[str, str | None], float] = field(default_factory=dict)
    returned: frozenset[tuple[str, str | None]] = frozenset()


@dataclass(frozen=True, slots=True)
class WithheldItem:
    """A product (or an offer) that would have been in an answer, and the code of the rule that kept it out."""

    product_id: str | None
    reason: str
    offer_id: str | None = None


class Odds(NamedTuple):
    """An option of a draw: how likely it was to be chosen, and what it was ranked by."""

    id: str
    probability: float
    weight: float


@dataclass(frozen=True, slots=True)
class Draw:
    """What was drawn for a slot of an answer, with which probability, among which options (their odds add up to 1).

    A draw stands as it fell: `replaced_by` names what was shown in its place once it was out of stock, which would have
    befallen it under any policy.
    """

    slot: str
    chosen: str
    probability: float
    among: tuple[Odds, ...]
    replaced_by: str | None = None


@dataclass(slots=True)
class Trace:
    """Collects, for the record of a decision, what was withheld, the best-ranked first, at most `limit`; and the draws.

    `wanted` names the option that a slot is to get, whatever is drawn: a replay asks so what else might have been.
    """

    limit: int = 20
    withheld: list[WithheldItem] = field(default_factory=list)
    draws: list[Draw] = field(default_factory=list)
    wanted: Mapping[str, str] = field(default_factory=dict)

    def add(self, product_id: str, reason: str) -> None:
        """Note a product once, for the first reason found, while there is room."""
        is_new = all(each.product_id != product_id for each in self.withheld)
        if is_new and len(self.withheld) < self.limit:
            self.withheld.append(WithheldItem(product_id, str(reason)))

    def add_offer(self, offer_id: str, reason: str) -> None:
        """Note an offer, each once for the first reason found; all of them, as an answer names them all."""
        if all(each.offer_id != offer_id for each in self.withheld):
            self.withheld.append(WithheldItem(None, str(reason), offer_id))

    def draw(self, draw: Draw) -> None:
        """Note a draw; a slot that is drawn again, in an answer that is made anew, keeps the last one."""
        self.draws = [*(each for each in self.draws if each.slot != draw.slot), draw]


def no_challenge(_monday_day: int) -> None:
    """Return that no challenge is known of any week."""


NOBODY = Live("")
NO_STOCK = Stock()
NO_BASIS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Known:
    """What one call may decide by besides the bundle; the default is: nothing.

    `spending` is what is gone of the budgets of the offers that were asked about (missing: nothing), `kept` the answers
    that may stand still, by what was asked. `may_promise` is False where nothing can be: the state is away, so that no
    offer with a budget may be given, and no message sent. `basis` are the documents that all this was read from, with
    their versions: what is promised by it is promised only as long as they stand. `challenge_of` tells the challenge of
    a week by the local day of its Monday, as all that was ever told of it has it.
    """

    live: Live = NOBODY
    stock: Stock = NO_STOCK
    trace: Trace | None = None
    spending: Mapping[str, Spending] = field(default_factory=dict)
    kept: Mapping[str, KeptAnswer] = field(default_factory=dict)
    may_promise: bool = True
    basis: Mapping[str, int] = field(default_factory=dict)
    swept_us: int = 0
    challenge_of: Callable[[int], KeptChallenge | None] = field(default=no_challenge, compare=False)

    def traced(self, trace: Trace) -> Known:
        """Return the same with what collects the record of a decision; faster than `dataclasses.replace`."""
        shop = (self.spending, self.kept, self.may_promise, self.basis, self.swept_us, self.challenge_of)
        return _known_of(self.live, self.stock, trace, *shop)

    def is_late(self, until_us: int) -> bool:
        """Return whether some of these budgets may have money to come back by a moment: a whole minute has passed."""
        return until_us >= self.swept_us + MINUTE_US and any(each.reserved for each in self.spending.values())


_known_of = quick(Known)
NOTHING_KNOWN = Known()
