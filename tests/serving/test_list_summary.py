"""The page beside a list says what the tally says, in plain words, and takes no name for markup."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from serving.bundle import Bundle, BundleContents, open_bundle, write_bundle
from serving.engine import Engine
from serving.list_options import NO_TRIGGER, Options
from serving.list_summary import About, summary_html
from serving.list_tally import Tally
from serving.state.holds import Spending
from tests.serving.tiny import AS_OF, Rows, tiny_contents
from tests.serving.tiny_offers import TinyOffer, offer_groups

MARKUP = "<b>sale</b> & more"


class Reader(HTMLParser):
    """Collects the text of a page, and which tags it has."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags = "", set[str]()

    def handle_data(self, data: str) -> None:
        self.text += data.replace("\xa0", " ")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.add(tag)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundles")
    offers = {MARKUP: TinyOffer(("coffee-1",), value=2.0, budget=10.0), "plain": TinyOffer(("brie-1",))}
    contents: BundleContents = tiny_contents(**offer_groups(Rows(), offers))
    return open_bundle(folder / write_bundle(contents, folder))


def rows(*found: tuple[str, str, float]) -> pa.Table:
    """Return rows of a list: customer, offer and what it brings; each costs 1 with a chance of one half."""
    customers, offers, values = zip(*found, strict=True)
    n = len(found)
    amounts = {"redemption_probability": 0.5, "incremental_margin": 3.0, "reward_cost": 1.0, "fatigue_cost": 0.25}
    return pa.table(
        {
            "customer_id": list(customers),
            "offer_id": list(offers),
            "channel": ["email"] * n,
            **{name: [amount] * n for name, amount in amounts.items()},
            "expected_value": list(values),
        }
    )


def read(bundle: Bundle, tally: Tally, **about: bool) -> Reader:
    gone = {MARKUP: Spending(reserved=2.0, spent=1.0)}
    told = About("offers", AS_OF, "tonight.parquet", **{"is_issued": False, "has_rules": True, **about})
    reader = Reader()
    reader.feed(summary_html(told, tally, Engine(bundle), gone))
    return reader


def test_sums_are_those_of_the_rows(bundle: Bundle) -> None:
    tally = Tally(bundle, n_asked=6)
    tally.add(rows(("anna", MARKUP, 2.0), ("anna", "plain", 1.0), ("fay", "plain", 4.5)), np.array([0, 0, 1]))
    tally.reserved[MARKUP] = 1
    page = read(bundle, tally)
    assert "Of 6 customers 2 get 3 offers." in page.text
    assert "About 2 redemptions are expected, which cost 3.00 USD in rewards and add 9.00 USD of margin" in page.text
    assert "7.50 USD should remain" in page.text
    assert "10.00 USD3.00 USD2.00 USD5.00 USD" in page.text  # the budget, gone before, this list, left


def test_names_are_text_and_not_markup(bundle: Bundle) -> None:
    tally = Tally(bundle, n_asked=1)
    tally.add(rows(("anna", MARKUP, 2.0)), np.array([0]))
    tally.note(Options("fay", 1, withheld=[(MARKUP, "budget_spent")]))
    page = read(bundle, tally)
    assert page.text.count(MARKUP) == 3
    assert "script" not in page.tags


def test_an_empty_list_says_so(bundle: Bundle) -> None:
    tally = Tally(bundle)
    tally.note(Options("anna", 0, withheld=[("", NO_TRIGGER)]))
    page = read(bundle, tally)
    assert "Of 1 customers nobody gets anything." in page.text
    assert "Nothing is true of them now" in page.text


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({}, "This is a draft"),
        ({"is_issued": True}, "its messages count as sent"),
        ({"has_rules": False}, "Do not send it"),
    ],
)
def test_what_has_been_done_with_it_is_said(bundle: Bundle, about: dict[str, bool], told: str) -> None:
    tally = Tally(bundle, n_asked=1)
    tally.add(rows(("anna", "plain", 2.0)), np.array([0]))
    assert told in read(bundle, tally, **about).text


@pytest.mark.parametrize("dtype", ["|i1", "|u1"])
def test_customers_count_once_whatever_they_get(bundle: Bundle, dtype: str) -> None:
    customers = replace(bundle.customers, segment=bundle.customers.segment.astype(dtype))  # as a bundle may store them
    tally = Tally(replace(bundle, customers=customers))
    tally.add(rows(("anna", MARKUP, 2.0), ("anna", "plain", 1.0)), np.array([0, 0], dtype=np.int32))
    tally.add(rows(("nobody", "plain", 1.0)), np.array([-1], dtype=np.int32))
    assert tally.n_customers == 2
    assert tally.channels == {"email": 2}
    assert tally.segments == {"Regulars": 1, "not known": 1}
