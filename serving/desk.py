"""What every decision of one engine is made with: who asks, what is on the shelf, and what may be shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from serving.answers import Answers
from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, Request, SubstitutesRequest
from serving.bundle import Bundle
from serving.bundle_format import OUT_OF_STOCK
from serving.candidates import Candidates, Neighbour
from serving.channels import CHANNELS, MESSAGE_CHANNELS, Channel
from serving.contact_desk import ContactDesk
from serving.decisioning.merchandising import Call, Display, Merchants
from serving.decisioning.policy_merchandising import NO_RULES
from serving.decisioning.reasons import Reasons
from serving.decisioning.rules import Gone, Pace, Screen, Withheld
from serving.decisioning.windows import iso
from serving.errors import InvalidRequest
from serving.live import Shoppers
from serving.live_stock import StockRoom, nothing_is_out
from serving.records import call_of
from serving.shelf import Shelf
from serving.state.known import Known, Live
from serving.taste import Shopper

# The calendar ends with 9999, and a week must end before it.
_LAST_YEAR = 9998
_NOTHING: frozenset[int] = frozenset()


class Desk:
    """One open bundle, ready to be asked; without `applies_rules` nothing is just bought, out of stock or refused."""

    def __init__(self, bundle: Bundle, *, applies_rules: bool) -> None:
        self.bundle = bundle
        self.applies_rules = applies_rules
        self.shelf = Shelf(bundle, margin_rate=bundle.policy.margin.rate_where_unknown)
        self.candidates = Candidates(bundle, self.shelf)
        self.pace = Pace(bundle.policy.habit, applies_rules=applies_rules)
        self.reasons = Reasons(self.shelf, self.pace)
        self.answers = Answers(bundle, self.shelf)
        self.shoppers = Shoppers(bundle, self.shelf, self.candidates, applies_rules=applies_rules)
        self.contacts = ContactDesk(bundle, self.shoppers)
        self._stock = StockRoom(self.shelf)
        rules = bundle.policy.merchandising if applies_rules else NO_RULES
        self._merchants = Merchants(bundle, self.shelf, rules)

    def shopper(self, customer_id: str | None, store_id: str | None, at: datetime, known: Known) -> Shopper:
        """Return who asks; InvalidRequest when `at` lies before the bundle's as-of."""
        self.check(at)
        return self.shoppers.shopper(customer_id, store_id, at, known.live)

    def check(self, at: datetime) -> None:
        """Raise InvalidRequest for a moment that the bundle has no answer for."""
        as_of = self.bundle.manifest.as_of
        if at < as_of:
            raise InvalidRequest("at", f"is before the bundle's as-of, {iso(as_of)}")
        if at.year > _LAST_YEAR:
            raise InvalidRequest("at", f"is after the year {_LAST_YEAR}")

    def best_channel(self, customer_id: str, live: Live) -> Channel:
        """Return where a customer is to be met; told in `serving.engine.Engine`."""
        customers = self.bundle.customers
        row = self.shoppers.row(customer_id, live)
        label = self.bundle.channels[customers.channel[row]] if row >= 0 and customers.channel[row] >= 0 else None
        consents = self.shoppers.consent(customer_id, live)
        best = next((each for each in CHANNELS if each == label), None)
        if best is not None and not (best.is_message and not consents[best]):
            return best
        return next((each for each in MESSAGE_CHANNELS if consents[each]), Channel.WEB)

    def is_out(self, store_id: str | None, known: Known) -> Callable[[int], bool]:
        """Return what says of a product's row whether it is out of stock in that store."""
        return self._stock.is_out(known.stock, store_id) if self.applies_rules else nothing_is_out

    def display(self, request: Request, shopper: Shopper) -> Display:
        """Return what the merchants' rules make of a request; nothing for answers to which no rule applies.

        They hold as of the moment that was asked for, also where the answer is made as of an earlier one.
        """
        if not self._merchants.has_rules:
            return self._merchants.plain
        at = request.at or shopper.at
        return self._merchants.display(Call(call_of(request), at, request.placement, shopper.place))

    def screen(
        self,
        request: ChallengeRequest | RecommendationsRequest | AlsoBoughtRequest | SubstitutesRequest,
        shopper: Shopper,
        known: Known,
        *,
        forbidden_flags: int = 0,
        extra: Callable[[int], Withheld | None] | None = None,
    ) -> Screen:
        """Return what keeps products out of the answer to a request; `forbidden_flags` are those that it adds."""
        rows_of = self.shelf.rows_of
        excluded = rows_of(request.exclude) if request.exclude else _NOTHING
        basket = rows_of(request.basket) | shopper.basket if request.basket else shopper.basket
        gone = Gone(excluded, basket, shopper.dismissed)
        flagged = OUT_OF_STOCK if self.applies_rules and not known.stock.available else 0
        return Screen(
            self.shelf,
            gone=gone,
            forbidden_flags=forbidden_flags | flagged,
            flags=self.display(request, shopper).flags,
            is_out=self.is_out(shopper.store_id, known) if known.stock.available else None,
            trace=known.trace,
            extra=extra,
        )

    def neighbours_of(self, shopper: Shopper, basket: Sequence[str]) -> list[Neighbour]:
        """Return what goes with the basket of one whom the bundle doesn't know; nothing where consent was refused."""
        return self.candidates.neighbours(sorted(self.shelf.rows_of(basket))) if shopper.row < 0 else []
