from __future__ import annotations

from dataclasses import replace

import pytest

from serving.bundle_format import INTIMATE, RESTRICTED
from serving.decisioning.flags import excluded_products, flag_products
from serving.decisioning.policy import default_policy

LISTS = default_policy().lists


def flags(name: str = "", kind: str = "", category: str = "", department: str = "") -> int:
    return int(flag_products([name], [kind], [category], [department], LISTS)[0])


@pytest.mark.parametrize(
    "category",
    [
        "LIQUOR", "BEERS/ALES", "DOMESTIC WINE", "IMPORTED WINE", "MISC WINE", "SPIRITS", "CIGARETTES", "CIGARS",
        "TOBACCO OTHER", "SMOKING CESSATIONS", "COLD AND FLU", "ANALGESICS", "ANTACIDS", "LAXATIVES",
        "SINUS AND ALLERGY",
        "PHARMACY", "DIETARY AID PRODUCTS", "INFANT FORMULA", "Beer & Cider", "wine", "Red Wines", "Malt Liquor",
        "E-Cigarettes", "Over the counter medicines", "Baby formula",
    ],
)  # fmt: skip
def test_restricted_categories_of_any_retailer(category: str) -> None:
    assert flags(category=category) & RESTRICTED


@pytest.mark.parametrize(
    "kind",
    [
        "BEERALEMALT LIQUORS", "TRADITIONAL GIN", "RUMS (42 UNDER PROOF)", "RTD COCKTAILS 750ML PLUS", "SNUFF",
        "COCKTAILS READY-TO-DRINK", "BLENDED WHISKEY", "INFANT FORMULA SOY BASE", "ANTI-ACIDS", "ULTRA/SUPER VODKA",
    ],
)  # fmt: skip
def test_restricted_types(kind: str) -> None:
    assert flags(kind=kind) & RESTRICTED


@pytest.mark.parametrize(
    "text",
    [
        "GINGER", "Ginger Ale", "MIXERS(TONIC WTR/GNGR ALE)FLAV", "root beer", "Root Beers 12 pack", "WINE VINEGAR",
        "VINEGAR ALL-EXCEPT WINE/RIC", "cooking wine", "Wine Glasses", "FRUIT COCKTAIL FRUIT SALAD", "COCKTAIL SAUCE",
        "TOMATOES COCKTAIL", "Beer Battered Cod", "Non-Alcoholic Punch", "DRUG GM", "Engine Oil", "Kale", "Drumsticks",
        "Rum Raisin Ice Cream", "Scotch Tape", "Butterscotch", "Spirit Level", "Winegums", "Aleppo Pepper", "Crumpets",
        "PHYSICANS FORMULA", "CIDER", "SANDWICHES - (COLD)", "COLD CEREAL", "Virgin Olive Oil", "SMOKED MEATS", "/",
        "",
    ],
)  # fmt: skip
def test_harmless_words_are_not_restricted(text: str) -> None:
    assert flags(name=text, kind=text, category=text) == 0


@pytest.mark.parametrize(
    "category",
    ["FAMILY PLANNING", "FEMININE HYGIENE", "ADULT INCONTINENCE", "LAXATIVES", "Condoms", "Pregnancy Tests", "tampons"],
)
def test_intimate_categories(category: str) -> None:
    assert flags(category=category) & INTIMATE


@pytest.mark.parametrize(
    "text", ["FAMILY PACK", "ADULT CEREAL", "LUBRICANTS/CLEANERS", "BABY DIAPERS", "Facial tissues"]
)
def test_harmless_words_are_not_intimate(text: str) -> None:
    assert not flags(category=text) & INTIMATE


def test_any_of_the_four_texts_counts() -> None:
    texts = [["x", "x", "x", "x", None]] * 4
    for place in range(4):
        columns = [list(each) for each in texts]
        columns[place][place] = "Red wine"
        found = flag_products(columns[0], columns[1], columns[2], columns[3], LISTS)
        assert [bool(each & RESTRICTED) for each in found] == [i == place for i in range(5)]


def test_both_flags_can_stand_together() -> None:
    assert flags(category="LAXATIVES") == RESTRICTED | INTIMATE


def test_nothing_is_flagged_in_an_empty_shop() -> None:
    assert flag_products([], [], [], [], LISTS).shape == (0,)


def test_a_shops_own_words_are_matched_too() -> None:
    lists = replace(LISTS, excluded=("gift card",), restricted=("messer",), harmless=("messer set",))
    assert list(excluded_products(["Gift Cards", "Postcard"], ["", ""], ["", ""], ["", ""], lists)) == [True, False]
    assert list(flag_products(["Messer", "Messer-Set"], ["", ""], ["", ""], ["", ""], lists)) == [RESTRICTED, 0]
