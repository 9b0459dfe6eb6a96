"""Whether a trigger is true of what is known of a customer, and what it is about.

Each trigger is a small claim over the customer's events, taste, challenges and place: it returns what was found, or the
code that says why it is not true. Pure: everything it looks at is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import numpy as np

from serving.api_action_codes import ActionCode
from serving.api_offer_codes import Trigger
from serving.api_offers import OfferContext
from serving.bundle_format import OUT_OF_STOCK, BundleArrays
from serving.candidates import Candidates, Habit
from serving.decisioning.policy import Policy
from serving.decisioning.rules import Pace
from serving.decisioning.shops_near import ShopNear, ShopsNear
from serving.decisioning.windows import plus_days
from serving.shelf import Shelf, floats
from serving.state.challenges import KeptChallenge, kept
from serving.state.events import Event, EventType
from serving.state.known import Earned, Known
from serving.taste import Shopper

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
_MINUTE_US = 60_000_000
_VISIT_US = 12 * HOUR_US  # being near a shop again after so long is another visit
_LOOKING = (EventType.VIEW, EventType.CLICK, EventType.SCAN)
_WANTING = (EventType.WISHLIST, EventType.CART, *_LOOKING)


class Timing(Enum):
    """When a message about something is of use."""

    NOW = "now"
    SOON = "soon"
    THEIR_HOUR = "their hour"


@dataclass(frozen=True, slots=True)
class Found:
    """What a trigger is about: products (rows, the most wanted first), and since when and until when it is true.

    `since_us` is when it became true (0: not by an event), `not_before_us` the earliest moment to speak of it. `shop`
    is the one that they are near; `reward` and `challenge` are what is about to end.
    """

    code: ActionCode
    products: tuple[int, ...]
    timing: Timing
    since_us: int = 0
    not_before_us: int = 0
    until: datetime | None = None
    shop: ShopNear | None = None
    reward: Earned | None = None
    challenge: KeptChallenge | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """A customer at a moment: `today` is their local day, `consents` what they allow, `is_out` what has run out."""

    shopper: Shopper
    known: Known
    at: datetime
    at_us: int
    today: int
    context: OfferContext
    consents: Mapping[str, bool]
    is_out: Callable[[int], bool]

    def events(self, within_us: int, *types: EventType) -> Iterable[Event]:
        """Yield events of these types that happened within so many µs, the newest first."""
        live = self.known.live
        oldest = max(self.at_us - within_us, live.erased_us)
        for event in reversed(live.events):
            if event.at_us >= oldest and event.type in types:
                yield event


Finding = Found | ActionCode

# Any moment may become one of these without an event: what `tercet batch actions` asks about, the most pressing first.
STANDING = (
    Trigger.REWARD_EXPIRING,
    Trigger.CART,
    Trigger.BACK_IN_STOCK,
    Trigger.FIRST_PURCHASE,
    Trigger.WISHLIST,
    Trigger.REPLENISH,
    Trigger.LAUNCH,
    Trigger.CHURN_RISK,
)

_NEVER: Mapping[Trigger, ActionCode] = {
    Trigger.UNSUBSCRIBE: ActionCode.LEFT_CHANNEL,
    Trigger.NOTIFICATION_BLOCK: ActionCode.LEFT_CHANNEL,
    Trigger.DISMISS: ActionCode.TURNED_AWAY,
    Trigger.UNCART: ActionCode.TURNED_AWAY,
    Trigger.SEND: ActionCode.JUST_CONTACTED,
    Trigger.IMPRESSION: ActionCode.JUST_CONTACTED,
    Trigger.OPEN: ActionCode.JUST_CONTACTED,
    Trigger.REDEEM: ActionCode.JUST_BOUGHT,
}
"""Moments at which a message would only be in the way."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """What triggers are looked for with, the same for every customer of a bundle."""

    shelf: Shelf
    candidates: Candidates
    pace: Pace
    shops: ShopsNear


class Triggers:
    """Looks at customers of one open bundle."""

    def __init__(self, bundle: BundleArrays, policy: Policy, eyes: Eyes) -> None:
        self._policy = policy.actions
        self._reward_us = policy.state.decisions_days * DAY_US
        self._cart_us = int(policy.events.cart_hours * HOUR_US)
        self._shelf, self._candidates, self._pace, self._shops = eyes.shelf, eyes.candidates, eyes.pace, eyes.shops
        self._churn = floats(bundle.customers.churn)
        self._launched = _by_category(bundle)
        self._ways: Mapping[Trigger, Callable[[Situation], Finding]] = {
            Trigger.WISHLIST: self._wished,
            Trigger.CART: self._left_in_basket,
            Trigger.SCAN: self._scanned,
            Trigger.VISIT: self._near_store,
            Trigger.VIEW: self._looked_at,
            Trigger.CLICK: self._looked_at,
            Trigger.SEARCH: self._searched,
            Trigger.FIRST_PURCHASE: self._new_category,
            Trigger.PURCHASE: self._bought,
            Trigger.REPLENISH: self._due,
            Trigger.LAUNCH: self._launch,
            Trigger.CHURN_RISK: self._at_risk,
            Trigger.BACK_IN_STOCK: self._back,
            Trigger.REWARD_EXPIRING: self._reward,
        }

    def find(self, trigger: Trigger, situation: Situation) -> Finding:
        """Return what a trigger is about, or why it is not true, or no moment for a message."""
        never = _NEVER.get(trigger)
        return self._ways[trigger](situation) if never is None else never

    def _wished(self, situation: Situation) -> Finding:
        wished = self._wanted(situation, _days_us(self._policy.wishlist_days), EventType.WISHLIST)
        if not wished:
            return ActionCode.NOTHING_WISHED
        return Found(ActionCode.WISHED, tuple(wished), Timing.THEIR_HOUR, since_us=max(wished.values()))

    def _left_in_basket(self, situation: Situation) -> Finding:
        basket = self._wanted(situation, self._cart_us, EventType.CART)
        told = {row: situation.at_us for row in map(self._shelf.row_of, situation.context.basket) if row >= 0}
        left = basket | told
        if not left:
            return ActionCode.NOTHING_IN_BASKET
        latest_us = max(basket.values(), default=situation.at_us)
        return Found(
            ActionCode.LEFT_IN_BASKET,
            tuple(left),
            Timing.SOON,
            since_us=latest_us if basket else 0,
            not_before_us=latest_us + int(self._policy.cart_wait_minutes * _MINUTE_US),
            until=plus_days(situation.at, (latest_us + self._cart_us - situation.at_us) / DAY_US),
        )

    def _scanned(self, situation: Situation) -> Finding:
        return self._just_now(situation, ActionCode.SCANNED, ActionCode.NOTHING_SCANNED, EventType.SCAN)

    def _looked_at(self, situation: Situation) -> Finding:
        return self._just_now(situation, ActionCode.LOOKED_AT, ActionCode.NOTHING_LOOKED_AT, *_LOOKING)

    def _just_now(self, situation: Situation, code: ActionCode, otherwise: ActionCode, *signs: EventType) -> Finding:
        seen = self._wanted(situation, int(self._policy.just_now_minutes * _MINUTE_US), *signs)
        if not seen:
            return otherwise
        newest = next(iter(seen))
        return Found(code, (newest,), Timing.NOW, since_us=seen[newest])

    def _searched(self, situation: Situation) -> Finding:
        """Return the best of a product type or a category that was searched for by its name."""
        for event in situation.events(int(self._policy.just_now_minutes * _MINUTE_US), EventType.SEARCH):
            kind = self._shelf.type_row_of((event.value or "").strip())
            category = self._shelf.category_row_of((event.value or "").strip())
            if kind >= 0:
                category = self._shelf.type_category[kind]
            if category >= 0:
                best = [
                    each
                    for each in self._candidates.best_of_category(category)
                    if kind < 0 or self._shelf.type[each] == kind
                ]
                own = situation.shopper.taste.again_products()
                ranked = sorted(best, key=lambda each: each not in own)
                if ranked:
                    return Found(ActionCode.LOOKED_AT, (ranked[0],), Timing.NOW, since_us=event.at_us)
        return ActionCode.NOTHING_LOOKED_AT

    def _near_store(self, situation: Situation) -> Finding:
        if not situation.consents["location"]:
            return ActionCode.NO_LOCATION_CONSENT
        near = self._shops_around(situation)
        if isinstance(near, ActionCode):
            return near
        due = self._due_products(situation)
        if not due:
            return ActionCode.NOTHING_DUE
        since_us = situation.at_us - _VISIT_US
        return Found(ActionCode.NEAR_STORE, due, Timing.NOW, since_us, until=near.closes, shop=near)

    def _shops_around(self, situation: Situation) -> ShopNear | ActionCode:
        """Return the nearest open shop: around the place that the call names, else where they have just been seen."""
        around = self._around(situation)
        if around is None:
            return ActionCode.NO_LOCATION
        if not around:
            return ActionCode.TOO_FAR
        for store, km in around:
            closes = self._shops.closing(store, situation.at)
            if closes is None and self._shops.knows_hours(store):
                continue
            if closes is None or (closes - situation.at).total_seconds() >= 60 * self._policy.visit_open_minutes:
                return ShopNear(store, km, closes)
        return ActionCode.CLOSED

    def _around(self, situation: Situation) -> Sequence[tuple[int, float | None]] | None:
        context = situation.context
        if context.latitude is not None and context.longitude is not None:
            return self._shops.within(context.latitude, context.longitude, self._policy.visit_km)
        for event in situation.events(int(self._policy.just_now_minutes * _MINUTE_US), EventType.VISIT):
            store = self._candidates.store_row(event.store_id)
            if store >= 0:
                return [(store, None)]
        return None

    def _new_category(self, situation: Situation) -> Finding:
        """Return the latest purchase from a category that they had not bought from in the 26 weeks before."""
        live = situation.known.live
        recent = situation.shopper.taste.as_of_bundle().recent_categories()
        first: dict[int, tuple[int, int]] = {}
        pieces: dict[int, float] = {}
        for event in live.events:
            row = self._shelf.row_of(event.product_id) if event.product_id else -1
            if event.type is EventType.PURCHASE and row >= 0:
                pieces[row] = pieces.get(row, 0.0) + event.quantity
                first.setdefault(self._shelf.category[row], (event.at_us, row))
        oldest_us = situation.at_us - int(self._policy.first_purchase_hours * HOUR_US)
        fresh = [
            (at_us, row)
            for category, (at_us, row) in first.items()
            if category not in recent and at_us >= oldest_us and pieces[row] > 0.0
        ]
        if not fresh:
            return ActionCode.NOTHING_NEW
        at_us, row = max(fresh)
        return Found(ActionCode.NEW_CATEGORY, (row,), Timing.THEIR_HOUR, since_us=at_us)

    def _bought(self, situation: Situation) -> Finding:
        """Return the surprise for a first purchase in a category; after any other purchase nothing is to be said."""
        found = self._new_category(situation)
        return ActionCode.JUST_BOUGHT if isinstance(found, ActionCode) else found

    def _due(self, situation: Situation) -> Finding:
        due = self._due_products(situation)
        return Found(ActionCode.DUE, due, Timing.THEIR_HOUR) if due else ActionCode.NOTHING_DUE

    def _due_products(self, situation: Situation) -> tuple[int, ...]:
        habits = (each for each in situation.shopper.taste.habits() if self._is_due(each, situation.today))
        return tuple(dict.fromkeys(each.product for each in habits))

    def _is_due(self, habit: Habit, today: int) -> bool:
        """Return whether it is time to buy it again, and not so long ago that the habit is over."""
        if habit.gap_days is None or not self._pace.is_regular(habit) or self._pace.is_just_bought(habit, today):
            return False
        is_alive = today - habit.last_day <= self._policy.overdue_gaps * max(habit.gap_days, 1.0)
        return self._pace.is_due(habit, today + 1) and is_alive

    def _launch(self, situation: Situation) -> Finding:
        taste = situation.shopper.taste
        bought: dict[int, int] = {}
        for habit in taste.habits():
            category = self._shelf.type_category[habit.type]
            bought[category] = bought.get(category, 0) + habit.n
        oldest_us, own = situation.at_us - _days_us(self._policy.launch_days), taste.again_products()
        news = [
            (-bought[category], -launched_us, product)
            for category, launched in self._launched.items()
            if bought.get(category, 0) >= self._policy.launch_purchases
            for product, launched_us in launched
            if oldest_us <= launched_us < situation.at_us and product not in own
        ]
        if not news:
            return ActionCode.NOTHING_LAUNCHED
        return Found(ActionCode.LAUNCHED, tuple(product for _, _, product in sorted(news)), Timing.THEIR_HOUR)

    def _at_risk(self, situation: Situation) -> Finding:
        row, taste = situation.shopper.row, situation.shopper.taste
        is_at_risk = row >= 0 and self._churn[row] >= self._policy.churn_probability
        if not is_at_risk or any(True for _ in taste.bought_lately()):
            return ActionCode.NO_RISK
        habits = [each for each in taste.habits() if not self._pace.is_just_bought(each, situation.today)]
        often = sorted(habits, key=lambda each: -each.n)
        return Found(ActionCode.KEPT_WAITING, tuple(dict.fromkeys(each.product for each in often)), Timing.THEIR_HOUR)

    def _back(self, situation: Situation) -> Finding:
        wanted = self._wanted(situation, _days_us(self._policy.wanted_days), *_WANTING)
        own = dict.fromkeys(situation.shopper.taste.again_products())
        there = [row for row in {**wanted, **own} if self._was_out(row, situation) and not situation.is_out(row)]
        habits = situation.shopper.taste.again_of(there)
        back = [
            row
            for row, habit in zip(there, habits, strict=True)
            if habit is None or not self._pace.is_just_bought(habit, situation.today)
        ]
        return Found(ActionCode.BACK_IN_STOCK, tuple(back), Timing.SOON) if back else ActionCode.NOTHING_BACK

    def _reward(self, situation: Situation) -> Finding:
        """Return the reward, else the challenge, that ends within the policy's hours."""
        live, at_us = situation.known.live, situation.at_us
        soon_us = int(self._policy.reward_hours * HOUR_US)
        for reward in sorted(live.rewards, key=lambda each: each.completed_us):
            ends_us = reward.completed_us + self._reward_us
            if reward.completed_us < at_us < ends_us <= at_us + soon_us:
                until = plus_days(situation.at, (ends_us - at_us) / DAY_US)
                return Found(
                    ActionCode.REWARD_WAITING, (), Timing.SOON, reward.completed_us, until=until, reward=reward
                )
        challenge = live.challenge
        if challenge is None or not challenge.at_us < at_us < challenge.ends_us <= at_us + soon_us:
            return ActionCode.NO_REWARD
        standing = kept(challenge, live.kinds, at_us)
        left = [item for item, is_done in zip(standing.answer["items"], standing.is_done, strict=True) if not is_done]
        rows = tuple(row for item in left if (row := self._shelf.row_of(item["product_id"])) >= 0)
        until = plus_days(situation.at, (challenge.ends_us - at_us) / DAY_US)
        return Found(ActionCode.CHALLENGE_ENDING, rows, Timing.SOON, challenge.at_us, until=until, challenge=standing)

    def _was_out(self, product: int, situation: Situation) -> bool:
        """Return whether it was out of stock in the bundle, or by a word since, which another word took back."""
        returned = situation.known.stock.returned
        product_id = self._shelf.ids[product]
        return (
            bool(self._shelf.flags[product] & OUT_OF_STOCK)
            or (product_id, None) in returned
            or (product_id, situation.shopper.store_id) in returned
        )

    def _wanted(self, situation: Situation, within_us: int, *signs: EventType) -> dict[int, int]:
        """Return the products with such a sign that were neither bought nor turned away since, the newest first."""
        found: dict[int, int] = {}
        settled: set[int] = set()
        ends = {EventType.PURCHASE, EventType.DISMISS}
        if signs == (EventType.CART,):
            ends.add(EventType.UNCART)
        for event in situation.events(within_us, *signs, *ends):
            row = self._shelf.row_of(event.product_id) if event.product_id else -1
            if row < 0 or row in found or row in settled:
                continue
            if event.type in signs:
                found[row] = event.at_us
            elif event.type is not EventType.PURCHASE or event.quantity > 0:
                settled.add(row)
        return found


def _by_category(bundle: BundleArrays) -> dict[int, list[tuple[int, int]]]:
    """Return the products whose launch is known, with its moment, by category."""
    found: dict[int, list[tuple[int, int]]] = {}
    for row in np.flatnonzero(bundle.products.launched_us > 0).tolist():
        found.setdefault(int(bundle.products.category[row]), []).append((row, int(bundle.products.launched_us[row])))
    return found


def _days_us(days: float) -> int:
    return int(days * DAY_US)
