"""docs/offers.md explains every code and every number, in the words of the code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import pytest

from serving.api_codes import Code
from serving.api_offer_codes import OfferReasonCode, WithheldCode
from serving.api_offers import OfferItem
from serving.decisioning.policy_offers import OffersPolicy

PAGE = (Path(__file__).parents[2] / "docs" / "offers.md").read_text("utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the lines of a table, but for its head."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize(
    ("title", "codes"), [("Why an offer is withheld", WithheldCode), ("Why an offer is made", OfferReasonCode)]
)
def test_every_code_stands_there_in_order_with_its_explanation(title: str, codes: Iterable[Code]) -> None:
    found = {cells[0].strip("` "): cells[1] for cells in rows(section(title))}
    assert found == {code.value: code.explanation for code in codes}
    if title == "Why an offer is withheld":
        assert list(found) == [code.value for code in codes]


def test_every_number_of_the_policy_says_what_moves() -> None:
    named = re.findall(r"`(\w+)`", " ".join(cells[0] for cells in rows(section("What moves when you move a number"))))
    assert sorted(named) == sorted(each.name for each in fields(OffersPolicy))


def test_every_term_of_an_answer_is_defined() -> None:
    terms = {cells[0].strip("` ") for cells in rows(section("The letter of the terms"))}
    assert terms == OfferItem.__annotations__.keys() - {
        "offer_id",
        "kind",
        "value",
        "product_ids",
        "valid_to",
        "reason",
    }
