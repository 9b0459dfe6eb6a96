"""The challenge of one engine: how it is first made, and what becomes of its items before anybody has seen it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter, itemgetter

from serving.answers import as_shortfall
from serving.api import ChallengeRequest
from serving.api_answers import ChallengeAnswer, ChallengeItem
from serving.api_codes import Role
from serving.bundle_format import INTIMATE, RESTRICTED
from serving.decisioning import shortfalls
from serving.decisioning.challenge import ChallengeMaker
from serving.decisioning.challenge_parts import N_ITEMS, Draft, Pick
from serving.decisioning.completion import completion_probability
from serving.decisioning.exploring import Lots
from serving.decisioning.windows import Week, Window, challenge_window, day_of, week_of
from serving.desk import Desk
from serving.numbers import between_days
from serving.state.known import NOTHING_KNOWN, Known
from serving.taste import Shopper

# Published answers have six places: a joint chance is never shown as impossible.
_LEAST_CHANCE = 1e-6
_probability: Callable[[ChallengeItem], float] = itemgetter("probability")
_product: Callable[[Pick], int] = attrgetter("product")
_is_new: Callable[[Pick], bool] = attrgetter("is_new")


class ChallengeDesk:
    """Makes challenges of one open bundle; each method is told in `serving.engine.Engine`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._shelf = desk.shelf
        self._answers = desk.answers
        self._numbers = desk.bundle.numbers
        self._exploration = desk.bundle.policy.exploration
        self._maker = ChallengeMaker(
            desk.shelf,
            desk.candidates,
            numbers=desk.bundle.numbers,
            stretch=desk.bundle.policy.stretch,
            reasons=desk.reasons,
            pace=desk.pace,
        )

    def challenge(
        self, request: ChallengeRequest, at: datetime, decision_id: str, known: Known = NOTHING_KNOWN
    ) -> ChallengeAnswer:
        """Return a challenge for the customer, first made at `at`, until the end of that week."""
        shopper = self._desk.shopper(request.customer_id, request.store_id, at, known)
        draft = self._draft(request, shopper, challenge_window(at, shopper.zone), known)
        draft.lots = self._lots(shopper, decision_id, known)
        if shopper.is_personal:
            picks = self._maker.personal(draft)
        else:
            picks = self._maker.popular(draft, self._desk.neighbours_of(shopper, request.basket))
        answer = self._answers.challenge(
            self._answers.decision(decision_id, is_personal=shopper.is_personal),
            picks,
            draft.window,
            shopper,
        )
        chances = list(map(_probability, answer["items"]))
        answer["completion_probability"] = self._completion(shopper, chances, draft.window)
        self._answers.add_reward(answer, list(map(_product, picks)), list(map(_is_new, picks)))
        if len(picks) < N_ITEMS:
            answer["shortfall"] = as_shortfall(shortfalls.of_challenge(len(picks), draft.screen.met))
        return answer

    def week_of(self, request: ChallengeRequest, at: datetime, known: Known = NOTHING_KNOWN) -> Week:
        """Return the week of the customer's challenge at `at`: Monday to Monday in the zone of their usual store."""
        self._desk.check(at)
        zone = self._desk.shoppers.place(request.customer_id, None, known.live).zone
        return week_of(day_of(at, zone), zone)

    def replacement(
        self, kept: ChallengeAnswer, request: ChallengeRequest, at: datetime, known: Known = NOTHING_KNOWN
    ) -> ChallengeAnswer | None:
        """Return a challenge nobody has seen yet with items in place of those out of stock or banned; None for none."""
        shopper = self._desk.shopper(request.customer_id, request.store_id, at, known)
        is_out = self._desk.is_out(shopper.store_id, known)
        is_banned = self._desk.display(request, shopper).is_banned
        rows = [self._shelf.row_of(item["product_id"]) for item in kept["items"]]
        slots = [place for place, row in enumerate(rows) if is_out(row) or is_banned(row)]
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
        store_id = self._desk.shoppers.place(request.customer_id, request.store_id, known.live).store_id
        is_out = self._desk.is_out(store_id, known)
        items = [each.copy() for each in answer["items"]]
        for item in items:
            if is_out(self._shelf.row_of(item["product_id"])):
                item["out_of_stock"] = True
        return {**answer, "items": items}

    def _draft(self, request: ChallengeRequest, shopper: Shopper, window: Window, known: Known) -> Draft:
        """Return an empty challenge for the shopper, with what may not be in it."""
        screen = self._desk.screen(request, shopper, known, forbidden_flags=RESTRICTED | INTIMATE)
        kind, category = self._shelf.type, self._shelf.category
        closed_types = {kind[row] for row in screen.in_basket}
        if shopper.taste.is_live:
            is_just_bought = self._desk.pace.is_just_bought
            lately = shopper.taste.bought_lately()
            closed_types.update(each.type for each in lately if is_just_bought(each, window.first_day))
        return Draft(
            taste=shopper.taste,
            store=shopper.store,
            window=window,
            screen=screen,
            display=self._desk.display(request, shopper),
            basket_categories={category[row] for row in screen.in_basket},
            closed_types=closed_types,
        )

    def _lots(self, shopper: Shopper, decision_id: str, known: Known) -> Lots | None:
        """Return what draws the stretch: only of personal challenges that leave a trace, where the policy explores."""
        if known.trace is None or not shopper.is_personal:
            return None
        policy = self._exploration
        is_drawn = self._desk.applies_rules and policy.stretch_share > 0
        return Lots(policy, policy.stretch_share, decision_id, known.trace) if is_drawn else None

    def _refill(self, draft: Draft, kept: ChallengeAnswer, slots: Sequence[int], shopper: Shopper) -> dict[int, Pick]:
        """Return a pick for each of the slots for which there is one, by place."""
        rows = [self._shelf.row_of(item["product_id"]) for item in kept["items"]]
        draft.closed_types.update(self._shelf.type[row] for i, row in enumerate(rows) if row >= 0 and i not in slots)
        picks: dict[int, Pick] = {}
        for place in slots:
            # An item for which there is nothing stays, so those that are yet to be replaced count as well.
            taken = {self._shelf.category[row] for i, row in enumerate(rows) if row >= 0 and i != place}
            slot = replace(draft, roles=(Role(kept["items"][place]["role"]),), picks=[], categories=taken)
            found = self._maker.personal(slot) if shopper.is_personal else self._maker.popular(slot, [])
            if found:
                picks[place] = found[0]
                rows[place] = found[0].product
        return picks

    def _completion(self, shopper: Shopper, chances: Sequence[float], window: Window) -> float:
        """Return the chance that all items are done, of their `chances` as the answer shows them: rounded."""
        if not chances:
            return 0.0
        numbers = self._numbers
        if shopper.is_personal:
            joint = completion_probability(chances, shopper.taste.p_shop(window.n_days), numbers.completion)
        else:
            joint = numbers.population_completion * between_days(numbers.population_window, window.n_days)
        return min(max(round(joint, 6), _LEAST_CHANCE), *chances, 1.0)
