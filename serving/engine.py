"""The engine: a request, a moment and the bundle go in, a decision comes out.

Pure: no clock, no disk, no network, no randomness. Ids that nobody may guess enter as an argument. Times in answers are
UTC, money is in the bundle's currency, probabilities are rounded to six places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from types import MappingProxyType
from typing import cast

from serving.action_desk import ActionDesk
from serving.answers import as_shortfall
from serving.api import (
    AlsoBoughtRequest,
    ChallengeRequest,
    RecommendationsRequest,
    ScoresRequest,
    SubstitutesRequest,
)
from serving.api_actions import ActionAnswer, ActionsRequest
from serving.api_answers import (
    AlsoBoughtAnswer,
    ChallengeAnswer,
    Experiment,
    RecommendationsAnswer,
    Score,
    ScoresAnswer,
    SubstitutesAnswer,
)
from serving.api_codes import ShortfallCode
from serving.api_offer_codes import Trigger
from serving.api_offers import OffersAnswer, OffersRequest
from serving.bundle import Bundle
from serving.bundle_format import INTIMATE
from serving.candidates import UNKNOWN
from serving.challenge_desk import ChallengeDesk
from serving.channels import Channel
from serving.customer_view import CustomerView, CustomerViews
from serving.decisioning import shortfalls
from serving.decisioning.local_clock import clock_zone
from serving.decisioning.rules import Withheld, price_and_category
from serving.decisioning.slate import SlateMaker
from serving.decisioning.slate_parts import Ask
from serving.decisioning.substitutes import SubstituteMaker
from serving.decisioning.windows import Week, day_of
from serving.desk import Desk
from serving.errors import UnknownProduct
from serving.offer_desk import OfferDesk
from serving.score_desk import ScoreDesk
from serving.state.known import NOBODY, NOTHING_KNOWN, Known, Live
from serving.taste import Shopper

NOBODY_KNOWN: Mapping[str, Known] = MappingProxyType({})


class Engine:
    """Decides from one open bundle; many threads may ask at once.

    Without `applies_rules` the answers are the ranking alone: nothing is just bought, out of stock or capped, and
    consent is not asked. That is for measuring models, never for customers.
    """

    def __init__(self, bundle: Bundle, *, applies_rules: bool = True) -> None:
        self.bundle = bundle
        desk = Desk(bundle, applies_rules=applies_rules)
        self._desk = desk
        self._shelf, self._shoppers, self._answers = desk.shelf, desk.shoppers, desk.answers
        self._reasons, self._pace, self._candidates = desk.reasons, desk.pace, desk.candidates
        self._challenges = ChallengeDesk(desk)
        self._slates = SlateMaker(
            desk.shelf,
            desk.candidates,
            policy=bundle.policy.recommendations,
            reasons=desk.reasons,
            pace=desk.pace,
            applies_rules=applies_rules,
        )
        self._substitutes = SubstituteMaker(desk.shelf, desk.candidates, bundle.policy.substitutes, desk.reasons)
        self._offers = OfferDesk(desk)
        self._actions = ActionDesk(desk, self._offers)
        self._views = CustomerViews(desk)
        self._scores = ScoreDesk(desk)

    def challenge(
        self, request: ChallengeRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> ChallengeAnswer:
        """Return a challenge for the customer, first made at `at`, until the end of that week.

        It is for the caller to keep it: asked again, the engine makes another. InvalidRequest when `at` lies before the
        bundle's as-of.
        """
        return self._challenges.challenge(request, at, decision_id, known)

    def week_of(self, request: ChallengeRequest, at: datetime, known: Known = NOTHING_KNOWN) -> Week:
        """Return the week of the customer's challenge at `at`: Monday to Monday in the zone of their usual store.

        InvalidRequest when `at` lies before the bundle's as-of.
        """
        return self._challenges.week_of(request, at, known)

    def replacement(
        self, kept: ChallengeAnswer, request: ChallengeRequest, at: datetime, known: Known = NOTHING_KNOWN
    ) -> ChallengeAnswer | None:
        """Return a challenge that nobody has seen yet with items in place of those out of stock; None where none is.

        Each keeps its slot's purpose: a habit for a habit, a stretch for a stretch, of a category that is in no other
        slot. Chances are those of the challenge's own window. An item for which there is nothing stays. `request` says
        for whom and which store, and what is excluded or in the basket.
        """
        return self._challenges.replacement(kept, request, at, known)

    def mark_stock(
        self, answer: ChallengeAnswer, request: ChallengeRequest, known: Known = NOTHING_KNOWN
    ) -> ChallengeAnswer:
        """Return a challenge whose items say so where they are out of stock now, in the request's store or theirs."""
        return self._challenges.mark_stock(answer, request, known)

    def check(self, at: datetime) -> None:
        """Raise InvalidRequest for a moment that the bundle has no answer for."""
        self._desk.check(at)

    def kinds(self, product_id: str) -> tuple[str, str] | None:
        """Return the product type and the category that a purchase of a product counts as; None for an unknown one."""
        return self._shelf.kinds(product_id)

    def recommendations(
        self, request: RecommendationsRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> RecommendationsAnswer:
        """Return a ranking for the customer, best first: `k` items, or fewer with a shortfall.

        InvalidRequest when `at` lies before the bundle's as-of.
        """
        shopper = self._desk.shopper(request.customer_id, None, at, known)
        decision = self._answers.decision(decision_id, is_personal=shopper.is_personal)
        category = UNKNOWN if request.category is None else self._shelf.category_row_of(request.category)
        if request.category is not None and category < 0:
            answer = self._answers.recommendations(decision, [], shopper)
            answer["shortfall"] = as_shortfall(ShortfallCode.UNKNOWN_CATEGORY)
            return answer
        ask = self._ask(request, shopper, category, day_of(at, shopper.zone), known)
        if shopper.is_personal:
            slate = self._slates.personal(ask)
        else:
            slate = self._slates.popular(ask, self._desk.neighbours_of(shopper, request.basket))
        answer = self._answers.recommendations(decision, slate, shopper)
        if len(slate) < request.k:
            answer["shortfall"] = as_shortfall(shortfalls.of_ranking(ask.screen.met))
        return answer

    def also_bought(
        self, request: AlsoBoughtRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> AlsoBoughtAnswer:
        """Return what is bought together with the products asked about, best first.

        UnknownProduct when the call names one product only and it is not known; InvalidRequest when `at` lies before
        the bundle's as-of.
        """
        shopper = self._desk.shopper(request.customer_id, request.store_id, at, known)
        asked = {each: self._shelf.row_of(each) for each in request.product_ids}
        ignored = [each for each, row in asked.items() if row < 0]
        if ignored and len(asked) == 1:
            raise UnknownProduct(ignored[0])
        asked_rows = [row for row in asked.values() if row >= 0]
        is_intimate = any(self._shelf.flags[row] & INTIMATE for row in asked_rows)
        forbidden = INTIMATE if self._desk.applies_rules and not is_intimate else 0
        screen = self._desk.screen(request, shopper, known, forbidden_flags=forbidden)
        today = day_of(at, shopper.zone)
        just_bought = {each.product for each in shopper.taste.again() if self._pace.is_just_bought(each, today)}

        def may_be_shown(product: int) -> bool:
            if product in just_bought:
                screen.note(product, Withheld.JUST_BOUGHT)
                return False
            return screen.withheld(product) is None

        neighbours = self._desk.display(request, shopper).by_score(self._candidates.neighbours(asked_rows))
        shown = (each for each in neighbours if may_be_shown(each.product))
        found = list(islice(shown, request.k))
        reasons = [self._reasons.together(each, is_basket=len(asked_rows) > 1) for each in found]
        decision = self._answers.decision(decision_id, is_personal=shopper.is_personal)
        answer = self._answers.also_bought(decision, found, reasons, shopper=shopper)
        answer["ignored"] = ignored
        if len(found) < request.k:
            answer["shortfall"] = as_shortfall(shortfalls.of_also_bought(len(asked), len(asked_rows), screen.met))
        return answer

    def substitutes(
        self, request: SubstitutesRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> SubstitutesAnswer:
        """Return what meets the same need as a product and may be shown, best first.

        UnknownProduct when the product is not known; InvalidRequest when `at` lies before the bundle's as-of.
        """
        shopper = self._desk.shopper(request.customer_id, request.store_id, at, known)
        asked = self._shelf.row_of(request.product_id)
        if asked < 0:
            raise UnknownProduct(request.product_id)
        forbidden = self._substitutes.forbidden_flags(asked) if self._desk.applies_rules else 0
        screen = self._desk.screen(request, shopper, known, forbidden_flags=forbidden)
        steps = self._desk.display(request, shopper).step
        found = self._substitutes.found(asked, shopper, screen, day_of(at, shopper.zone), steps)[: request.k]
        decision = self._answers.decision(decision_id, is_personal=shopper.is_personal)
        answer = self._answers.substitutes(decision, found, shopper)
        if len(found) < request.k:
            answer["shortfall"] = as_shortfall(shortfalls.of_substitutes(screen.met))
        return answer

    def offers(
        self, request: OffersRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> OffersAnswer:
        """Return the offers that are worth the most to the customer and to the shop, and why all others are withheld.

        What it promises is for the caller to keep. InvalidRequest when `at` lies before the bundle's as-of.
        """
        return self._offers.offers(request, at, decision_id, known)

    def action(
        self, request: ActionsRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> ActionAnswer:
        """Return the next best action for the customer, given what has just happened or become true; or none, and why.

        What it promises and sends is for the caller to keep. InvalidRequest when `at` lies before the bundle's as-of.
        """
        return self._actions.action(request, at, decision_id, known)

    def true_triggers(self, customer_id: str, at: datetime, known: Known = NOTHING_KNOWN) -> tuple[Trigger, ...]:
        """Return the triggers that are true of a customer now without an event of this moment, most pressing first."""
        return self._actions.true_triggers(customer_id, at, known)

    def basis(self, _customer_id: str, _at: datetime, _known: Known = NOTHING_KNOWN) -> str:
        """Return what a customer is decided for by, besides what is known of them: another one, another decision."""
        return self.bundle.manifest.version

    def is_quiet(self, request: OffersRequest, at: datetime, known: Known = NOTHING_KNOWN) -> bool:
        """Return whether it is quiet time where the customer is, on the channel that is asked about."""
        place = self._shoppers.place(request.customer_id, request.store_id, known.live)
        zone = clock_zone(request.context.local_time, at, place.zone)
        return self._desk.contacts.quiet.is_quiet(request.channel, at, zone)

    def out_of_stock(
        self, customer_id: str, store_id: str | None, known: Known, product_ids: Iterable[str]
    ) -> frozenset[str]:
        """Return which of the products are out of stock in that store, else in the customer's own."""
        is_out = self._desk.is_out(self._shoppers.place(customer_id, store_id, known.live).store_id, known)
        return frozenset(each for each in product_ids if is_out(self._shelf.row_of(each)))

    def best_channel(self, customer_id: str, known: Known = NOTHING_KNOWN) -> Channel:
        """Return where the customer is to be met: the channel that they answer or shop on most, where it may be used.

        Else the first message channel that they agreed to, else the web.
        """
        return self._desk.best_channel(customer_id, known.live)

    @property
    def budgets(self) -> Mapping[str, float]:
        """The money that is set aside for each offer that has a budget, by offer_id."""
        return self._offers.shelf.budgets

    def offer_cost(self, offer_id: str) -> float | None:
        """Return what one redemption of an offer costs the shop, money; None for an offer that is not known."""
        return self._offers.cost(offer_id)

    def scores(
        self,
        request: ScoresRequest,
        at: datetime,
        decision_id: str,
        known: Mapping[str, Known] = NOBODY_KNOWN,
        *,
        as_text: bool = False,
    ) -> ScoresAnswer:
        """Return what is known about each customer in numbers, in the order asked.

        Without consent to personalize nothing is told of a customer. With `as_text` the scores are JSON already, which
        orjson writes as it is. InvalidRequest when `at` lies before the bundle's as-of.
        """
        tell = self._scores.text if as_text else self._scores.scores
        told = tell(request.customer_ids, at, known, k=request.k_categories)
        scores = cast("list[Score]", told.scores)
        return {**self._answers.decision(decision_id, is_personal=told.is_personal), "scores": scores}

    def may_personalize(self, customer_id: str, live: Live) -> bool:
        """Return whether the customer's history may be used, and what they do be kept under their id."""
        return self._shoppers.may_personalize(customer_id, live)

    def may_locate(self, customer_id: str, live: Live) -> bool:
        """Return whether it may be used, and kept, where the customer is."""
        return self._shoppers.consent(customer_id, live)["location"]

    def knows(self, customer_id: str, live: Live = NOBODY) -> bool:
        """Return whether the bundle knows the customer by any of their ids, and not from before they were forgotten."""
        return self._shoppers.knows(customer_id, live)

    def target_row(self, customer_id: str, _at: datetime, live: Live) -> int:
        """Return the bundle's row of a customer who may be chosen by their scores; -1 for any other."""
        return self._shoppers.row(customer_id, live) if self.may_personalize(customer_id, live) else UNKNOWN

    def customer_view(self, customer_id: str, at: datetime, known: Known = NOTHING_KNOWN) -> CustomerView:
        """Return what the bundle knows of a customer, and by which consent; nothing where they don't agree.

        InvalidRequest when `at` lies before the bundle's as-of.
        """
        return self._views.view(customer_id, self._desk.shopper(customer_id, None, at, known), at, known.live)

    def odds(self, _label: Experiment | None) -> float:
        """Return the probability with which the arm of an answer was drawn: 1, as this engine draws none."""
        return 1.0

    def _ask(self, request: RecommendationsRequest, shopper: Shopper, category: int, today: int, known: Known) -> Ask:
        extra = price_and_category(self._shelf, request.max_price, category)
        screen = self._desk.screen(request, shopper, known, extra=extra)
        return Ask(
            taste=shopper.taste,
            store=shopper.store,
            today=today,
            k=request.k,
            intent=request.intent,
            level=request.level,
            screen=screen,
            display=self._desk.display(request, shopper),
            category=category,
            cap=request.max_per_category,
            basket_types=frozenset(map(self._shelf.type.__getitem__, screen.in_basket)),
        )
