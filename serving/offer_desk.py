"""Offers of one engine: what each is worth to a customer and to the shop, what is withheld and why, and the answer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from serving.answers import as_shortfall
from serving.api_codes import ShortfallCode
from serving.api_offer_codes import WithheldCode
from serving.api_offers import OfferItem, OffersAnswer, OffersRequest, WithheldOffer
from serving.bundle_format import INTIMATE, RESTRICTED
from serving.decisioning.exploring import FIRST_OFFER, Lots, Option
from serving.decisioning.merchandising import Display
from serving.decisioning.offer_reasons import POPULAR, OfferReasons, Why
from serving.decisioning.offer_rules import FACTS, RULES, Appraisal, OfferCase, first_broken, valid_until_us
from serving.decisioning.offer_wants import NO_WANTS, WantFinder, Wanting, Wants, likely_first
from serving.decisioning.value import customer_value, rank_value, shop_value
from serving.decisioning.windows import iso
from serving.desk import Desk
from serving.offer_facts import OfferFacts, OfferMoment
from serving.offer_shelf import Offer, OfferShelf
from serving.offer_terms import TermMaker
from serving.state.known import NOTHING_KNOWN, Known

N_PRODUCTS = 10
_DAY_US = 86_400_000_000
_UNASKED = RESTRICTED | INTIMATE
_BUDGET_TEXT = "It has a budget: it is only for customers who are known and agree to personalization."


@dataclass(frozen=True, slots=True)
class Scored:
    """An offer that the rules left, with its terms and what it is ranked by."""

    case: OfferCase
    rank: float

    @property
    def offer(self) -> Offer:
        """The offer."""
        return self.case.offer


@dataclass(frozen=True, slots=True)
class Judged:
    """All offers of a call: those that may be given, best first, and the others with the rule that keeps them back."""

    moment: OfferMoment
    best: list[Scored]
    withheld: list[tuple[OfferCase, WithheldCode]]


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
            pace=desk.pace,
            half_life_days=bundle.policy.events.half_life_days,
        )
        self._reasons = OfferReasons(desk.shelf, desk.reasons, self._policy, desk.pace)
        self._terms = TermMaker(desk.shelf, self._policy)
        rules = RULES if desk.applies_rules else FACTS
        self._first_rules = tuple(each for each in rules if each.is_first)
        self._rules = tuple(each for each in rules if not each.is_first)
        self._facts = OfferFacts(desk, self.shelf)

    def offers(
        self, request: OffersRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> OffersAnswer:
        """Return the best offers for the customer on the channel, `k` or fewer with a shortfall, and all others.

        InvalidRequest when `at` lies before the bundle's as-of.
        """
        judged = self.judge(request, at, known)
        best = self.in_order(judged, decision_id, known)
        chosen, others = best[: request.k], best[request.k :]
        withheld = [*judged.withheld, *((each.case, WithheldCode.RANKED_BELOW) for each in others)]
        decision = self._desk.answers.decision(decision_id, is_personal=judged.moment.shopper.is_personal)
        answer: OffersAnswer = {
            **decision,  # type: ignore[typeddict-item] # a decision brings no shortfall
            "offers": [self.item(each, judged) for each in chosen],
            "withheld": [self.withheld(*each) for each in withheld],
        }
        if known.trace is not None:
            for case, code in withheld:
                known.trace.add_offer(case.offer.id, code)
        if len(chosen) < request.k:
            answer["shortfall"] = as_shortfall(ShortfallCode.OFFERS_WITHHELD if withheld else ShortfallCode.NO_OFFERS)
        return answer

    def held_out(self, at: datetime, decision_id: str) -> OffersAnswer:
        """Return the answer to one who is held out: no offer at all."""
        self._desk.check(at)
        return {
            **self._desk.answers.decision(decision_id, is_personal=False),
            "offers": [],
            "withheld": [self._withheld(each, WithheldCode.HOLDOUT) for each in self.shelf.offers],
            "shortfall": as_shortfall(ShortfallCode.OFFERS_WITHHELD),
        }

    def judge(self, request: OffersRequest, at: datetime, known: Known = NOTHING_KNOWN) -> Judged:
        """Return every offer of the bundle judged for a request, the best first; ties go to the lower offer_id."""
        moment = self._facts.moment(request, at, known)
        judged = Judged(moment, [], [])
        for case in self._open(moment, judged):
            code = first_broken(case, self._rules)
            if code is None:
                rank = rank_value(case.terms, self._policy) * self._factor(case, moment.display)
                judged.best.append(Scored(case, rank))
            else:
                judged.withheld.append((case, code))
        judged.best.sort(key=lambda each: (-each.rank, each.offer.id))
        return judged

    def _open(self, moment: OfferMoment, judged: Judged) -> list[OfferCase]:
        """Return the offers that are open to the customer here and now, with what they want of each."""
        call, found, mask = moment.call, [], 0

        def appraise(case: OfferCase) -> Appraisal:
            why = self._why(case, moment.wanting)
            privacy_cost = self._reasons.privacy_cost(why, case.offer)
            return Appraisal(why, self._terms.terms(case, why, privacy_cost, moment.setting))

        for offer in self.shelf.offers:
            days = (valid_until_us(offer, call) - call.at_us) / _DAY_US
            case = OfferCase(offer, call, days=max(days, 0.0), appraise=appraise)
            code = first_broken(case, self._first_rules)
            if code is None:
                found.append(case)
                mask |= 1 << offer.row
            else:
                judged.withheld.append((case, code))
        if mask and moment.shopper.is_personal:
            wants = self._finder.find(moment.wanting, mask)
            for case in found:
                case.wants = wants.get(case.offer.row, NO_WANTS)
        return found

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
        _pin(best, pinned)
        return best

    def _factor(self, case: OfferCase, display: Display) -> float:
        """Return what the merchants' boosts multiply an offer's rank by."""
        if not display.has_boosts:
            return 1.0
        return display.offer_factor(case.offer.id, next(self._shown(case), -1))

    def item(self, scored: Scored, judged: Judged) -> OfferItem:
        """Return an offer as answers have it."""
        case = scored.case
        offer, terms = case.offer, case.terms
        return {
            "offer_id": offer.id,
            "kind": offer.kind,
            "value": None if math.isnan(offer.value) else round(offer.value, 4),
            "product_ids": [self._desk.shelf.ids[row] for row in islice(self._shown(case), N_PRODUCTS)],
            "redemption_probability": terms.redemption,
            "anyway_probability": terms.anyway,
            "relevance": terms.relevance,
            "timeliness": terms.timeliness,
            "trust": terms.trust,
            "privacy_cost": terms.privacy_cost,
            "effort": terms.effort,
            "customer_value": customer_value(terms),
            "incremental_margin": terms.incremental_margin,
            "reward_cost": terms.reward_cost,
            "fatigue_cost": terms.fatigue_cost,
            "expected_value": shop_value(terms),
            "valid_to": iso(_moment(valid_until_us(offer, case.call))),
            "reason": self._reasons.text(case.appraisal.why, today=judged.moment.today),
        }

    def withheld(self, case: OfferCase, code: WithheldCode) -> WithheldOffer:
        """Return an offer that is not in an answer, and why."""
        is_about_budget = code is WithheldCode.NO_CONSENT and case.call.may_reach
        return self._withheld(case.offer, code, _BUDGET_TEXT if is_about_budget else None)

    def _withheld(self, offer: Offer, code: WithheldCode, text: str | None = None) -> WithheldOffer:
        return {"offer_id": offer.id, "reason": {"code": code, "text": text or code.explanation}}

    def cost(self, offer_id: str) -> float | None:
        """Return what one redemption of an offer costs the shop, money; None for one that is not known."""
        offer = self.shelf.named(offer_id)
        return None if offer is None else offer.stake

    def _why(self, case: OfferCase, wanting: Wanting) -> Why:
        wants = case.wants
        if wants is NO_WANTS:
            return POPULAR
        strongest = wants.strongest
        habit = None if strongest is None else strongest.habit
        is_lapsing = habit is not None and self._finder.is_lapsing(habit, wanting.today)
        return self._reasons.why(case.offer, wants, end_day=wanting.end_day, is_lapsing=is_lapsing)

    def _shown(self, case: OfferCase) -> Iterator[int]:
        """Yield the products of an offer that may be shown, the likeliest for them first."""
        call, flags = case.call, self._desk.shelf.flags
        own = _own_products(case.wants)
        for product in likely_first(case.wants, case.offer):
            if product in call.excluded or call.is_out(product):
                continue
            if product in own or not flags[product] & _UNASKED:
                yield product


def _pin(best: list[Scored], pinned: Mapping[str, int]) -> None:
    """Move offers that merchants pinned to their ranks, in the order of these; what may not be given is not there."""
    chosen = sorted((each for each in best if each.offer.id in pinned), key=lambda each: pinned[each.offer.id])
    for each in chosen:
        best.remove(each)
    for each in chosen:
        best.insert(pinned[each.offer.id] - 1, each)


def _own_products(wants: Wants) -> set[int]:
    return {each.product for each in wants.found if each.habit is not None}


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC)
