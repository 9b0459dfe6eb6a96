"""Answers as they go out: plain dictionaries of the shapes in api_answers, with every number rounded and finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, cast
from zoneinfo import ZoneInfo

from serving.api_answers import (
    AlsoBoughtAnswer,
    AlsoBoughtItem,
    CategoryChance,
    ChallengeAnswer,
    ChallengeItem,
    Decision,
    Item,
    Note,
    Reason,
    RecommendationsAnswer,
    Score,
    Shortfall,
    SubstituteItem,
    SubstitutesAnswer,
)
from serving.api_codes import Level, NoteCode, ShortfallCode
from serving.bundle import Bundle
from serving.candidates import Habit, Neighbour
from serving.decisioning.challenge_parts import N_ITEMS, Pick
from serving.decisioning.reward import NO_REWARD, reward_for, stake_of
from serving.decisioning.slate_parts import Entry
from serving.decisioning.substitutes import Substitute
from serving.decisioning.windows import Window, due_text, iso, midnight_text, plus_days
from serving.shares import fallen
from serving.shelf import Shelf, floats, ints
from serving.taste import Shopper
from serving.tier import Tier

VALUE_HORIZON_DAYS = 84
FARTHEST_DAYS = 3650.0  # the calendar ends; an expectation beyond ten years says nothing


_product: Callable[[Pick], int] = attrgetter("product")
_COUNTED = {Level.PRODUCT: "product_id", Level.PRODUCT_TYPE: "product_type", Level.CATEGORY: "category"}


class Answers:
    """Puts what was decided into words and numbers."""

    def __init__(self, bundle: Bundle, shelf: Shelf) -> None:
        self._bundle = bundle
        self._shelf = shelf
        self._features_at = iso(bundle.manifest.as_of)
        self._currency = bundle.manifest.currency
        self._version = bundle.manifest.version
        self._reward = bundle.policy.reward
        has = bundle.manifest.has
        said = ((has.categories, NoteCode.OWN_CATEGORY), (has.types, NoteCode.OWN_TYPE))
        self._source_notes = [code for is_given, code in said if not is_given]
        customers = bundle.customers
        self._churn, self._next_days = floats(customers.churn), floats(customers.next_days)
        self._value, self._score = floats(customers.value), floats(customers.score)
        self._segment, self._channel = ints(customers.segment), ints(customers.channel)
        self._hour = ints(customers.hour)
        self._segments, self._channels = list(bundle.segments), list(bundle.channels)
        propensity = bundle.propensity
        self._propensity = (ints(propensity.offsets), ints(propensity.category))
        self._p28 = (ints(propensity.top.codes), ints(propensity.fall))

    def decision(self, decision_id: str, *, is_personal: bool) -> Decision:
        """Return what every decision carries."""
        return {
            "decision_id": decision_id,
            "model_version": self._version,
            "personalized": is_personal,
            "experiment": None,
            "currency": self._currency,
        }

    def challenge(self, decision: Decision, picks: Sequence[Pick], window: Window, shopper: Shopper) -> ChallengeAnswer:
        """Return the challenge of the picks; its chance and what it earns are yet to be set."""
        answer: ChallengeAnswer = {
            **decision,  # type: ignore[typeddict-item] # a decision brings no shortfall
            "items": self.challenge_items(picks, shopper),
            "completion_probability": 0.0,
            "reward": None,
            "expected_value": 0.0,
            "valid_from": iso(window.starts),
            "valid_to": iso(window.ends),
            "progress": {"done": 0, "of": len(picks), "completed_at": None, "reward_id": None},
            "cold_start": shopper.row < 0,
        }
        notes = self._notes(list(map(_product, picks)))
        if notes:
            answer["notes"] = notes
        return answer

    def add_reward(self, answer: ChallengeAnswer, products: Sequence[int], are_new: Sequence[bool]) -> None:
        """Set the reward and the expected value, by the items' products (rows, -1 unknown) and which are new."""
        habit, stretch = self._reward.habit_uplift, self._reward.stretch_uplift
        margin = self._shelf.margin
        stakes = [
            stake_of((item["probability"], None if row < 0 else margin(row), stretch if is_new else habit))
            for item, row, is_new in zip(answer["items"], products, are_new, strict=True)
        ]
        completion = answer["completion_probability"]
        offered = NO_REWARD if len(stakes) < N_ITEMS else reward_for(stakes, completion, self._reward)
        answer["expected_value"] = offered.expected_value
        answer["reward"] = None
        if offered.value > 0.0:
            answer["reward"] = {"kind": self._reward.kind, "value": offered.value, "cost": offered.cost}

    def recommendations(self, decision: Decision, slate: Sequence[Entry], shopper: Shopper) -> RecommendationsAnswer:
        """Return the ranking of the entries."""
        items: list[dict[str, Any]] = []  # Any: typed as a whole below
        known, zone = self._habits_of([(entry.product, entry.habit) for entry in slate], shopper), shopper.place.zone
        items_of, add_history = self._shelf.items, self._add_history
        for (product, _, probability, reason, _), habit in zip(slate, known, strict=True):
            item = items_of(product).copy()
            item["reason"] = reason
            if habit is not None:
                add_history(item, habit, zone)
            item["probability"] = round(probability, 6)
            items.append(item)
        fields = {**decision, "items": items, "cold_start": shopper.row < 0}
        answer = cast("RecommendationsAnswer", fields)
        if self._source_notes:
            answer["notes"] = _as_notes(self._source_notes)
        return answer

    def also_bought(
        self, decision: Decision, found: Sequence[Neighbour], reasons: Sequence[Reason], *, shopper: Shopper
    ) -> AlsoBoughtAnswer:
        """Return the products bought together with those asked about; `ignored` is empty until it is filled."""
        items: list[AlsoBoughtItem] = []
        known = self._bought_before([each.product for each in found], shopper)
        for neighbour, reason, habit in zip(found, reasons, known, strict=True):
            item = self._item(neighbour.product, reason)
            self._add_history(item, habit, shopper.zone)
            item["score"] = round(max(neighbour.score, 0.0), 6)
            item["lift"] = round(neighbour.lift, 4)
            item["support"] = neighbour.support
            items.append(cast("AlsoBoughtItem", item))
        return {**decision, "items": items, "ignored": []}  # type: ignore[typeddict-item] # a decision brings no shortfall

    def items(self, products: Sequence[int], reasons: Sequence[Reason], shopper: Shopper) -> list[Item]:
        """Return products as plain items, in their order."""
        items: list[Item] = []
        for product, reason, habit in zip(products, reasons, self._bought_before(products, shopper), strict=True):
            item = self._item(product, reason)
            self._add_history(item, habit, shopper.zone)
            items.append(cast("Item", item))
        return items

    def substitutes(self, decision: Decision, found: Sequence[Substitute], shopper: Shopper) -> SubstitutesAnswer:
        """Return the products that stand in for the one asked about."""
        items: list[SubstituteItem] = []
        for each in found:
            item = self._item(each.product, each.reason)
            self._add_history(item, each.habit, shopper.zone)
            item["score"] = round(each.score, 6)
            items.append(cast("SubstituteItem", item))
        return {**decision, "items": items}  # type: ignore[typeddict-item] # a decision brings no shortfall

    def score(self, customer_id: str, at: datetime, *, shopper: Shopper, tier: Tier, k: int) -> Score:
        """Return a customer in numbers; nulls where nothing is known or may be told. `tier` is theirs as of now."""
        as_of = self._bundle.manifest.as_of
        row = shopper.row
        score: Score = {
            "customer_id": customer_id,
            "churn_probability": None,
            "next_purchase_at": None,
            "lifetime_value": None,
            "customer_score": None,
            "segment": None,
            "engagement_tier": None,
            "best_channel": None,
            "best_hour": None,
            "categories": [],
            "features_at": self._features_at,
            "cold_start": row < 0,
        }
        if shopper.is_personal and row >= 0:
            expected = plus_days(as_of, min(self._next_days[row], FARTHEST_DAYS))
            score["churn_probability"] = round(self._churn[row], 6)
            score["next_purchase_at"] = iso(max(expected, at))
            score["lifetime_value"] = {
                "value": round(self._value[row], 4),
                "horizon_days": VALUE_HORIZON_DAYS,
                "currency": self._currency,
            }
            score["customer_score"] = round(self._score[row], 4)
            score["segment"] = _label(self._segments, self._segment[row])
            score["engagement_tier"] = tier
            score["best_channel"] = _label(self._channels, self._channel[row])
            score["best_hour"] = self._hour[row] if self._hour[row] >= 0 else None
            score["categories"] = self._categories(row, k)
        return score

    def _categories(self, row: int, k: int) -> list[CategoryChance]:
        offsets, category = self._propensity
        tops, fall = self._p28
        start = offsets[row]
        end = min(start + k, offsets[row + 1])
        names = self._shelf.category_names
        found = zip(category[start:end], fallen(tops[row], fall[start:end]), strict=True)
        return [{"category": names[each], "probability": round(p, 6)} for each, p in found]

    def challenge_items(self, picks: Sequence[Pick], shopper: Shopper) -> list[ChallengeItem]:
        """Return the picks as items, in their order."""
        items: list[dict[str, Any]] = []  # Any: typed as a whole below
        known, zone = self._habits_of([(pick.product, pick.habit) for pick in picks], shopper), shopper.place.zone
        items_of = self._shelf.items
        for pick, habit in zip(picks, known, strict=True):
            item = items_of(pick.product).copy()
            item["reason"] = pick.reason
            if habit is not None:
                self._add_history(item, habit, zone)
            item["role"] = pick.role
            item["probability"] = round(pick.chance, 6)
            item["target_quantity"] = 1
            item["counts"] = {"level": pick.level, "id": item[_COUNTED[pick.level]]}
            item["done"] = False
            items.append(item)
        return cast("list[ChallengeItem]", items)

    def _item(self, product: int, reason: Reason) -> dict[str, Any]:  # Any: an item's fields, typed by who asks
        item = self._shelf.item(product)
        item["reason"] = reason
        return item

    def _habits_of(self, chosen: Sequence[tuple[int, Habit | None]], shopper: Shopper) -> list[Habit | None]:
        """Return the habit of each chosen product: the one that it was chosen for, else what is known of it."""
        found = iter(self._bought_before([product for product, habit in chosen if habit is None], shopper))
        return [next(found) if habit is None else habit for _, habit in chosen]

    def _bought_before(self, products: Sequence[int], shopper: Shopper) -> Sequence[Habit | None]:
        if not shopper.is_personal or not products:
            return [None] * len(products)
        return shopper.taste.again_of(products)

    def _add_history(self, item: dict[str, Any], known: Habit | None, zone: ZoneInfo) -> None:
        """Add when the customer last bought it, when it is due and how many they take, where they have.

        What is counted or ranked by type has the numbers of its type, as its reason does.
        """
        if known is not None:
            item["last_bought_at"] = midnight_text(known.last_day, zone)
            item["due_at"] = None if known.gap_days is None else due_text(known.due_day, zone)
            item["usual_quantity"] = known.quantity

    def _notes(self, products: Sequence[int]) -> list[Note]:
        shelf = self._shelf
        notes = list(self._source_notes)
        if not all(map(shelf.has_cost, products)):
            has_prices = any(map(shelf.is_priced, products))
            notes.append(NoteCode.PRICES_FOR_COSTS if has_prices else NoteCode.NO_PRICES)
        return _as_notes(notes)


def _as_notes(codes: Sequence[NoteCode]) -> list[Note]:
    return [{"code": code, "text": code.explanation} for code in codes]


def as_shortfall(code: ShortfallCode) -> Shortfall:
    """Return the code with the sentence that explains it."""
    return {"code": code, "text": code.explanation}


def _label(labels: Sequence[str], row: int) -> str | None:
    return labels[row] if row >= 0 else None
