"""The next best action of one engine: what a trigger is about, whether it is worth it, and where, when and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from serving.action_words import Facts, Words
from serving.api_action_codes import ActionCode
from serving.api_actions import ActionAnswer, ActionReason, ActionsRequest
from serving.api_answers import Reason
from serving.api_codes import Level, ReasonCode
from serving.api_offer_codes import ActionKind, Trigger
from serving.api_offers import OfferItem, OffersRequest
from serving.bundle_format import INTIMATE, RESTRICTED
from serving.channels import CHANNELS, Channel
from serving.decisioning.completion import shifted
from serving.decisioning.quiet import QuietHours
from serving.decisioning.rules import Gone, Screen
from serving.decisioning.shops_near import ShopsNear
from serving.decisioning.texts import KINDS, shipped_language
from serving.decisioning.triggers import STANDING, Finding, Found, Situation, Triggers
from serving.decisioning.way import Reach, Way, Wish, send_at
from serving.decisioning.windows import day_of, iso
from serving.desk import Desk
from serving.live import epoch_us
from serving.offer_desk import OfferDesk
from serving.offer_shelf import Offer
from serving.state.events import EventType
from serving.state.known import Known
from serving.taste import Shopper

_SURPRISES = frozenset({"gift", "points"})
_MICROSECOND = timedelta(microseconds=1)
_REASONS: Mapping[ActionCode, tuple[ReasonCode, str]] = {
    ActionCode.WISHED: (ReasonCode.WISHED, "This is on your wish list"),
    ActionCode.LEFT_IN_BASKET: (ReasonCode.IN_BASKET, "This is in your basket"),
    ActionCode.SCANNED: (ReasonCode.VIEWED, "You have just scanned this"),
    ActionCode.LOOKED_AT: (ReasonCode.VIEWED, "You are looking at this"),
    ActionCode.LAUNCHED: (ReasonCode.LAUNCHED, "This is new where you buy again and again"),
    ActionCode.BACK_IN_STOCK: (ReasonCode.BACK_IN_STOCK, "This was out of stock and is there again"),
}
_PLACES = frozenset({Channel.STORE, Channel.WEB, Channel.APP})


@dataclass(frozen=True, slots=True)
class _Case:
    """One call: who asks for what, when, and what is known."""

    request: ActionsRequest
    decision_id: str
    situation: Situation

    @property
    def shopper(self) -> Shopper:
        return self.situation.shopper

    @property
    def at(self) -> datetime:
        return self.situation.at


@dataclass(frozen=True, slots=True)
class _Plan:
    """An action that is worth it: on which way, and with which offer, if any."""

    way: Way
    kind: ActionKind
    offer: OfferItem | None = None


class ActionDesk:
    """Chooses actions by one open bundle; `action` is told in `serving.engine.Engine`."""

    def __init__(self, desk: Desk, offers: OfferDesk) -> None:
        bundle = desk.bundle
        self._desk = desk
        self._offers = offers
        self._policy = bundle.policy.actions
        self._shelf = desk.shelf
        self._quiet = QuietHours(bundle.policy.quiet_hours)
        shops = ShopsNear(bundle.stores, desk.shoppers.zone)
        self._triggers = Triggers(bundle, desk.shelf, desk.candidates, desk.pace, shops)
        self._words = Words(
            desk.shelf, shipped_language(self._policy.language), bundle.manifest.currency, self._policy.name_chars
        )

    def action(self, request: ActionsRequest, at: datetime, decision_id: str, known: Known) -> ActionAnswer:
        """Return the next best action, or none and why."""
        shopper = self._desk.shopper(request.customer_id, request.store_id, at, known)
        case = _Case(request, decision_id, self._situation(request, shopper, at, known))
        finding = self._finding(request.trigger, case.situation)
        if isinstance(finding, ActionCode):
            return self._none(case, finding)
        products = self._shown(case, finding)
        if not products:
            return self._none(case, ActionCode.NOTHING_TO_SHOW)
        found = replace(finding, products=tuple(products))
        plan = self._plan(case, found)
        return self._none(case, plan) if isinstance(plan, ActionCode) else self._answer(case, found, plan)

    def held_out(self, request: ActionsRequest, at: datetime, decision_id: str) -> ActionAnswer:
        """Return the answer to one who is held out: no action at all."""
        self._desk.check(at)
        decision = cast("ActionAnswer", self._desk.answers.decision(decision_id, is_personal=False))
        return _with_none(decision, request.trigger, ActionCode.HOLDOUT)

    def true_triggers(self, customer_id: str, at: datetime, known: Known) -> tuple[Trigger, ...]:
        """Return the triggers that are true of a customer without an event of this moment, the most pressing first."""
        shopper = self._desk.shopper(customer_id, None, at, known)
        request = ActionsRequest(customer_id=customer_id, trigger=Trigger.REPLENISH)
        situation = self._situation(request, shopper, at, known)
        return tuple(each for each in STANDING if isinstance(self._finding(each, situation), Found))

    def _situation(self, request: ActionsRequest, shopper: Shopper, at: datetime, known: Known) -> Situation:
        return Situation(
            shopper,
            known,
            at,
            epoch_us(at),
            day_of(at, shopper.zone),
            request.context,
            self._desk.shoppers.consent(request.customer_id, known.live),
            self._desk.is_out(shopper.store_id, known),
        )

    def _finding(self, trigger: Trigger, situation: Situation) -> Finding:
        if not situation.shopper.is_personal:
            return ActionCode.NOT_PERSONAL
        return self._triggers.find(trigger, situation)

    def _shown(self, case: _Case, found: Found) -> list[int]:
        """Return the products that may be shown, the most wanted first."""
        shopper, known, rows_of = case.shopper, case.situation.known, self._shelf.rows_of
        is_about_basket = found.code is ActionCode.LEFT_IN_BASKET
        basket = set() if is_about_basket else rows_of(case.request.context.basket) | shopper.basket
        dismissed = shopper.dismissed - set(found.products) if is_about_basket else shopper.dismissed
        screen = Screen(
            self._shelf,
            gone=Gone(rows_of(case.request.exclude), basket, dismissed),
            forbidden_flags=INTIMATE | RESTRICTED,
            flags=self._desk.display(case.request, shopper).flags,
            is_out=case.situation.is_out,
            trace=known.trace,
        )
        may_be = [each for each in found.products if screen.withheld(each) is None]
        return may_be[: self._policy.max_items]

    def _plan(self, case: _Case, found: Found) -> _Plan | ActionCode:
        """Return the best of the ways to say it, or why there is none: the reason of the channel that they answer."""
        ways = self._ways(case, found)
        if isinstance(ways, ActionCode):
            return ways
        refusals: list[ActionCode] = []
        for way in ways:
            if isinstance(way, ActionCode):
                refusals.append(way)
                continue
            plan = self._content(case, found, way)
            if isinstance(plan, _Plan):
                return plan
            refusals.append(plan)
        return refusals[0]

    def _ways(self, case: _Case, found: Found) -> list[Way | ActionCode] | ActionCode:
        asked = case.request.channel
        reach = self._reach(case)
        if asked is not None and not reach.allows(asked):
            return ActionCode.NO_CHANNEL
        if found.code is ActionCode.LOOKED_AT and asked is not None and asked.is_message:
            return ActionCode.PLACES_ONLY
        only_places = found.code in {ActionCode.LOOKED_AT, ActionCode.SCANNED}
        channels = [asked] if asked is not None else [reach.place] if only_places else reach.ranked()
        wish = self._wish(case, found)
        return [self._way(channel, reach, wish) for channel in channels]

    def _way(self, channel: Channel, reach: Reach, wish: Wish) -> Way | ActionCode:
        if reach.is_capped(channel):
            return ActionCode.CAP_REACHED
        moment = send_at(wish, channel, self._quiet)
        return moment if isinstance(moment, ActionCode) else Way(channel, moment)

    def _wish(self, case: _Case, found: Found) -> Wish:
        later_us = max(found.not_before_us - case.situation.at_us, 0)
        row = case.shopper.row
        hour = int(self._desk.bundle.customers.hour[row]) if row >= 0 else -1
        return Wish(
            case.at + later_us * _MICROSECOND,
            found.until,
            found.timing,
            case.shopper.zone,
            hour if hour >= 0 else None,
            self._policy.max_wait_hours,
        )

    def _reach(self, case: _Case) -> Reach:
        best = self._best_channel(case.shopper.row)
        may_send = case.situation.known.may_promise
        return Reach(case.situation.consents, {}, best, self._place(case, best), lambda _: False, may_send)

    def _best_channel(self, row: int) -> Channel | None:
        """Return where the bundle says that the customer answers or shops most."""
        customers, names = self._desk.bundle.customers, self._desk.bundle.channels
        label = names[customers.channel[row]] if row >= 0 and customers.channel[row] >= 0 else None
        return next((each for each in CHANNELS if each == label), None)

    def _place(self, case: _Case, best: Channel | None) -> Channel:
        """Return where they were last seen, else where they shop most, else the web."""
        for event in reversed(case.situation.known.live.events):
            if event.channel in _PLACES and event.type is not EventType.IMPRESSION:
                return Channel(event.channel)
        return best if best in _PLACES else Channel.WEB

    def _content(self, case: _Case, found: Found, way: Way) -> _Plan | ActionCode:
        """Return what to say on a way: an offer where that brings more than plain products, or nothing."""
        kinds = KINDS[found.code]
        offer = self._best_offer(case, found, way) if ActionKind.OFFER in kinds else None
        if kinds == (ActionKind.OFFER,):
            return ActionCode.NO_SURPRISE if offer is None else _Plan(way, ActionKind.OFFER, offer)
        plain = self._worth(case, found, way)
        if offer is not None and offer["expected_value"] > plain:
            return _Plan(way, ActionKind.OFFER, offer)
        if plain <= 0.0 and way.channel.is_message:
            return ActionCode.NOT_WORTH_IT
        return _Plan(way, ActionKind.ITEMS)

    def _worth(self, case: _Case, found: Found, _way: Way) -> float:
        """Return the margin that a message without an offer is expected to add, less what it costs, money."""
        chances = self._chances(found.products, case.shopper)
        margins = [self._shelf.margin(each) or 0.0 for each in found.products]
        added = sum(chance * margin for chance, margin in zip(chances, margins, strict=True))
        return self._policy.reminder_uplift * added

    def _chances(self, products: Sequence[int], shopper: Shopper) -> list[float]:
        """Return the chance that they buy each within seven days."""
        taste, p7 = shopper.taste, self._shelf.p7
        return [
            shifted(p7[product], taste.shift(Level.PRODUCT, product)) if habit is None else habit.p7
            for product, habit in zip(products, taste.again_of(products), strict=True)
        ]

    def _best_offer(self, case: _Case, found: Found, way: Way) -> OfferItem | None:
        """Return the best offer for what the trigger is about; as a surprise only what is given for nothing."""
        request = case.request
        asked = OffersRequest(
            customer_id=request.customer_id,
            channel=way.channel,
            store_id=request.store_id,
            exclude=request.exclude,
            context=request.context,
            at=request.at,
            dry_run=request.dry_run,
        )
        judged = self._offers.judge(asked, way.send_at, replace(case.situation.known, trace=None))
        fitting = (each for each in judged.best if self._fits(each.offer, found))
        best = next(fitting, None)
        return None if best is None else self._offers.item(best, judged)

    def _fits(self, offer: Offer, found: Found) -> bool:
        """Return whether an offer is for what the trigger is about; one for nothing in particular fits a basket."""
        if found.code is ActionCode.NEW_CATEGORY:
            return offer.kind in _SURPRISES
        if offer.is_general:
            return found.code is ActionCode.LEFT_IN_BASKET
        return not offer.products.isdisjoint(found.products)

    def _answer(self, case: _Case, found: Found, plan: _Plan) -> ActionAnswer:
        policy, shopper = self._policy, case.shopper
        products, offer = self._about(found, plan.offer)
        facts = self._facts(case, found, products, offer)
        written = self._words.language.written(
            found.code, plan.kind, facts, subject_chars=policy.subject_chars, text_chars=policy.text_chars
        )
        answer: ActionAnswer = {
            **self._decision(case),
            "kind": plan.kind,
            "trigger": case.request.trigger,
            "reason": {"code": found.code, "text": written.why},
            "channel": plan.way.channel,
            "send_at": iso(plan.way.send_at),
            "subject": written.subject,
            "text": written.text,
        }
        if offer is not None:
            answer["offer"] = offer
        else:
            reasons = [self._reason(found, each, shopper, case.situation.today) for each in products]
            answer["items"] = self._desk.answers.items(products, reasons, shopper)
        return answer

    def _about(self, found: Found, offer: OfferItem | None) -> tuple[tuple[int, ...], OfferItem | None]:
        """Return the products that a message names: with an offer, those that it is for."""
        if offer is None or found.code in {ActionCode.NEW_CATEGORY, ActionCode.LEFT_IN_BASKET}:
            return found.products, offer
        its_own = self._offers.shelf.offers[self._offers.shelf.rows[offer["offer_id"]]].products
        return tuple(each for each in found.products if each in its_own), offer

    def _facts(self, case: _Case, found: Found, products: Sequence[int], offer: OfferItem | None) -> Facts:
        zone = case.shopper.zone
        facts = self._words.of_goods(products, case.shopper) | self._words.of_finding(found)
        category = self._shelf.category[products[0]]
        is_named = self._desk.reasons.can_name_category(category) and not self._shelf.stands_for_category(products[0])
        facts["category"] = self._words.category(category) if is_named else None
        return facts | self._words.of_offer(offer, zone) if offer is not None else facts

    def _reason(self, found: Found, product: int, shopper: Shopper, today: int) -> Reason:
        """Return why a product is in an action: their habit, else what the trigger says of it."""
        habit = shopper.taste.again_of([product])[0]
        if habit is not None and habit.n > 0:
            return self._desk.reasons.habit(habit, today=today, end_day=today + 1, is_type=False)
        code, text = _REASONS[found.code]
        return {"code": code, "text": text}

    def _none(self, case: _Case, code: ActionCode) -> ActionAnswer:
        return _with_none(self._decision(case), case.request.trigger, code)

    def _decision(self, case: _Case) -> ActionAnswer:
        decision = self._desk.answers.decision(case.decision_id, is_personal=case.shopper.is_personal)
        return cast("ActionAnswer", decision)


def _with_none(decision: ActionAnswer, trigger: Trigger, code: ActionCode) -> ActionAnswer:
    reason: ActionReason = {"code": code, "text": code.explanation}
    return {**decision, "kind": ActionKind.NONE, "trigger": trigger, "reason": reason}
