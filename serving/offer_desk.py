"""Offers of one engine: what each is worth to a customer and to the shop, what is withheld and why, and the answer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice

import numpy as np

from serving.answers import as_shortfall
from serving.api_codes import ShortfallCode
from serving.api_offer_codes import WithheldCode
from serving.api_offers import OfferItem, OffersAnswer, OffersRequest, WithheldOffer
from serving.bundle_columns import I64
from serving.decisioning.exploring import FIRST_OFFER, Lots, Option
from serving.decisioning.offer_pairs import UNASKED
from serving.decisioning.offer_reasons import OfferReasons
from serving.decisioning.offer_rules import (
    FACTS,
    MAY_BE_GIVEN,
    RULES,
    OfferCall,
    OfferCases,
    Rule,
    first_broken,
)
from serving.decisioning.offer_wants import WantFinder, likely_first
from serving.decisioning.slate_parts import with_pins
from serving.decisioning.value import rank_values
from serving.decisioning.windows import iso
from serving.desk import Desk
from serving.offer_facts import OfferFacts, OfferMoment
from serving.offer_shelf import Bools, Offer, OfferShelf
from serving.offer_terms import TermMaker
from serving.state.known import NOTHING_KNOWN, Known

N_PRODUCTS = 10
_IDS_REMEMBERED = 16_384
_BUDGET_TEXT = "It has a budget: it is only for customers who are known and agree to personalization."


@dataclass(frozen=True, slots=True)
class Scored:
    """An offer that the rules left, and what it is ranked by."""

    offer: Offer
    rank: float


@dataclass(frozen=True, slots=True)
class Judged:
    """All offers of a call: those that may be given, best first, and the others with the rule that keeps them back."""

    moment: OfferMoment
    cases: OfferCases
    best: list[Scored]
    withheld: list[tuple[Offer, WithheldCode]]


class OfferDesk:
    """Values, ranks and withholds the offers of one open bundle."""

    def __init__(self, desk: Desk) -> None:
        bundle = desk.bundle
        self._desk = desk
        self._policy = bundle.policy.offers
        self.shelf = OfferShelf(bundle, desk.shelf)
        self._finder = WantFinder(
            desk.shelf,
            self.shelf,
            self._policy,
            habits=bundle.policy.habit if desk.applies_rules else None,
            half_life_days=bundle.policy.events.half_life_days,
        )
        self._reasons = OfferReasons(desk.shelf, self.shelf, desk.reasons, self._policy, desk.pace)
        self._terms = TermMaker(self.shelf, self._policy)
        rules = RULES if desk.applies_rules else FACTS
        self._first_rules = [each for each in rules if each.is_first]
        self._rules = [each for each in rules if not each.is_first]
        self._facts = OfferFacts(desk, self.shelf)
        self._id_of = lru_cache(_IDS_REMEMBERED)(desk.shelf.ids.__getitem__)

    def offers(
        self,
        request: OffersRequest,
        at: datetime,
        decision_id: str,
        known: Known = NOTHING_KNOWN,
        *,
        is_held_out: bool = False,
    ) -> OffersAnswer:
        """Return the best offers for the customer on the channel, `k` or fewer with a shortfall, and all others.

        Who is held out gets none. InvalidRequest when `at` lies before the bundle's as-of.
        """
        judged = self.judge(request, at, known, is_held_out=is_held_out)
        best = self.in_order(judged, decision_id, known)
        chosen, others = best[: request.k], best[request.k :]
        withheld = [*judged.withheld, *((each.offer, WithheldCode.RANKED_BELOW) for each in others)]
        decision = self._desk.answers.decision(decision_id, is_personal=judged.moment.shopper.is_personal)
        answer: OffersAnswer = {
            **decision,  # type: ignore[typeddict-item] # a decision brings no shortfall
            "offers": [self.item(each, judged) for each in chosen],
            "withheld": [_withheld(offer, code, judged.moment.call) for offer, code in withheld],
        }
        if known.trace is not None:
            for offer, code in withheld:
                known.trace.add_offer(offer.id, code)
        if len(chosen) < request.k:
            answer["shortfall"] = as_shortfall(ShortfallCode.OFFERS_WITHHELD if withheld else ShortfallCode.NO_OFFERS)
        return answer

    def judge(
        self, request: OffersRequest, at: datetime, known: Known = NOTHING_KNOWN, *, is_held_out: bool = False
    ) -> Judged:
        """Return every offer of the bundle judged for a request, the best first; ties go to the lower offer_id."""
        moment = self._facts.moment(request, at, known, is_held_out=is_held_out)
        cases = OfferCases(self.shelf, moment.call)
        judged = Judged(moment, cases, [], [])
        first = first_broken(cases, self._first_rules)
        self._note(judged, first, self._first_rules)
        is_open = first == MAY_BE_GIVEN
        if is_open.any():
            self._look(cases, moment)
            found = np.where(is_open, first_broken(cases, self._rules), len(self._rules))
            self._note(judged, found, self._rules)
            self._rank(judged, found == MAY_BE_GIVEN)
        judged.withheld.sort(key=lambda each: each[0].row)
        return judged

    def _look(self, cases: OfferCases, moment: OfferMoment) -> None:
        """Add what the customer wants of the offers, where that may be known, and how their terms are made."""
        if moment.wanting is not None:
            cases.wants = self._finder.find(moment.wanting)
            cases.speakers = self._reasons.speakers(cases.wants)
        privacy_costs = self._reasons.privacy_costs(cases.wants, cases.speakers)
        cases.make_terms = lambda each: self._terms.terms(
            each.wants, each.speakers, privacy_costs, each.days, moment.setting
        )

    def _note(self, judged: Judged, broken: I64, rules: Sequence[Rule]) -> None:
        """Add the offers that a rule keeps back."""
        for row in np.flatnonzero((broken != MAY_BE_GIVEN) & (broken < len(rules))).tolist():
            judged.withheld.append((self.shelf.offers[row], rules[broken[row]].code))

    def _rank(self, judged: Judged, may_be: Bools) -> None:
        """Add the offers that may be given, the best first."""
        cases, rows = judged.cases, np.flatnonzero(may_be)
        ranks = rank_values(cases.customer_values[rows], cases.shop_values[rows], self._policy)
        if judged.moment.display.has_boosts:
            factors = np.array([self._factor(self.shelf.offers[row], judged) for row in rows.tolist()])
            ranks = np.where(ranks < 0.0, ranks / factors, ranks * factors)
        order = np.lexsort((self.shelf.columns.place[rows], -ranks))
        judged.best.extend(
            Scored(self.shelf.offers[row], rank)
            for row, rank in zip(rows[order].tolist(), ranks[order].tolist(), strict=True)
        )

    def _factor(self, offer: Offer, judged: Judged) -> float:
        """Return what the merchants' boosts multiply an offer's rank by."""
        return judged.moment.display.offer_factor(offer.id, next(self._shown(offer, judged), -1))

    def in_order(self, judged: Judged, decision_id: str, known: Known) -> list[Scored]:
        """Return what may be given as it is to be shown: by rank, the first one drawn where the policy explores.

        Only for those whose decision leaves a trace. Offers that merchants pinned stand at their ranks, and nothing is
        drawn in the place of a first one.
        """
        best, pinned = list(judged.best), judged.moment.display.pinned_offers
        policy = self._desk.bundle.policy.exploration
        is_drawn = judged.moment.shopper.is_personal and self._desk.applies_rules and policy.offer_share > 0
        is_led = any(pinned.get(each.offer.id) == 1 for each in best)
        if best and is_drawn and not is_led and known.trace is not None:
            lots = Lots(policy, policy.offer_share, decision_id, known.trace)
            best.insert(0, best.pop(lots.place(FIRST_OFFER, [Option(each.offer.id, each.rank) for each in best])))
        given = {each.offer.id: each for each in best}
        chosen = [(rank, given[offer_id]) for offer_id, rank in pinned.items() if offer_id in given]
        return with_pins([each for each in best if each.offer.id not in pinned], chosen)

    def item(self, scored: Scored, judged: Judged) -> OfferItem:
        """Return an offer as answers have it."""
        offer, cases, moment = scored.offer, judged.cases, judged.moment
        row, terms = offer.row, cases.terms.of(offer.row)
        end_day = moment.today if moment.wanting is None else moment.wanting.end_day
        why = self._reasons.why(cases.wants, row, int(cases.speakers[row]), end_day=end_day)
        return {
            "offer_id": offer.id,
            "kind": offer.kind,
            "value": None if math.isnan(offer.value) else round(offer.value, 4),
            "product_ids": list(map(self._id_of, islice(self._shown(offer, judged), N_PRODUCTS))),
            "redemption_probability": terms.redemption,
            "anyway_probability": terms.anyway,
            "relevance": terms.relevance,
            "timeliness": terms.timeliness,
            "trust": terms.trust,
            "privacy_cost": terms.privacy_cost,
            "effort": terms.effort,
            "customer_value": float(cases.customer_values[row]),
            "incremental_margin": terms.incremental_margin,
            "reward_cost": terms.reward_cost,
            "fatigue_cost": terms.fatigue_cost,
            "expected_value": float(cases.shop_values[row]),
            "valid_to": iso(_moment(int(cases.until_us[row]))),
            "reason": self._reasons.text(why, today=moment.today),
        }

    def cost(self, offer_id: str) -> float | None:
        """Return what one redemption of an offer costs the shop, money; None for one that is not known."""
        offer = self.shelf.named(offer_id)
        return None if offer is None else offer.stake

    def _shown(self, offer: Offer, judged: Judged) -> Iterator[int]:
        """Yield the products of an offer that may be shown, the likeliest for them first."""
        call, flags = judged.moment.call, self._desk.shelf.flags
        for product, is_own in likely_first(judged.cases.wants, offer):
            if product in call.excluded or call.is_out(product):
                continue
            if is_own or not flags[product] & UNASKED:
                yield product


def _withheld(offer: Offer, code: WithheldCode, call: OfferCall) -> WithheldOffer:
    """Return an offer that is not in an answer, and why."""
    is_about_budget = code is WithheldCode.NO_CONSENT and call.may_reach
    text = _BUDGET_TEXT if is_about_budget else code.explanation
    return {"offer_id": offer.id, "reason": {"code": code, "text": text}}


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC)
