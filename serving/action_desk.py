"""The next best action of one engine: what a trigger is about, whether it is worth it, and where, when and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import cast

from serving.action_case import Case
from serving.action_content import Contents, Plan
from serving.action_ways import Ways
from serving.action_words import Words
from serving.api_action_codes import ActionCode
from serving.api_actions import ActionAnswer, ActionReason, ActionsRequest, ActionWorth
from serving.api_answers import Reason
from serving.api_codes import ReasonCode
from serving.api_offer_codes import ActionKind, Trigger
from serving.bundle_format import INTIMATE, RESTRICTED
from serving.channels import Channel
from serving.decisioning.local_clock import clock_zone
from serving.decisioning.rules import Gone, Screen
from serving.decisioning.shops_near import ShopsNear
from serving.decisioning.texts import FACTS, language_named
from serving.decisioning.triggers import STANDING, Eyes, Finding, Found, Situation, Triggers
from serving.decisioning.value import Terms, customer_value, shop_value
from serving.decisioning.windows import day_of, iso
from serving.desk import Desk
from serving.live import epoch_us
from serving.offer_desk import OfferDesk
from serving.state.known import Known
from serving.taste import Shopper

_REASONS: Mapping[ActionCode, tuple[ReasonCode, str]] = {
    ActionCode.WISHED: (ReasonCode.WISHED, "This is on your wish list"),
    ActionCode.LEFT_IN_BASKET: (ReasonCode.IN_BASKET, "This is in your basket"),
    ActionCode.SCANNED: (ReasonCode.VIEWED, "You have just scanned this"),
    ActionCode.LOOKED_AT: (ReasonCode.VIEWED, "You are looking at this"),
    ActionCode.LAUNCHED: (ReasonCode.LAUNCHED, "This is new where you buy again and again"),
    ActionCode.BACK_IN_STOCK: (ReasonCode.BACK_IN_STOCK, "This was out of stock and is there again"),
}
_OF_HABITS = frozenset({ActionCode.DUE, ActionCode.NEAR_STORE, ActionCode.KEPT_WAITING})
"""Reasons whose products are those of habits by type."""


class ActionDesk:
    """Chooses actions by one open bundle; `action` is told in `serving.engine.Engine`."""

    def __init__(self, desk: Desk, offers: OfferDesk) -> None:
        bundle = desk.bundle
        self._desk = desk
        self._policy = bundle.policy.actions
        self._shelf = desk.shelf
        self._ways = Ways(desk)
        self._contents = Contents(desk, offers, self._ways)
        shops = ShopsNear(bundle.stores, desk.shoppers.zone)
        self._triggers = Triggers(bundle, bundle.policy, Eyes(desk.shelf, desk.candidates, desk.pace, shops))
        language = language_named(self._policy.language, bundle.texts)
        self._words = Words(desk, language, bundle.manifest.currency, self._policy.name_chars)

    def action(self, request: ActionsRequest, at: datetime, decision_id: str, known: Known) -> ActionAnswer:
        """Return the next best action, or none and why."""
        shopper = self._desk.shopper(request.customer_id, request.store_id, at, known)
        case = self._case(request, shopper, at, decision_id, known)
        finding = self._finding(request.trigger, case.situation)
        if isinstance(finding, ActionCode):
            return self._none(case, finding)
        found = replace(finding, products=self._shown(case, finding))
        if not found.products and "product" in FACTS[finding.code]:
            return self._none(case, ActionCode.NOTHING_TO_SHOW)
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

    def _case(self, request: ActionsRequest, shopper: Shopper, at: datetime, decision_id: str, known: Known) -> Case:
        clock = clock_zone(request.context.local_time, at, shopper.zone)
        contacts = self._desk.contacts.contacts(request.customer_id, known.live)
        return Case(request, decision_id, self._situation(request, shopper, at, known), contacts, clock)

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

    def _shown(self, case: Case, found: Found) -> tuple[int, ...]:
        """Return the products that may be shown, the most wanted first."""
        shopper, known, rows_of = case.shopper, case.situation.known, self._shelf.rows_of
        is_about_basket = found.code is ActionCode.LEFT_IN_BASKET
        basket = set() if is_about_basket else rows_of(case.request.context.basket) | shopper.basket
        dismissed = shopper.dismissed - set(found.products) if is_about_basket else shopper.dismissed
        is_out = case.situation.is_out
        if found.shop is not None:
            is_out = self._desk.is_out(self._desk.bundle.stores.id[found.shop.store], known)
        screen = Screen(
            self._shelf,
            gone=Gone(rows_of(case.request.exclude), basket, dismissed),
            forbidden_flags=INTIMATE | RESTRICTED,
            flags=self._desk.display(case.request, shopper).flags,
            is_out=is_out,
            trace=known.trace,
        )
        may_be = (each for each in found.products if screen.withheld(each) is None)
        return tuple(islice(may_be, self._policy.max_items))

    def _plan(self, case: Case, found: Found) -> Plan | ActionCode:
        """Return the best action on the first way that there is one for, else why not on the way that they answer."""
        refusals: list[ActionCode] = []
        for way in self._ways.of(case, found):
            plan = way if isinstance(way, ActionCode) else self._contents.plan(case, found, way)
            if isinstance(plan, Plan):
                return plan
            refusals.append(plan)
        return refusals[0]

    def _answer(self, case: Case, found: Found, plan: Plan) -> ActionAnswer:
        policy, shopper = self._policy, case.shopper
        facts = self._words.facts(found, plan.products, plan.offer, shopper)
        is_sms = plan.way.channel is Channel.SMS
        text_chars = min(policy.text_chars, policy.sms_chars) if is_sms else policy.text_chars
        written = self._words.language.written(
            found.code, plan.kind, facts, subject_chars=policy.subject_chars, text_chars=text_chars
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
        if plan.offer is not None:
            answer["offer"] = plan.offer
        if plan.products and plan.offer is None:
            reasons = [self._reason(found, each, shopper, case.situation.today) for each in plan.products]
            answer["items"] = self._desk.answers.items(plan.products, reasons, shopper)
        if plan.terms is not None:
            answer["worth"] = _worth(plan.terms)
        if found.reward is not None:
            answer["reward_id"] = found.reward.reward_id
        return answer

    def _reason(self, found: Found, product: int, shopper: Shopper, today: int) -> Reason:
        """Return why a product is in an action: their habit, else what the trigger says of it."""
        taste, kind = shopper.taste, self._shelf.type[product]
        habit = taste.again_of([product])[0]
        if habit is not None and habit.n > 0:
            return self._desk.reasons.habit(habit, today=today, end_day=today + 1, is_type=False)
        if found.code in _OF_HABITS:
            habit = next(each for each in taste.habits_of({kind}) if each.type == kind)
            return self._desk.reasons.habit(habit, today=today, end_day=today + 1, is_type=taste.is_of_several(habit))
        if found.challenge is not None:
            items = found.challenge.answer["items"]
            return next(each["reason"] for each in items if each["product_id"] == self._shelf.ids[product])
        code, text = _REASONS[found.code]
        return {"code": code, "text": text}

    def _none(self, case: Case, code: ActionCode) -> ActionAnswer:
        return _with_none(self._decision(case), case.request.trigger, code)

    def _decision(self, case: Case) -> ActionAnswer:
        decision = self._desk.answers.decision(case.decision_id, is_personal=case.shopper.is_personal)
        return cast("ActionAnswer", decision)


def _with_none(decision: ActionAnswer, trigger: Trigger, code: ActionCode) -> ActionAnswer:
    reason: ActionReason = {"code": code, "text": code.explanation}
    return {**decision, "kind": ActionKind.NONE, "trigger": trigger, "reason": reason}


def _worth(terms: Terms) -> ActionWorth:
    return {
        "relevance": terms.relevance,
        "timeliness": terms.timeliness,
        "trust": terms.trust,
        "privacy_cost": terms.privacy_cost,
        "effort": terms.effort,
        "customer_value": customer_value(terms),
        "incremental_margin": terms.incremental_margin,
        "fatigue_cost": terms.fatigue_cost,
        "expected_value": shop_value(terms),
    }
