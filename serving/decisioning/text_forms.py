"""How a language writes money, dates, times, distances, lists and numbers of things."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

N_DAYS, N_MONTHS = 7, 12
_NOON = 12


def _is_few(n: int) -> bool:
    return n % 10 in {2, 3, 4} and n % 100 not in {12, 13, 14}


def _east_slavic(n: int) -> int:
    if n % 10 == 1 and n % 100 != 11:
        return 0
    return 1 if _is_few(n) else 2


def _polish(n: int) -> int:
    if n == 1:
        return 0
    return 1 if _is_few(n) else 2


def _czech(n: int) -> int:
    if n == 1:
        return 0
    return 1 if n in {2, 3, 4} else 2


PLURALS: Mapping[str, tuple[int, Callable[[int], int]]] = {
    "one": (2, lambda n: int(n != 1)),
    "zero_one": (2, lambda n: int(n > 1)),
    "east_slavic": (3, _east_slavic),
    "polish": (3, _polish),
    "czech": (3, _czech),
    "none": (1, lambda _n: 0),
}
"""How many forms a language has for a number of things, and which is for `n`: `one` is English and German, `zero_one`
French, `none` Japanese."""


@dataclass(frozen=True)
class Forms:
    """How one language writes values; the patterns hold names in braces, checked when they are read."""

    plural: str
    decimal: str
    thousands: str
    money: str
    money_without_symbol: str
    date: str
    time: str
    moment: str
    distance: str
    distance_km: float
    list_and: str
    unnamed: str
    days: tuple[str, ...]
    months: tuple[str, ...]
    symbols: Mapping[str, str]

    def amount_of(self, amount: float, currency: str) -> str:
        """Return money to two places, with the currency's symbol, or its code where the language names none."""
        text = self.number(amount, 2)
        symbol = self.symbols.get(currency)
        if symbol is None:
            return self.money_without_symbol.format(amount=text, code=currency)
        return self.money.format(amount=text, symbol=symbol)

    def number(self, amount: float, places: int) -> str:
        """Return a number with as many decimal places, thousands set apart."""
        text = f"{amount:,.{places}f}"
        return text.replace(",", "\0").replace(".", self.decimal).replace("\0", self.thousands)

    def day_of(self, moment: datetime) -> str:
        """Return the local day of a moment."""
        return self.date.format(
            weekday=self.days[moment.weekday()], day=moment.day, month=self.months[moment.month - 1]
        )

    def hour_of(self, moment: datetime) -> str:
        """Return the local time of a moment, to the minute."""
        return self.time.format(
            hour=moment.hour,
            hour12=moment.hour % 12 or 12,
            minute=f"{moment.minute:02d}",
            half="pm" if moment.hour >= _NOON else "am",
        )

    def end_of(self, moment: datetime) -> str:
        """Return until when something stands, by the local moment of its end: the last day, or the day and the time."""
        last = moment - timedelta(microseconds=1)
        if last.date() != moment.date():
            return self.day_of(last)
        return self.moment.format(date=self.day_of(moment), time=self.hour_of(moment))

    def away(self, km: float) -> str:
        """Return a distance, rounded up to a tenth of the language's unit: no place is farther away than that."""
        tenths = max(math.ceil(round(10 * km / self.distance_km, 6)), 1)
        return self.distance.format(amount=self.number(tenths / 10, 1))

    def listed(self, names: Sequence[str]) -> str:
        """Return names in a row: 'a', 'a and b', 'a, b and c'."""
        if len(names) < 2:
            return "".join(names)
        return f"{', '.join(names[:-1])} {self.list_and} {names[-1]}"

    def plural_of(self, n: int, forms: Sequence[str]) -> str:
        """Return the form for `n` things; as many forms as the language has."""
        return forms[PLURALS[self.plural][1](abs(n))]


def plain(text: str, limit: int) -> str:
    r"""Return a text from the data as it may stand in a message: one line without control characters, cut to `limit`.

    What steers a display (line ends, direction marks, zero width) becomes a space; a cut is marked.

    Examples
    --------
    >>> plain("Rye\n\tBread", 20), plain("Sea Salt Crisps", 10)
    ('Rye Bread', 'Sea Salt…')
    """
    shown = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text)
    return cut(" ".join(shown.split()), limit)


def cut(text: str, limit: int) -> str:
    """Return the text, or its beginning up to a word and an ellipsis where it is longer than `limit` characters.

    What a bracket begins goes with it.

    Examples
    --------
    >>> cut("Eggs, large (store brand)", 19)
    'Eggs, large…'
    """
    if len(text) <= limit:
        return text
    whole = text[:limit].rsplit(" ", 1)[0] if " " in text[:limit] else text[: limit - 1]
    if whole.rfind("(") > whole.rfind(")") and not whole.startswith("("):
        whole = whole[: whole.rfind("(")]
    return whole[: limit - 1].rstrip(" ,;:.–-") + "…"
