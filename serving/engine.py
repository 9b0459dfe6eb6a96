"""The engine: a request, a moment and the bundle go in, a decision comes out.

Pure: no clock, no disk, no network, no randomness. Ids that nobody may guess enter as an argument. Times in answers are
UTC, money is in the bundle's currency, probabilities are rounded to six places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from types import MappingProxyType

from serving.answers import Answers, as_shortfall
from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, ScoresRequest
from serving.api_answers import AlsoBoughtAnswer, ChallengeAnswer, RecommendationsAnswer, ScoresAnswer
from serving.api_codes import ShortfallCode
from serving.bundle import Bundle
from serving.bundle_format import INTIMATE, OUT_OF_STOCK, RESTRICTED
from serving.candidates import UNKNOWN, Candidates, Neighbour
from serving.decisioning.challenge import N_HABITS, N_ITEMS, ChallengeMaker, Draft, Pick
from serving.decisioning.completion import completion_probability
from serving.decisioning.reasons import Reasons
from serving.decisioning.rules import FILTERS, GONE, Pace, Screen, Withheld, price_and_category
from serving.decisioning.slate import Ask, SlateMaker
from serving.decisioning.windows import Window, challenge_window, day_of, iso
from serving.errors import InvalidRequest, UnknownProduct
from serving.live import Shoppers
from serving.shelf import Shelf
from serving.state.known import NOTHING_KNOWN, Known
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
        self._pace = pace
        self._answers = Answers(bundle, self._shelf)
        self._shoppers = Shoppers(bundle, self._shelf, self._candidates, applies_rules=applies_rules)

    def challenge(
        self, request: ChallengeRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> ChallengeAnswer:
        """Return the customer's challenge of the week that holds `at`: the same for every moment of that week.

        InvalidRequest when `at` lies before the bundle's as-of.
        """
        shopper = self._shopper(request.customer_id, request.store_id, at, known)
        window = challenge_window(at, self.bundle.manifest.as_of, shopper.zone)
        basket = self._shelf.rows_of(request.basket)
        screen = self._screen(request.exclude, basket, forbidden_flags=RESTRICTED | INTIMATE)
        draft = Draft(
            taste=shopper.taste,
            store=shopper.store,
            window=window,
            screen=screen,
            basket_categories={self._shelf.category[row] for row in basket},
            closed_types={self._shelf.type[row] for row in basket},
        )
        if shopper.is_personal:
            picks = self._challenges.personal(draft)
        else:
            picks = self._challenges.popular(draft, self._neighbours_of(shopper, basket))
        answer = self._answers.challenge(
            self._answers.decision(decision_id, is_personal=shopper.is_personal),
            picks,
            window,
            completion=self._completion(shopper, picks, window),
            shopper=shopper,
        )
        if len(picks) < N_ITEMS:
            answer["shortfall"] = as_shortfall(_challenge_shortfall(len(picks), screen.met))
        return answer

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
        ask = self._ask(request, shopper, category, day_of(at, shopper.zone))
        if shopper.is_personal:
            slate = self._slates.personal(ask)
        else:
            slate = self._slates.popular(ask, self._neighbours_of(shopper, self._shelf.rows_of(request.basket)))
        answer = self._answers.recommendations(decision, slate, shopper)
        if len(slate) < request.k:
            answer["shortfall"] = as_shortfall(_shortfall(ask.screen.met))
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
        screen = self._screen(request.exclude, set(), forbidden_flags=forbidden)
        just_bought = self._just_bought(shopper, day_of(at, shopper.zone))
        neighbours = self._candidates.neighbours(asked_rows)
        shown = (
            each for each in neighbours if each.product not in just_bought and screen.withheld(each.product) is None
        )
        found = list(islice(shown, request.k))
        reasons = [self._reasons.together(each, is_basket=len(asked_rows) > 1) for each in found]
        decision = self._answers.decision(decision_id, is_personal=shopper.is_personal)
        answer = self._answers.also_bought(decision, found, reasons, shopper=shopper)
        answer["ignored"] = ignored
        if len(found) < request.k:
            answer["shortfall"] = as_shortfall(_also_shortfall(len(asked), len(asked_rows), screen.met))
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

    def _shopper(self, customer_id: str | None, store_id: str | None, at: datetime, known: Known) -> Shopper:
        as_of = self.bundle.manifest.as_of
        if at < as_of:
            raise InvalidRequest("at", f"is before the bundle's as-of, {iso(as_of)}")
        if at.year > _LAST_YEAR:
            raise InvalidRequest("at", f"is after the year {_LAST_YEAR}")
        return self._shoppers.shopper(customer_id, store_id, at, known.live)

    def _screen(
        self,
        exclude: Sequence[str],
        basket: set[int],
        *,
        forbidden_flags: int = 0,
        extra: Callable[[int], Withheld | None] | None = None,
    ) -> Screen:
        out_of_stock = OUT_OF_STOCK if self._applies_rules else 0
        return Screen(
            self._shelf,
            excluded=self._shelf.rows_of(exclude),
            in_basket=basket,
            forbidden_flags=forbidden_flags | out_of_stock,
            extra=extra,
        )

    def _neighbours_of(self, shopper: Shopper, basket: set[int]) -> list[Neighbour]:
        """Return what goes with the basket of one whom the bundle doesn't know; nothing where consent was refused."""
        return self._candidates.neighbours(sorted(basket)) if shopper.row < 0 else []

    def _completion(self, shopper: Shopper, picks: Sequence[Pick], window: Window) -> float:
        chances = [round(each.chance, 6) for each in picks]
        if not chances:
            return 0.0
        numbers = self.bundle.numbers
        if shopper.is_personal:
            p_shop = shopper.taste.p_shop(window.n_days)
            joint = completion_probability(chances, p_shop, numbers.completion)
        else:
            joint = numbers.population_completion * numbers.population_window[window.n_days - 1]
        return min(max(round(joint, 6), _LEAST_CHANCE), *chances, 1.0)

    def _ask(self, request: RecommendationsRequest, shopper: Shopper, category: int, today: int) -> Ask:
        basket = self._shelf.rows_of(request.basket)
        extra = price_and_category(self._shelf, request.max_price, category)
        return Ask(
            taste=shopper.taste,
            store=shopper.store,
            today=today,
            k=request.k,
            intent=request.intent,
            level=request.level,
            screen=self._screen(request.exclude, basket, extra=extra),
            category=category,
            cap=request.max_per_category,
            basket_types=frozenset(self._shelf.type[row] for row in basket),
        )

    def _just_bought(self, shopper: Shopper, today: int) -> set[int]:
        if not shopper.is_personal:
            return set()
        again = shopper.taste.again()
        return {each.product for each in again if self._pace.is_just_bought(each, today)}


def _shortfall(met: set[Withheld]) -> ShortfallCode:
    if met & FILTERS:
        return ShortfallCode.FILTERS
    return ShortfallCode.EXCLUDED if met & GONE else ShortfallCode.NO_MORE_CANDIDATES


def _challenge_shortfall(n_picks: int, met: set[Withheld]) -> ShortfallCode:
    if met & GONE:
        return ShortfallCode.EXCLUDED
    return ShortfallCode.NOTHING_NEW if n_picks == N_HABITS else ShortfallCode.TOO_FEW_CATEGORIES


def _also_shortfall(n_asked: int, n_known: int, met: set[Withheld]) -> ShortfallCode:
    if not n_known:
        return ShortfallCode.UNKNOWN_PRODUCTS if n_asked else ShortfallCode.NO_PRODUCTS
    return ShortfallCode.EXCLUDED if met & GONE else ShortfallCode.NEVER_TOGETHER
