from __future__ import annotations

from serving.decisioning.rules import Withheld
from serving.decisioning.shortfalls import of_also_bought, of_challenge, of_ranking, of_substitutes


def test_filters_of_the_call_explain_more_than_what_is_gone() -> None:
    assert of_ranking({Withheld.TOO_DEAR, Withheld.OUT_OF_STOCK}) == "filters"
    assert of_ranking({Withheld.OUT_OF_STOCK}) == "excluded"
    assert of_ranking({Withheld.RESTRICTED}) == "no_more_candidates"


def test_two_habits_without_a_stretch_mean_nothing_new() -> None:
    assert of_challenge(2, set()) == "nothing_new"
    assert of_challenge(1, set()) == "too_few_categories"
    assert of_challenge(2, {Withheld.EXCLUDED}) == "excluded"


def test_products_that_are_not_known_go_together_with_nothing() -> None:
    assert of_also_bought(2, 0, set()) == "unknown_products"
    assert of_also_bought(0, 0, set()) == "no_products"
    assert of_also_bought(1, 1, {Withheld.IN_BASKET}) == "excluded"
    assert of_also_bought(1, 1, set()) == "never_together"


def test_a_product_whose_substitutes_are_sold_out_is_told_from_one_without() -> None:
    assert of_substitutes({Withheld.OUT_OF_STOCK}) == "excluded"
    assert of_substitutes({Withheld.INTIMATE}) == "no_substitutes"
