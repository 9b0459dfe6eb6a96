"""The engine that customers meet, asked for simulated ones: what it gives is sent, held, and ends with consent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving.api_offer_codes import WithheldCode
from serving.bundle import Bundle, open_bundle, write_bundle
from serving.channels import Channel
from serving.engine import Engine
from serving.live import epoch_us
from tests.serving.tiny import AS_OF, STORED, tiny_contents
from tests.serving.tiny_offers import OFFERS, RESPONSES
from training.simulation.book import Book
from training.simulation.choosing import NONE, EngineChooser, LikeliestOffer, Moment, chances_of
from training.simulation.offers import Offers
from training.simulation.population import Population
from training.simulation.world import Delivered

CUSTOMERS = ("anna", "cleo", "emil", "fay")
IDS = tuple(OFFERS)
NOW_US = epoch_us(AS_OF) + 10 * 3_600_000_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder: Path = tmp_path_factory.mktemp("bundles")
    return open_bundle(folder / write_bundle(tiny_contents(), folder))


@pytest.fixture
def offers(running: Offers) -> Offers:
    n = len(IDS)
    zero = np.zeros(n, dtype=np.int64)
    return replace(
        running, offer_ids=IDS, category=zero, value=np.ones(n), depth=np.ones(n), starts_day=zero, ends_day=zero
    )


@pytest.fixture
def book(population: Population, offers: Offers) -> Book:
    named = replace(population.of(np.arange(4)), customer_ids=CUSTOMERS)
    return Book(named, offers, np.arange(4))


@pytest.fixture
def moment() -> Moment:
    return Moment(17_532, NOW_US, np.ones(len(IDS), dtype=bool))


def everything(bundle: Bundle) -> Engine:
    return Engine(bundle, applies_rules=False)


def test_what_the_engine_gives_is_chosen_and_held(bundle: Bundle, offers: Offers, book: Book, moment: Moment) -> None:
    chooser = EngineChooser(everything(bundle), offers)
    best = chooser.answer(moment, "anna", book, 0)["offers"][0]
    given = chooser.choose(moment, np.array([0]), book)
    assert IDS[given[0]] == best["offer_id"]
    assert [each.offer_id for each in book.known(0).live.holds] == [best["offer_id"]]
    assert book.known(1).live.holds == ()


def test_who_left_the_channel_is_sent_nothing(bundle: Bundle, offers: Offers, book: Book, moment: Moment) -> None:
    chooser = EngineChooser(Engine(bundle), offers)
    none, yes = np.zeros(1, dtype=np.int64), np.ones(1, dtype=bool)
    book.sent(moment.day, NOW_US - 1_000_000, Delivered(none, none, yes, yes))
    answer = chooser.answer(moment, "anna", book, 0)
    assert answer["offers"] == []
    reached = {name for name, offer in OFFERS.items() if Channel.EMAIL in offer.channels}
    codes = {each["offer_id"]: each["reason"]["code"] for each in answer["withheld"]}
    assert {codes[name] for name in reached} == {WithheldCode.NO_CONSENT}
    assert chooser.choose(moment, np.array([0]), book).tolist() == [NONE]


def test_the_engine_sees_what_was_told(bundle: Bundle, offers: Offers, book: Book, moment: Moment) -> None:
    none, no = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=bool)
    book.sent(moment.day, NOW_US - 1_000_000, Delivered(none, none, ~no, no))
    assert [each.type.value for each in book.known(0).live.events] == ["send", "open"]
    assert book.had(0) == {0}


def test_chances_are_the_bundle_s(bundle: Bundle, offers: Offers) -> None:
    found = chances_of(bundle, offers, (*CUSTOMERS, "nobody"))
    assert found[0, IDS.index("dairy-off")] == pytest.approx(RESPONSES["anna"]["dairy-off"], abs=STORED)
    assert found[4].max() == 0.0


def test_the_likeliest_offer_is_sent_whatever_it_costs(
    bundle: Bundle, offers: Offers, book: Book, moment: Moment
) -> None:
    policy = LikeliestOffer(bundle, offers, CUSTOMERS)
    best = policy.choose(moment, np.arange(4), book)
    assert IDS[best[0]] == "dairy-off"
    one, no = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=bool)
    book.sent(moment.day, NOW_US, Delivered(one, best[:1], no, no))
    assert policy.choose(moment, np.array([0]), book)[0] != best[0]
