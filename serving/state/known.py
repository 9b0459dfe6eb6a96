"""What the state knows that the bundle does not, as values that the engine can be given: it reads no store itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.state.events import Event


@dataclass(frozen=True, slots=True)
class Live:
    """One customer between bundles.

    `customer_id` is the id that stands after merges (empty for nobody), `also` those that were merged into it.
    `events` are the newest that are kept, in order of (at_us, event_id), of all these ids. `consent` is what was said
    over the API (None: nothing, then the bundle's and the policy's hold). `is_erased`: they asked to be forgotten, so
    that what a bundle older than `erased_us` knows of them does not count.
    """

    customer_id: str
    also: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    consent: Mapping[str, bool] | None = None
    is_erased: bool = False
    erased_us: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether they were forgotten, and nothing new was told of them since."""
        return self.is_erased and not self.events and self.consent is None


@dataclass(frozen=True, slots=True)
class Stock:
    """What is in stock by the latest word: pieces (0: none; math.inf: there is some) by product_id and store_id.

    The store None is everywhere; a store's own word goes before it. `generation` tells two states of the stock apart.
    """

    generation: int = 0
    available: Mapping[tuple[str, str | None], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WithheldItem:
    """A product that would have been in an answer, and the code of the rule that kept it out."""

    product_id: str
    reason: str


@dataclass(slots=True)
class Trace:
    """Collects, for the record of a decision, what was withheld: the best-ranked first, at most `limit`."""

    limit: int = 20
    withheld: list[WithheldItem] = field(default_factory=list)

    def add(self, product_id: str, reason: str) -> None:
        """Note a product once, for the first reason found, while there is room."""
        is_new = all(each.product_id != product_id for each in self.withheld)
        if is_new and len(self.withheld) < self.limit:
            self.withheld.append(WithheldItem(product_id, str(reason)))


NOBODY = Live("")
NO_STOCK = Stock()


@dataclass(frozen=True, slots=True)
class Known:
    """What one call may decide by besides the bundle; the default is: nothing."""

    live: Live = NOBODY
    stock: Stock = NO_STOCK
    trace: Trace | None = None


NOTHING_KNOWN = Known()
