"""The engine: a request, a moment and the bundle go in, a decision comes out.

Pure: no clock, no disk, no network, no randomness. Ids that nobody may guess enter as an argument. Times in answers are
UTC, money is in the bundle's currency, probabilities are rounded to six places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from types import MappingProxyType

from serving.answers import Answers, as_shortfall
from serving.api import (
    AlsoBoughtRequest,
    ChallengeRequest,
    RecommendationsRequest,
    ScoresRequest,
    SubstitutesRequest,
)
from serving.api_answers import (
    AlsoBoughtAnswer,
    ChallengeAnswer,
    Experiment,
    RecommendationsAnswer,
    ScoresAnswer,
    SubstitutesAnswer,
)
from serving.api_codes import Role, ShortfallCode
from serving.bundle import Bundle
from serving.bundle_format import INTIMATE, OUT_OF_STOCK, RESTRICTED
from serving.candidates import UNKNOWN, Candidates, Neighbour
from serving.customer_view import CustomerView, CustomerViews
from serving.decisioning import shortfalls
from serving.decisioning.challenge import N_ITEMS, ChallengeMaker, Draft, Pick
from serving.decisioning.completion import completion_probability
from serving.decisioning.reasons import Reasons
from serving.decisioning.rules import Gone, Pace, Screen, Withheld, price_and_category
from serving.decisioning.slate import Ask, SlateMaker
from serving.decisioning.substitutes import SubstituteMaker
from serving.decisioning.windows import Week, Window, challenge_window, day_of, iso, week_of
from serving.errors import InvalidRequest, UnknownProduct
from serving.live import Shoppers
from serving.live_stock import StockRoom, nothing_is_out
from serving.numbers import between_days
from serving.shelf import Shelf
from serving.state.known import NOBODY, NOTHING_KNOWN, Known, Live
from serving.taste import Shopper

# Published answers have six places: a joint chance is never shown as impossible.
_LEAST_CHANCE = 1e-6
# The calendar ends with 9999, and a week must end before it.
_LAST_YEAR = 9998
NOBODY_KNOWN: Mapping[str, Known] = MappingProxyType({})


class Engine:
    """Decides from one open bundle; many threads may ask at once.

    Without `applies_rules` the answers are the ranking alone: nothing is just bought, out of stock or capped, and
    consent is not asked. That is for measuring models, never for customers.
    """

    def __init__(self, bundle: Bundle, *, applies_rules: bool = True) -> None:
        self.bundle = bundle
        self._applies_rules = applies_rules
        self._shelf = Shelf(bundle, margin_rate=bundle.policy.margin.rate_where_unknown)
        self._candidates = Candidates(bundle, self._shelf)
        pace = Pace(bundle.policy.habit, applies_rules=applies_rules)
        self._reasons = Reasons(self._shelf, pace)
        self._challenges = ChallengeMaker(
            self._shelf,
            self._candidates,
            numbers=bundle.numbers,
            stretch=bundle.policy.stretch,
            reasons=self._reasons,
            pace=pace,
        )
        self._slates = SlateMaker(
            self._shelf,
            self._candidates,
            policy=bundle.policy.recommendations,
            reasons=self._reasons,
            pace=pace,
            applies_rules=applies_rules,
        )
        self._substitutes = SubstituteMaker(self._shelf, self._candidates, bundle.policy.substitutes, self._reasons)
        self._pace = pace
        self._answers = Answers(bundle, self._shelf)
        self._stock = StockRoom(self._shelf)
        self._shoppers = Shoppers(bundle, self._shelf, self._candidates, applies_rules=applies_rules)
        self._views = CustomerViews(bundle, self._shelf, self._shoppers, self._answers)

    def challenge(
        self, request: ChallengeRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> ChallengeAnswer:
        """Return a challenge for the customer, first made at `at`, until the end of that week.

        It is for the caller to keep it: asked again, the engine makes another. InvalidRequest when `at` lies before the
        bundle's as-of.
        """
        shopper = self._shopper(request.customer_id, request.store_id, at, known)
        draft = self._draft(request, shopper, challenge_window(at, shopper.zone), known)
        if shopper.is_personal:
            picks = self._challenges.personal(draft)
        else:
            picks = self._challenges.popular(draft, self._neighbours_of(shopper, request.basket))
        answer = self._answers.challenge(
            self._answers.decision(decision_id, is_personal=shopper.is_personal),
            picks,
            draft.window,
            completion=self._completion(shopper, [each.chance for each in picks], draft.window),
            shopper=shopper,
        )
        if len(picks) < N_ITEMS:
            answer["shortfall"] = as_shortfall(shortfalls.of_challenge(len(picks), draft.screen.met))
        return answer

    def week_of(self, request: ChallengeRequest, at: datetime, known: Known = NOTHING_KNOWN) -> Week:
        """Return the week of the customer's challenge at `at`: Monday to Monday in the zone of their usual store.

        InvalidRequest when `at` lies before the bundle's as-of.
        """
        self.check(at)
        zone = self._shoppers.place(request.customer_id, None, known.live).zone
        return week_of(day_of(at, zone), zone)

    def replacement(
        self, kept: ChallengeAnswer, request: ChallengeRequest, at: datetime, known: Known = NOTHING_KNOWN
    ) -> ChallengeAnswer | None:
        """Return a challenge that nobody has seen yet with items in place of those out of stock; None where none is.

        Each keeps its slot's purpose: a habit for a habit, a stretch for a stretch, of a category that is in no other
        slot. Chances are those of the challenge's own window. An item for which there is nothing stays. `request` says
        for whom and which store, and what is excluded or in the basket.
        """
        shopper = self._shopper(request.customer_id, request.store_id, at, known)
        is_out = self._is_out(shopper.store_id, known)
        slots = [place for place, item in enumerate(kept["items"]) if is_out(self._shelf.row_of(item["product_id"]))]
        if not slots:
            return None
        window = challenge_window(datetime.fromisoformat(kept["valid_from"]), shopper.zone)
        draft = self._draft(request, shopper, window, known)
        picks = self._refill(draft, kept, slots, shopper)
        if not picks:
            return None
        items = list(kept["items"])
        for place, item in zip(picks, self._answers.challenge_items(list(picks.values()), shopper), strict=True):
            items[place] = item
        answer: ChallengeAnswer = {**kept, "items": items}
        answer["completion_probability"] = self._completion(shopper, [each["probability"] for each in items], window)
        self._answers.add_reward(
            answer,
            [self._shelf.row_of(item["product_id"]) for item in items],
            [
                picks[place].is_new if place in picks else shopper.is_personal and item["role"] is Role.STRETCH
                for place, item in enumerate(items)
            ],
        )
        return answer

    def mark_stock(
        self, answer: ChallengeAnswer, request: ChallengeRequest, known: Known = NOTHING_KNOWN
    ) -> ChallengeAnswer:
        """Return a challenge whose items say so where they are out of stock now, in the request's store or theirs."""
        if not known.stock.available:
            return answer
        store_id = self._shoppers.place(request.customer_id, request.store_id, known.live).store_id
        is_out = self._is_out(store_id, known)
        items = [each.copy() for each in answer["items"]]
        for item in items:
            if is_out(self._shelf.row_of(item["product_id"])):
                item["out_of_stock"] = True
        return {**answer, "items": items}

    def kinds(self, product_id: str) -> tuple[str, str] | None:
        """Return the product type and the category that a purchase of a product counts as; None for an unknown one."""
        return self._shelf.kinds(product_id)

    def recommendations(
        self, request: RecommendationsRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> RecommendationsAnswer:
        """Return a ranking for the customer, best first: `k` items, or fewer with a shortfall.

        InvalidRequest when `at` lies before the bundle's as-of.
        """
        shopper = self._shopper(request.customer_id, None, at, known)
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
            slate = self._slates.popular(ask, self._neighbours_of(shopper, request.basket))
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
        shopper = self._shopper(request.customer_id, request.store_id, at, known)
        asked = {each: self._shelf.row_of(each) for each in request.product_ids}
        ignored = [each for each, row in asked.items() if row < 0]
        if ignored and len(asked) == 1:
            raise UnknownProduct(ignored[0])
        asked_rows = [row for row in asked.values() if row >= 0]
        is_intimate = any(self._shelf.flags[row] & INTIMATE for row in asked_rows)
        forbidden = INTIMATE if self._applies_rules and not is_intimate else 0
        screen = self._screen(request, shopper, known, forbidden_flags=forbidden)
        today = day_of(at, shopper.zone)
        just_bought = {each.product for each in shopper.taste.again() if self._pace.is_just_bought(each, today)}

        def may_be_shown(product: int) -> bool:
            if product in just_bought:
                screen.note(product, Withheld.JUST_BOUGHT)
                return False
            return screen.withheld(product) is None

        shown = (each for each in self._candidates.neighbours(asked_rows) if may_be_shown(each.product))
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
        shopper = self._shopper(request.customer_id, request.store_id, at, known)
        asked = self._shelf.row_of(request.product_id)
        if asked < 0:
            raise UnknownProduct(request.product_id)
        forbidden = self._substitutes.forbidden_flags(asked) if self._applies_rules else 0
        screen = self._screen(request, shopper, known, forbidden_flags=forbidden)
        found = self._substitutes.found(asked, shopper, screen, day_of(at, shopper.zone))[: request.k]
        decision = self._answers.decision(decision_id, is_personal=shopper.is_personal)
        answer = self._answers.substitutes(decision, found, shopper)
        if len(found) < request.k:
            answer["shortfall"] = as_shortfall(shortfalls.of_substitutes(screen.met))
        return answer

    def scores(
        self, request: ScoresRequest, at: datetime, decision_id: str, known: Mapping[str, Known] = NOBODY_KNOWN
    ) -> ScoresAnswer:
        """Return what is known about each customer in numbers, in the order asked.

        Without consent to personalize nothing is told of a customer. InvalidRequest when `at` lies before the bundle's
        as-of.
        """
        shoppers = [self._shopper(each, None, at, known.get(each, NOTHING_KNOWN)) for each in request.customer_ids]
        decision = self._answers.decision(decision_id, is_personal=any(each.is_personal for each in shoppers))
        scores = [
            self._answers.score(customer_id, at, shopper=each, k=request.k_categories)
            for customer_id, each in zip(request.customer_ids, shoppers, strict=True)
        ]
        return {**decision, "scores": scores}

    def may_personalize(self, customer_id: str, live: Live) -> bool:
        """Return whether the customer's history may be used, and what they do be kept under their id."""
        return self._shoppers.may_personalize(customer_id, live)

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
        return self._views.view(customer_id, self._shopper(customer_id, None, at, known), at, known.live)

    def odds(self, _label: Experiment | None) -> float:
        """Return the probability with which the arm of an answer was drawn: 1, as this engine draws none."""
        return 1.0

    def _shopper(self, customer_id: str | None, store_id: str | None, at: datetime, known: Known) -> Shopper:
        self.check(at)
        return self._shoppers.shopper(customer_id, store_id, at, known.live)

    def check(self, at: datetime) -> None:
        """Raise InvalidRequest for a moment that the bundle has no answer for."""
        as_of = self.bundle.manifest.as_of
        if at < as_of:
            raise InvalidRequest("at", f"is before the bundle's as-of, {iso(as_of)}")
        if at.year > _LAST_YEAR:
            raise InvalidRequest("at", f"is after the year {_LAST_YEAR}")

    def _draft(self, request: ChallengeRequest, shopper: Shopper, window: Window, known: Known) -> Draft:
        """Return an empty challenge for the shopper, with what may not be in it."""
        basket = self._shelf.rows_of(request.basket) | shopper.basket
        just_bought = shopper.taste.bought_lately()
        bought_types = {each.type for each in just_bought if self._pace.is_just_bought(each, window.first_day)}
        return Draft(
            taste=shopper.taste,
            store=shopper.store,
            window=window,
            screen=self._screen(request, shopper, known, forbidden_flags=RESTRICTED | INTIMATE),
            basket_categories={self._shelf.category[row] for row in basket},
            closed_types={self._shelf.type[row] for row in basket} | bought_types,
        )

    def _refill(self, draft: Draft, kept: ChallengeAnswer, slots: Sequence[int], shopper: Shopper) -> dict[int, Pick]:
        """Return a pick for each of the slots for which there is one, by place."""
        rows = [self._shelf.row_of(item["product_id"]) for item in kept["items"]]
        draft.closed_types.update(self._shelf.type[row] for i, row in enumerate(rows) if row >= 0 and i not in slots)
        picks: dict[int, Pick] = {}
        for place in slots:
            # An item for which there is nothing stays, so those that are yet to be replaced count as well.
            taken = {self._shelf.category[row] for i, row in enumerate(rows) if row >= 0 and i != place}
            slot = replace(draft, roles=(Role(kept["items"][place]["role"]),), picks=[], categories=taken)
            found = self._challenges.personal(slot) if shopper.is_personal else self._challenges.popular(slot, [])
            if found:
                picks[place] = found[0]
                rows[place] = found[0].product
        return picks

    def _is_out(self, store_id: str | None, known: Known) -> Callable[[int], bool]:
        return self._stock.is_out(known.stock, store_id) if self._applies_rules else nothing_is_out

    def _screen(
        self,
        request: ChallengeRequest | RecommendationsRequest | AlsoBoughtRequest | SubstitutesRequest,
        shopper: Shopper,
        known: Known,
        *,
        forbidden_flags: int = 0,
        extra: Callable[[int], Withheld | None] | None = None,
    ) -> Screen:
        exclude = () if isinstance(request, SubstitutesRequest) else request.exclude
        basket = () if isinstance(request, AlsoBoughtRequest | SubstitutesRequest) else request.basket
        rows_of = self._shelf.rows_of
        gone = Gone(rows_of(exclude), rows_of(basket) | shopper.basket, shopper.dismissed)
        flagged = OUT_OF_STOCK if self._applies_rules and not known.stock.available else 0
        return Screen(
            self._shelf,
            gone=gone,
            forbidden_flags=forbidden_flags | flagged,
            is_out=self._is_out(shopper.store_id, known) if known.stock.available else None,
            trace=known.trace,
            extra=extra,
        )

    def _neighbours_of(self, shopper: Shopper, basket: Sequence[str]) -> list[Neighbour]:
        """Return what goes with the basket of one whom the bundle doesn't know; nothing where consent was refused."""
        return self._candidates.neighbours(sorted(self._shelf.rows_of(basket))) if shopper.row < 0 else []

    def _completion(self, shopper: Shopper, chances: Sequence[float], window: Window) -> float:
        rounded = [round(each, 6) for each in chances]
        if not rounded:
            return 0.0
        numbers = self.bundle.numbers
        if shopper.is_personal:
            joint = completion_probability(rounded, shopper.taste.p_shop(window.n_days), numbers.completion)
        else:
            joint = numbers.population_completion * between_days(numbers.population_window, window.n_days)
        return min(max(round(joint, 6), _LEAST_CHANCE), *rounded, 1.0)

    def _ask(self, request: RecommendationsRequest, shopper: Shopper, category: int, today: int, known: Known) -> Ask:
        basket = self._shelf.rows_of(request.basket) | shopper.basket
        extra = price_and_category(self._shelf, request.max_price, category)
        return Ask(
            taste=shopper.taste,
            store=shopper.store,
            today=today,
            k=request.k,
            intent=request.intent,
            level=request.level,
            screen=self._screen(request, shopper, known, extra=extra),
            category=category,
            cap=request.max_per_category,
            basket_types=frozenset(self._shelf.type[row] for row in basket),
        )
