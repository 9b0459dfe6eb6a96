"""What a customer of a list could be given: their offers, or their actions, the best first, and what these claim."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from serving.api_actions import ActionsRequest
from serving.api_offer_codes import ActionKind, Trigger
from serving.api_offers import OffersRequest
from serving.batch_tables import Row, flat
from serving.channels import CHANNELS, Channel
from serving.decide_offers import PromiseDecider, Weighed
from serving.engine import Engine
from serving.keeping import Answered, Door
from serving.live import epoch_us
from serving.state.known import NOTHING_KNOWN, Known, Live

MOST_OFFERS = 100
"""As many offers as an answer may have: so far down may somebody go who is turned away."""

TRIGGERS = tuple(Trigger)

NOT_LINKED = "not_linked"
NOT_LINKED_TEXT = "Nothing that is sent may be kept under their id, so that it could not be counted."
NO_TRIGGER = "no_trigger"
NO_TRIGGER_TEXT = "Nothing is true of them now that would be a reason to speak."


@dataclass(frozen=True, slots=True)
class Option:
    """One choice: its row of the list, what it is expected to bring the shop, and the offer whose budget it claims.

    `what` is the place of its channel in `CHANNELS` (offers), or of its trigger in `TRIGGERS` (actions).
    """

    row: Row
    value: float
    what: int
    claim: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """All that one customer could be given, the best first; `row` is the bundle's, -1 where it doesn't know them.

    `withheld` says of offers ("" for whatever they would have been given) why they are not among it.
    """

    customer_id: str
    row: int
    found: list[Option] = field(default_factory=list)
    withheld: list[tuple[str, str]] = field(default_factory=list)


class Weigher(Protocol):
    """Says what customers could be given; what is promised to them afterwards is asked for by `request`."""

    def options(self, customer_id: str) -> Options:
        """Return what a customer could be given."""
        ...

    def request(self, customer_id: str, what: int) -> OffersRequest | ActionsRequest | None:
        """Return what a customer is to be asked for; `what` as the option says, -1: there was none."""
        ...

    def rows(self, customer_id: str, request: OffersRequest | ActionsRequest, answer: Answered) -> list[Row]:
        """Return an answer's rows of the list."""
        ...


class Weighing(Protocol):
    """Says what customers would be answered, and what is known of them."""

    def live(self, customer_id: str) -> Live:
        """Return what has happened to a customer."""
        ...

    def weigh(
        self,
        request: OffersRequest | ActionsRequest,
        refused: frozenset[str] = frozenset(),
        *,
        wider: OffersRequest | None = None,
    ) -> Weighed:
        """Return an answer that nothing is promised by, as `PromiseDecider.weigh` does."""
        ...


class Knowing:
    """Weighs at one moment by what the state knows."""

    def __init__(self, decider: PromiseDecider, door: Door, at: datetime) -> None:
        self._decider = decider
        self._door = door
        self._at = at
        self._before_us = epoch_us(at)

    def live(self, customer_id: str) -> Live:
        """Return what has happened to a customer."""
        return self._door.read(lambda state: state.live(customer_id, before_us=self._before_us))

    def weigh(
        self,
        request: OffersRequest | ActionsRequest,
        refused: frozenset[str] = frozenset(),
        *,
        wider: OffersRequest | None = None,
    ) -> Weighed:
        """Return the answer that would be kept."""
        return self._decider.weigh(request, self._at, refused, wider=wider)


class Unknowing:
    """Weighs at one moment by the bundle alone: who may be given what is not asked, and no budget is looked at."""

    def __init__(self, engine: Engine, fresh: Callable[[], str], at: datetime) -> None:
        self._engine = engine
        self._fresh = fresh
        self._at = at

    def live(self, customer_id: str) -> Live:
        """Return that nothing has happened."""
        del customer_id
        return NOTHING_KNOWN.live

    def weigh(
        self,
        request: OffersRequest | ActionsRequest,
        refused: frozenset[str] = frozenset(),
        *,
        wider: OffersRequest | None = None,
    ) -> Weighed:
        """Return the engine's answer; nobody else is in the way of it."""
        del refused, wider
        if isinstance(request, OffersRequest):
            answer: Answered = self._engine.offers(request, self._at, self._fresh())
        else:
            answer = self._engine.action(request, self._at, self._fresh())
        return Weighed(answer, NOTHING_KNOWN, is_linked=True, is_kept=False)


class OfferWeigher:
    """Offers on one channel, or (None) on each customer's best one."""

    def __init__(self, engine: Engine, weighing: Weighing, ask: OffersRequest, channel: Channel | None) -> None:
        """`ask` is the request of all, at a moment: whose it is and on which channel is filled in."""
        self._engine = engine
        self._weighing = weighing
        self._ask = ask
        self._channel = channel

    def options(self, customer_id: str) -> Options:
        """Return the customer's offers by rank, down to where `k` of them claim nothing."""
        live = self._weighing.live(customer_id)
        request = self._request(customer_id, live)
        options = Options(customer_id, self._engine.target_row(customer_id, _at(request), live))
        weighed = self._weighing.weigh(request, wider=request.model_copy(update={"k": MOST_OFFERS}))
        if not weighed.is_linked and request.channel.is_message:
            options.withheld.append(("", NOT_LINKED))
            return options
        claimed = self._engine.budgets.keys() - {hold.offer_id for hold in weighed.known.live.holds}
        rows = self.rows(customer_id, request, weighed.answer)
        n_open = 0
        for row in rows:
            claim = row["offer_id"] if row["offer_id"] in claimed and not weighed.is_kept else None
            what = CHANNELS.index(request.channel)
            if n_open < request.k:
                options.found.append(Option(row, row["expected_value"], what, claim))
                n_open += claim is None
        withheld = weighed.answer.get("withheld", ())
        options.withheld.extend((each["offer_id"], each["reason"]["code"]) for each in withheld)
        return options

    def request(self, customer_id: str, what: int) -> OffersRequest | None:
        """Return the request for a customer's offers, also where there is nothing for them: that is a decision, too.

        None where nothing may be sent to them, as it could not be counted.
        """
        if what >= 0:
            return self._of(customer_id, CHANNELS[what])
        live = self._weighing.live(customer_id)
        request = self._request(customer_id, live)
        is_linked = not live.is_gone and self._engine.may_personalize(customer_id, live)
        return request if is_linked or not request.channel.is_message else None

    def rows(self, customer_id: str, request: OffersRequest | ActionsRequest, answer: Answered) -> list[Row]:
        """Return a row for each offer of an answer."""
        shared = flat({name: value for name, value in answer.items() if name not in {"offers", "withheld"}})
        shared |= {"customer_id": customer_id, "channel": str(request.channel)}
        return [flat(offer) | shared | {"rank": rank} for rank, offer in enumerate(answer["offers"], start=1)]

    def _request(self, customer_id: str, live: Live) -> OffersRequest:
        return self._of(customer_id, self._channel or self._engine.best_channel(customer_id, Known(live)))

    def _of(self, customer_id: str, channel: Channel) -> OffersRequest:
        return self._ask.model_copy(update={"customer_id": customer_id, "channel": channel})


class ActionWeigher:
    """The next best action: of the triggers that are true of a customer the one whose action brings most."""

    def __init__(self, engine: Engine, weighing: Weighing, ask: ActionsRequest) -> None:
        """`ask` is the request of all, at a moment: whose it is and which trigger is filled in."""
        self._engine = engine
        self._weighing = weighing
        self._ask = ask

    def options(self, customer_id: str) -> Options:
        """Return the customer's best action, and while it claims a budget, what is best without that offer."""
        live = self._weighing.live(customer_id)
        options = Options(customer_id, self._engine.target_row(customer_id, _at(self._ask), live))
        triggers = self._engine.true_triggers(customer_id, _at(self._ask), Known(live))
        if not triggers:
            options.withheld.append(("", NO_TRIGGER))
            return options
        weighed = {trigger: self._weighed(customer_id, trigger, frozenset()) for trigger in triggers}
        options.found.extend(self._best(customer_id, weighed))
        if not options.found:
            options.withheld.append(("", weighed[triggers[0]].answer["reason"]["code"]))
        return options

    def request(self, customer_id: str, what: int) -> ActionsRequest | None:
        """Return the request for a customer's action, None where there is no reason to ask.

        One who is held out is asked for what they would have been asked for, so that it is recorded as for the others.
        """
        if what >= 0:
            return self._of(customer_id, TRIGGERS[what])
        known = Known(self._weighing.live(customer_id))
        # Past the experiments: whom they hold out has no triggers there.
        triggers = Engine.true_triggers(self._engine, customer_id, _at(self._ask), known)
        return self._of(customer_id, triggers[0]) if triggers else None

    def rows(self, customer_id: str, request: OffersRequest | ActionsRequest, answer: Answered) -> list[Row]:
        """Return an action's row; none for no action."""
        del request
        if answer["kind"] == ActionKind.NONE:
            return []
        return [flat(answer) | {"customer_id": customer_id}]

    def _best(self, customer_id: str, weighed: Mapping[Trigger, Weighed]) -> Iterator[Option]:
        """Yield the best action by what it brings, the more pressing one of equals; one that stands already alone."""
        standing = [trigger for trigger, each in weighed.items() if each.is_kept and _is_action(each.answer)]
        if standing:
            yield self._option(customer_id, standing[0], weighed[standing[0]], ())
            return
        left, refused = dict(weighed), frozenset[str]()
        while actions := [trigger for trigger, each in left.items() if _is_action(each.answer)]:
            best = max(actions, key=lambda trigger: _brings(left[trigger].answer))
            option = self._option(customer_id, best, left[best], self._engine.budgets)
            yield option
            if option.claim is None:
                return
            refused |= {option.claim}
            again = [trigger for trigger, each in left.items() if _offer_of(each.answer) == option.claim]
            left |= {trigger: self._weighed(customer_id, trigger, refused) for trigger in again}

    def _option(self, customer_id: str, trigger: Trigger, weighed: Weighed, budgets: Collection[str]) -> Option:
        offer_id = _offer_of(weighed.answer)
        held = {hold.offer_id for hold in weighed.known.live.holds}
        claim = offer_id if offer_id in budgets and offer_id not in held else None
        (row,) = self.rows(customer_id, self._ask, weighed.answer)
        return Option(row, _brings(weighed.answer), TRIGGERS.index(trigger), claim)

    def _weighed(self, customer_id: str, trigger: Trigger, refused: frozenset[str]) -> Weighed:
        return self._weighing.weigh(self._of(customer_id, trigger), refused)

    def _of(self, customer_id: str, trigger: Trigger) -> ActionsRequest:
        return self._ask.model_copy(update={"customer_id": customer_id, "trigger": trigger})


def _at(request: OffersRequest | ActionsRequest) -> datetime:
    if request.at is None:
        raise ValueError("a list is for a moment")
    return request.at


def _is_action(answer: Answered) -> bool:
    return str(answer["kind"]) != ActionKind.NONE


def _offer_of(answer: Answered) -> str | None:
    offer = answer.get("offer")
    return None if offer is None else str(offer["offer_id"])


def _brings(answer: Answered) -> float:
    """Return what an action is expected to bring the shop, money."""
    worth = answer.get("offer") or answer.get("worth")
    return 0.0 if worth is None else float(worth["expected_value"])
