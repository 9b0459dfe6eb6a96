"""A till's shorthand for a product, spelt out for a person."""

from __future__ import annotations

import re
from functools import lru_cache

# Tills cut what is longer; the last word is then a stump.
_TILL_WIDTH = 30

_SPELT_OUT = {
    "AND": "and",
    "APPL": "apple",
    "BF": "beef",
    "BKD": "baked",
    "BN": "beans",
    "BNLS": "boneless",
    "BRD": "bread",
    "BRKFST": "breakfast",
    "BTL": "bottle",
    "BTR": "butter",
    "CARB": "carbonated",
    "CATFD": "cat food",
    "CATSUP": "ketchup",
    "CHICK": "chicken",
    "CHKN": "chicken",
    "CHOC": "chocolate",
    "CHOCOCLATE": "chocolate",
    "CONC": "concentrate",
    "CRMD": "creamed",
    "CRBNTD": "carbonated",
    "DNR": "dinner",
    "DNRS": "dinners",
    "DRNK": "drink",
    "DRNKING": "drinking",
    "DRNKNG": "drinking",
    "DRNKS": "drinks",
    "DRSNG": "dressing",
    "EXCP": "except",
    "FD": "food",
    "FEM": "feminine",
    "FLR": "flour",
    "FLVRD": "flavored",
    "FRE": "fresh",
    "FRZN": "frozen",
    "GDS": "goods",
    "GRND": "ground",
    "HYGN": "hygiene",
    "IWS": "wrapped",
    "JCE": "juice",
    "LITER": "liter",
    "MAINSTREAM": "standard",
    "MISC": "miscellaneous",
    "MLT": "multi",
    "MNERAL": "mineral",
    "MNRL": "mineral",
    "MX": "mix",
    "MXS": "mixes",
    "PK": "pack",
    "PKGD": "packaged",
    "PKLD": "pickled",
    "PNT": "peanut",
    "PREP": "prepared",
    "PRPCK": "prepacked",
    "PWDR": "powder",
    "REFRGRATD": "refrigerated",
    "REFRIG": "refrigerated",
    "REG": "regular",
    "RTS": "ready-to-serve",
    "SAL": "salad",
    "SALD": "salad",
    "SAUS": "sausage",
    "SFT": "soft",
    "SGL": "single",
    "SHLFSH": "shellfish",
    "SNDWCH": "sandwich",
    "SNGL": "single",
    "SPECILATY": "specialty",
    "SPLY": "supply",
    "SPRD": "spread",
    "SRV": "serve",
    "SS": "single-serve",
    "SV": "serve",
    "SW": "sweet",
    "TISS": "tissue",
    "TORT": "tortilla",
    "VEG": "vegetable",
    "WHL": "whole",
    "WT": "weight",
    "WTR": "water",
    "XLARGE": "extra large",
}
# Kinds that say nothing without their category.
_VAGUE = frozenset(
    {
        "BETTER FOR YOU",
        "BLENDS",
        "CORE",
        "ECONOMY",
        "ECONOMY - MEAT",
        "ENHANCED",
        "GARDEN PLUS",
        "KIDS",
        "LEAN",
        "LIGHT",
        "MAINSTREAM",
        "MISCELLANEOUS",
        "ORGANIC",
        "OTHER",
        "PREMIUM",
        "PREMIUM - MEAT",
        "PREMIUM PINTS",
        "PRIMAL",
        "REGULAR",
        "REGULAR GARDEN",
        "SEASONED",
        "SELECT",
        "SMOKED/COOKED",
        "SPECIALTY",
        "SUPER PREMIUM",
        "SUPER PREMIUM PINTS",
        "TRADITIONAL",
        "VALUE",
        "VARIETY",
        "VEGETABLE",
    }
)
_KEPT_UPPER = frozenset({"BBQ", "TV", "IQF", "CD", "DVD"})
_UNITS = {
    "CT": "ct",
    "DZ": "dozen",
    "FL OZ": "fl oz",
    "FT": "ft",
    "GA": "gal",
    "GAL": "gal",
    "IN": "in",
    "L": "l",
    "LB": "lb",
    "LOADS": "loads",
    "ML": "ml",
    "OZ": "oz",
    "PC": "pieces",
    "PK": "pack",
    "PT": "pt",
    "QT": "qt",
    "SQ FT": "sq ft",
    "STEM": "stems",
    "STEMS": "stems",
}
_NUMBER = r"\d*\.?\d+(?: \d/\d+|/\d+)?"
_MEASURE = rf"({_NUMBER})[ -]*({'|'.join(sorted(_UNITS, key=len, reverse=True))})\.?"
_SIZE = re.compile(rf"(?:[A-Z]{{1,2}}(?: [A-Z])? +|\d{{5,6}} +)?{_MEASURE}(?:/{_MEASURE})?")


def kind_in_words(product_type: str | None, category: str | None) -> str | None:
    """Return the shorthand that says what a product is: its type, after its category where the type alone says nothing.

    Examples
    --------
    >>> kind_in_words("PREMIUM", "FROZEN PIZZA"), kind_in_words("BANANAS", "FRUIT")
    ('FROZEN PIZZA: PREMIUM', 'BANANAS')
    """
    if product_type in _VAGUE and category:
        return f"{_without_stump(category)}: {product_type}"
    return product_type or category


def readable_product_name(kind: str | None, size: str | None, *, is_own_brand: bool, otherwise: str) -> str:
    """Return what a person would call the product: its kind, its size where that can be read, and whose brand it is.

    `otherwise` is what it is called when nothing else is known; never empty.

    Examples
    --------
    >>> readable_product_name("FLUID MILK WHITE ONLY", "1 GA", is_own_brand=True, otherwise="?")
    'Fluid milk white only, 1 gal (store brand)'
    >>> readable_product_name("BUTTER SPRAY CRACKER (RITZ/CLU", None, is_own_brand=False, otherwise="?")
    'Butter spray cracker'
    """
    name = readable_kind(kind) if kind else ""
    if not name:
        return readable_kind(otherwise) or otherwise
    measured = readable_size(size) if size else None
    return name + (f", {measured}" if measured else "") + (" (store brand)" if is_own_brand else "")


@lru_cache(maxsize=8192)
def readable_kind(shorthand: str) -> str:
    """Return a kind of product in words, in sentence case; a word that the till has cut off is left out.

    Examples
    --------
    >>> readable_kind("FRZN SS PREMIUM ENTREES/DNRS/N"), readable_kind("EGGS - X-LARGE")
    ('Frozen single-serve premium entrees/dinners', 'Eggs, extra large')
    """
    text = shorthand if "(" in shorthand else _without_stump(shorthand)
    text = re.sub(r"\([^)]*$", "", text).replace("X-LARGE", "XLARGE").replace("MISC.", "MISC")
    text = re.sub(r"\s*&\s*", " & ", re.sub(r"\s*:\s*", ": ", re.sub(r"\s+-\s*|\s*-\s+", ", ", text)))
    text = re.sub(r"[A-Z']+", lambda match: _spelt_out(match.group()), text)
    text = re.sub(r"\s+", " ", text).strip(" -/,:&.")
    return text[:1].upper() + text[1:]


def _without_stump(shorthand: str) -> str:
    """Return the text without its last word, where the till's width has cut it."""
    if len(shorthand) != _TILL_WIDTH:
        return shorthand
    return re.sub(r"[ /\-&]+[^ /\-&]*$", "", shorthand)


def _spelt_out(word: str) -> str:
    return word if word in _KEPT_UPPER else _SPELT_OUT.get(word, word.lower())


@lru_cache(maxsize=8192)
def readable_size(shorthand: str) -> str | None:
    """Return a package size in usual units; None when it can't be read as one.

    Examples
    --------
    >>> readable_size("1 GA"), readable_size("12 PK/12 OZ"), readable_size("523746 CTN")
    ('1 gal', '12 pack, 12 oz', None)
    """
    match = _SIZE.fullmatch(re.sub(r"\s+", " ", shorthand.strip()))
    if match is None:
        return None
    parts = [(number, unit) for number, unit in (match.group(1, 2), match.group(3, 4)) if number]
    return ", ".join(f"{_plain_number(number)} {_UNITS[unit]}" for number, unit in parts)


def _plain_number(number: str) -> str:
    """Return '0.5' for '.5' and '16' for '16.00'."""
    if "/" in number:
        return number
    value = float(number)
    return f"{value:g}"
