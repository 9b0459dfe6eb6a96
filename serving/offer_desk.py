"""Offers of one engine: what each is worth to a customer and to the shop, what is withheld and why, and the answer."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from serving.answers import as_shortfall
from serving.api_codes import ShortfallCode
from serving.api_offer_codes import WithheldCode
from serving.api_offers import OfferItem, OffersAnswer, OffersRequest, WithheldOffer
from serving.bundle_format import INTIMATE, RESTRICTED
from serving.channels import Channel
from serving.decisioning.offer_reasons import POPULAR, OfferReasons, Why
from serving.decisioning.offer_rules import (
    FACTS,
    RULES,
    Buyer,
    OfferCall,
    OfferCase,
    buyer_of,
    first_broken,
    valid_until_us,
)
from serving.decisioning.offer_wants import NO_WANTS, WantFinder, Wanting, Wants, likely_first, within
from serving.decisioning.value import Terms, customer_value, rank_value, shop_value
from serving.decisioning.windows import day_of, iso
from serving.desk import Desk
from serving.live import epoch_us
from serving.offer_shelf import Offer, OfferShelf
from serving.offer_terms import Setting, TermMaker, hour_fit
from serving.shelf import floats, ints
from serving.state.events import EventType
from serving.state.known import NOTHING_KNOWN, Known
from serving.taste import Shopper

N_PRODUCTS = 10
_N_BESIDE = 20
_DAY_US = 86_400_000_000
_UNASKED = RESTRICTED | INTIMATE
_BUDGET_TEXT = "It has a budget, of which nothing can be kept for them without their consent to personalization."


@dataclass(frozen=True, slots=True)
class Scored:
    """An offer that the rules left, with its terms and what it is ranked by."""

    case: OfferCase
    terms: Terms
    rank: float
    why: Why

    @property
    def offer(self) -> Offer:
        """The offer."""
        return self.case.offer


@dataclass(frozen=True, slots=True)
class Judged:
    """All offers of a call: those that may be given, best first, and the others with the rule that keeps them back."""

    shopper: Shopper
    today: int
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
        self._rules = RULES if desk.applies_rules else FACTS
        response, redeemed, propensity = bundle.response, bundle.redeemed, bundle.propensity
        self._response = (ints(response.offsets), ints(response.offer), floats(response.p))
        self._redeemed = (ints(redeemed.offsets), ints(redeemed.offer))
        self._propensity = (ints(propensity.offsets), ints(propensity.category), floats(propensity.p28))
        customers = bundle.customers
        self._churn, self._score = floats(customers.churn), floats(customers.score)
        self._hour, self._n_baskets = ints(customers.hour), ints(customers.n_baskets)
        self._discounted_lines = floats(bundle.contacts.discounted_lines)

    def offers(
        self, request: OffersRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> OffersAnswer:
        """Return the best offers for the customer on the channel, `k` or fewer with a shortfall, and all others.

        InvalidRequest when `at` lies before the bundle's as-of.
        """
        judged = self.judge(request, at, known)
        chosen, others = judged.best[: request.k], judged.best[request.k :]
        withheld = [*judged.withheld, *((each.case, WithheldCode.RANKED_BELOW) for each in others)]
        decision = self._desk.answers.decision(decision_id, is_personal=judged.shopper.is_personal)
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
        shopper = self._desk.shopper(request.customer_id, request.store_id, at, known)
        today = day_of(at, shopper.zone)
        call = self._call(request, shopper, at, known)
        wanting = self._wanting(call, shopper, today)
        wants = self._finder.find(wanting) if shopper.is_personal else {}
        setting = self._setting(request, shopper, call, at)
        judged = Judged(shopper, today, [], [])
        whys: dict[int, Why] = {}

        def terms_of(case: OfferCase) -> Terms:
            why = whys[case.offer.row] = self._why(case, wanting)
            return self._terms.terms(case, why, self._reasons.privacy_cost(why, case.offer), setting)

        for offer in self.shelf.offers:
            days = (valid_until_us(offer, call) - call.at_us) / _DAY_US
            case = OfferCase(offer, call, wants.get(offer.row, NO_WANTS), days=max(days, 0.0), terms=terms_of)
            code = first_broken(case, self._rules)
            if code is None:
                terms = case.terms
                judged.best.append(Scored(case, terms, rank_value(terms, self._policy), whys[offer.row]))
            else:
                judged.withheld.append((case, code))
        judged.best.sort(key=lambda each: (-each.rank, each.offer.id))
        return judged

    def item(self, scored: Scored, judged: Judged) -> OfferItem:
        """Return an offer as answers have it."""
        offer, terms, case = scored.offer, scored.terms, scored.case
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
            "reason": self._reasons.text(scored.why, today=judged.today),
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

    def _call(self, request: OffersRequest, shopper: Shopper, at: datetime, known: Known) -> OfferCall:
        desk, live, at_us = self._desk, known.live, epoch_us(at)
        rows_of = desk.shelf.rows_of
        is_linked = shopper.row >= 0 or bool(live.customer_id)
        is_linked = is_linked and not live.is_gone and desk.shoppers.may_personalize(request.customer_id, live)
        redeemed, dismissed = self._answered(shopper, at_us, known)
        return OfferCall(
            self._policy,
            request.channel,
            at_us,
            is_linked=is_linked,
            may_reach=self._may_reach(request.customer_id, request.channel, known),
            may_promise=known.may_promise,
            excluded=rows_of(request.exclude) | shopper.dismissed,
            basket=rows_of(request.context.basket) | shopper.basket,
            is_out=desk.is_out(shopper.store_id, known),
            redeemed=redeemed,
            dismissed=dismissed,
            holds={each.offer_id: each for each in live.held_at(at_us)} if is_linked else {},
            spending=known.spending,
            buyer=self._buyer(shopper),
        )

    def _answered(self, shopper: Shopper, at_us: int, known: Known) -> tuple[set[str], set[str]]:
        """Return the ids of the offers that they redeemed, and of those that they have turned away lately."""
        redeemed: set[str] = set()
        dismissed: set[str] = set()
        if shopper.is_personal and shopper.row >= 0:
            offsets, offer = self._redeemed
            rows = offer[offsets[shopper.row] : offsets[shopper.row + 1]]
            redeemed = {self.shelf.offers[row].id for row in rows}
        dismiss_us = self._desk.bundle.policy.events.dismiss_days * _DAY_US
        for event in known.live.events:
            if event.offer_id is None or event.at_us < known.live.erased_us:
                continue
            if event.type is EventType.REDEEM:
                redeemed.add(event.offer_id)
            elif event.type is EventType.DISMISS and at_us - event.at_us < dismiss_us:
                dismissed.add(event.offer_id)
        return redeemed, dismissed

    def _may_reach(self, customer_id: str, channel: Channel, known: Known) -> bool:
        """Return whether they agreed to the channel: places need no consent of their own, messages do."""
        if not channel.is_message:
            return True
        return not known.live.is_gone and self._desk.shoppers.consent(customer_id, known.live)[channel]

    def _buyer(self, shopper: Shopper) -> Buyer:
        row = shopper.row
        if not shopper.is_personal or row < 0:
            return Buyer.MIXED
        return buyer_of(
            self._policy,
            discounted_lines=self._discounted_lines[row],
            score=self._score[row],
            n_baskets=self._n_baskets[row],
        )

    def _wanting(self, call: OfferCall, shopper: Shopper, today: int) -> Wanting:
        is_known = shopper.is_personal and shopper.row >= 0
        return Wanting(
            shopper.taste,
            today,
            today + math.ceil(self._policy.ttl_hours / 24),
            closed={*call.excluded, *call.basket},
            favourites=tuple(self._favourites(shopper.row)) if is_known else (),
            may_leave=is_known and self._churn[shopper.row] >= self._policy.leaving_chance,
        )

    def _favourites(self, row: int) -> Iterator[tuple[int, float]]:
        """Yield the categories that a customer buys, with the chance that they do within seven days."""
        offsets, category, p28 = self._propensity
        for e in range(offsets[row], offsets[row + 1]):
            yield category[e], within(p28[e], 7.0 / 4.0)

    def _setting(self, request: OffersRequest, shopper: Shopper, call: OfferCall, at: datetime) -> Setting:
        responses: Mapping[int, float] = {}
        fit = None
        is_known = shopper.is_personal and shopper.row >= 0
        if is_known:
            offsets, offer, p = self._response
            start, end = offsets[shopper.row], offsets[shopper.row + 1]
            responses = dict(zip(offer[start:end], p[start:end], strict=True))
        if is_known and request.channel.is_message and self._hour[shopper.row] >= 0:
            local = at.astimezone(shopper.zone)
            fit = hour_fit(local.hour + local.minute / 60, self._hour[shopper.row])
        return Setting(
            is_personal=shopper.is_personal,
            is_message=request.channel.is_message,
            trust=0.5,
            trip7=shopper.taste.p_shop(7),
            hour_fit=fit,
            responses=responses,
            on_page=self._on_page(request.context.page),
            beside_basket=self._beside(call.basket),
        )

    def _on_page(self, page: str | None) -> Collection[int]:
        """Return the rows of the offers for the product or the category that a page shows."""
        if page is None:
            return ()
        product = self._desk.shelf.row_of(page)
        if product >= 0:
            return self.shelf.of_product(product)
        category = self._desk.shelf.category_row_of(page)
        return {part.offer for part in self.shelf.of_category.get(category, ())}

    def _beside(self, basket: Iterable[int]) -> Collection[int]:
        """Return the rows of the offers for what is bought together with the basket."""
        near = self._desk.candidates.near(dict.fromkeys(sorted(basket), 1.0), _N_BESIDE)
        return {offer for each in near for offer in self.shelf.of_product(each.product)}

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


def _own_products(wants: Wants) -> set[int]:
    return {each.product for each in wants.found if each.habit is not None}


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC)
