"""True things about a customer and products, put into the words of a language, for the texts of actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from serving.api_offers import OfferItem
from serving.bundle_format import PRICE_LEARNED
from serving.decisioning.reasons import spoken
from serving.decisioning.text_forms import plain
from serving.decisioning.text_templates import Facts
from serving.decisioning.texts import Language
from serving.decisioning.triggers import Found
from serving.decisioning.windows import day_of, midnight
from serving.desk import Desk
from serving.taste import Shopper

_DAYS_WITHOUT_A_YEAR = 300


@dataclass(frozen=True)
class Words:
    """Puts facts into words: names as they are spoken, money and days in the form of the language."""

    desk: Desk
    language: Language
    currency: str
    name_chars: int

    def facts(self, found: Found, products: Sequence[int], offer: OfferItem | None, shopper: Shopper) -> Facts:
        """Return all that may be said of an action; `products` are those that it is about, the first before all."""
        facts: dict[str, str | int | None] = {}
        if products:
            facts |= self._of_goods(products, shopper)
        if offer is not None:
            facts |= self._of_offer(offer, shopper.zone)
        if found.shop is not None:
            closes = found.shop.closes
            facts["distance"] = None if found.shop.km is None else self.language.forms.away(found.shop.km)
            facts["closes"] = None if closes is None else self.language.forms.hour_of(closes)
        return facts | self._of_promise(found, shopper.zone)

    def name(self, product: int) -> str:
        """Return what a person calls a product; words that fit any product where its name is not known."""
        shelf = self.desk.shelf
        name = shelf.name(product)
        is_known = name != shelf.ids[product]
        return (plain(spoken(name), self.name_chars) if is_known else "") or self.language.forms.unnamed

    def _of_goods(self, products: Sequence[int], shopper: Shopper) -> dict[str, str | int | None]:
        first, shelf = products[0], self.desk.shelf
        # What was paid on average is no price to promise.
        price = None if shelf.flags[first] & PRICE_LEARNED else shelf.price(first)
        category, names = shelf.category[first], list(dict.fromkeys(map(self.name, products)))
        is_named = self.desk.reasons.can_name_category(category) and not shelf.stands_for_category(first)
        label = plain(spoken(shelf.category_label(category)), self.name_chars) if is_named else ""
        return {
            "product": self.name(first),
            "products": self.language.forms.listed(names),
            "n": len(names),
            "price": None if price is None else self._money(price),
            "last_bought": self._last_bought(first, shopper),
            "category": label or None,
        }

    def _of_offer(self, offer: OfferItem, zone: ZoneInfo) -> dict[str, str | int | None]:
        value = self._money(offer["value"]) if offer["value"] else None
        return {
            "offer": self.language.offer_words(offer["kind"], value),
            "valid_to": self._end(datetime.fromisoformat(offer["valid_to"]), zone),
        }

    def _of_promise(self, found: Found, zone: ZoneInfo) -> dict[str, str | int | None]:
        """Return what may be said of a reward or a challenge that ends soon."""
        facts: dict[str, str | int | None] = {}
        if found.until is not None:
            facts["ends"] = self._end(found.until, zone)
        if found.reward is not None:
            facts["reward"] = self.language.offer_words(found.reward.kind, self._money(found.reward.value))
        if found.challenge is not None:
            reward, n_done = found.challenge.answer["reward"], sum(found.challenge.is_done)
            n = len(found.challenge.is_done)
            facts |= {"done": n_done, "of": n, "left": n - n_done, "reward": None}
            if reward is not None:
                facts["reward"] = self.language.offer_words(reward["kind"], self._money(reward["value"]))
        return facts

    def _money(self, amount: float) -> str:
        return self.language.forms.amount_of(amount, self.currency)

    def _end(self, moment: datetime, zone: ZoneInfo) -> str:
        return self.language.forms.end_of(moment.astimezone(zone))

    def _last_bought(self, product: int, shopper: Shopper) -> str | None:
        """Return the day on which a product was last bought.

        None where they have bought another of its type since, or it is so long ago that a day would need its year.
        """
        taste, kind = shopper.taste, self.desk.shelf.type[product]
        habit = taste.again_of([product])[0]
        if habit is None or habit.n < 1 or any(each.last_day > habit.last_day for each in taste.habits_of({kind})):
            return None
        if day_of(shopper.at, shopper.zone) - habit.last_day > _DAYS_WITHOUT_A_YEAR:
            return None
        return self.language.forms.day_of(midnight(habit.last_day, shopper.zone).astimezone(shopper.zone))
