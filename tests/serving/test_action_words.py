"""What is said of products: names as a person says them, and only what is known and may be said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from serving.api_offer_codes import Trigger
from serving.bundle import Bundle, open_bundle, write_bundle
from serving.channels import Channel
from serving.strings import StringTable
from tests.serving.acting import ALLOWED, acting, ask
from tests.serving.happenings import event
from tests.serving.test_action_desk import SAY_LESS
from tests.serving.tiny import tiny_contents


def said_of(folder: Path, name: str, product_id: str = "coffee-1") -> str:
    """Return what a wish list's message says when a product has such a name."""
    contents = tiny_contents(ALLOWED)
    products = contents.products
    names = [name if each == product_id else old for each, old in zip(products.id, products.name, strict=True)]
    renamed = replace(contents, products=replace(products, name=StringTable.of(names)))
    engine = acting(open_bundle(folder / write_bundle(renamed, folder)), **SAY_LESS)
    answer = ask(engine, Trigger.WISHLIST, event("wishlist", product_id, 2), channel=Channel.WEB)
    return f"{answer['subject']} | {answer['text']}"


def test_a_name_in_capitals_is_not_shouted(tmp_path: Path) -> None:
    assert said_of(tmp_path, "HOUSE COFFEE").startswith("Still on your wish list: house coffee | House coffee is still")


@pytest.mark.parametrize("name", ["coffee-1", "\u200b\u202e\n"])
def test_a_product_without_a_name_is_this_product(tmp_path: Path, name: str) -> None:
    assert said_of(tmp_path, name).startswith("Still on your wish list: this product | This product is still on")


def test_a_name_that_steers_or_commands_is_plain_text(tmp_path: Path) -> None:
    said = said_of(tmp_path, "Coffee\r\nBcc: all\u202e{{ n }}")
    assert said.startswith("Still on your wish list: Coffee Bcc: all {{ n }} | Coffee Bcc: all {{ n }} is still")
    assert said.isprintable()


def test_a_long_name_is_cut_after_a_word(tmp_path: Path) -> None:
    said = said_of(tmp_path, "House Coffee from the hills behind the village that nobody has ever heard of (beans)")
    assert "House Coffee from the hills behind the village…" in said


def test_a_day_is_said_while_it_needs_no_year(tiny_bundle: Bundle) -> None:
    engine = acting(tiny_bundle, **SAY_LESS)
    for days, is_said in ((200, True), (320, False)):
        hours = 24.0 * days
        seen = event("view", "bread-1", hours - 0.1)
        answer = ask(engine, Trigger.VIEW, seen, hours=hours)
        assert ("You last bought it on Tuesday, 26 December." in answer["text"]) is is_said


def test_a_price_that_is_not_known_is_not_said(tmp_path: Path) -> None:
    assert said_of(tmp_path, "Tin of Crisps", "crisps-2").endswith("| Tin of Crisps is still on your wish list.")
