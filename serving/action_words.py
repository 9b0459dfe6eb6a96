"""True things about a customer and products, put into the words of a language, for the texts of actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from serving.api_offers import OfferItem
from serving.decisioning.reasons import spoken
from serving.decisioning.text_forms import plain
from serving.decisioning.texts import Language
from serving.decisioning.triggers import Found
from serving.decisioning.windows import midnight
from serving.shelf import Shelf
from serving.taste import Shopper

_CATEGORY_CHARS = 40


@dataclass(frozen=True)
class Words:
    """Puts facts into words: names as they are spoken, money and days in the form of the language."""

    shelf: Shelf
    language: Language
    currency: str
    name_chars: int

    def of_goods(self, products: Sequence[int], shopper: Shopper) -> dict[str, str | int | None]:
        """Return what may be said of products; the first is the one that a message is about."""
        first = products[0]
        price = self.shelf.price(first)
        return {
            "product": self.name(first),
            "products": self.language.forms.listed([self.name(each) for each in products]),
            "n": len(products),
            "price": None if price is None else self.money(price),
            "last_bought": self._last_bought(first, shopper),
        }

    def of_offer(self, offer: OfferItem, zone: ZoneInfo) -> dict[str, str | int | None]:
        """Return what may be said of an offer."""
        value = self.money(offer["value"]) if offer["value"] else None
        return {
            "offer": self.language.offer_words(offer["kind"], value),
            "valid_to": self.day(datetime.fromisoformat(offer["valid_to"]), zone),
        }

    def of_finding(self, found: Found) -> dict[str, str | int | None]:
        """Return what else a trigger has found: the shop that is near."""
        if found.shop is None:
            return {}
        closes = found.shop.closes
        return {
            "distance": self.language.forms.away(found.shop.km),
            "closes": None if closes is None else self.language.forms.hour_of(closes),
        }

    def name(self, product: int) -> str:
        """Return what a person calls a product; words that fit any product where its name is not known."""
        name = self.shelf.name(product)
        if name == self.shelf.ids[product]:
            return self.language.forms.unnamed
        return plain(spoken(name), self.name_chars) or self.language.forms.unnamed

    def category(self, category: int) -> str:
        """Return what a person calls a category."""
        return plain(spoken(self.shelf.category_label(category)), _CATEGORY_CHARS)

    def money(self, amount: float) -> str:
        """Return money in the shop's currency."""
        return self.language.forms.amount_of(amount, self.currency)

    def day(self, moment: datetime, zone: ZoneInfo) -> str:
        """Return the local day of a moment."""
        return self.language.forms.day_of(moment.astimezone(zone))

    def _last_bought(self, product: int, shopper: Shopper) -> str | None:
        habit = shopper.taste.again_of([product])[0]
        if habit is None or habit.n < 1:
            return None
        return self.day(midnight(habit.last_day, shopper.zone), shopper.zone)


Facts = Mapping[str, str | int | None]
