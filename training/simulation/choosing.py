"""Who gets which offer: the engine that customers meet, and the simple policies that it is compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np

from serving.api_offers import OffersAnswer, OffersRequest
from serving.bundle import Bundle
from serving.channels import Channel
from serving.engine import Engine
from serving.live import epoch_us
from serving.state.holds import Hold
from training.simulation.arrays import Bools, Floats, Ints
from training.simulation.book import Book
from training.simulation.offers import Offers

NONE = -1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Moment:
    """When messages are decided: a local day number and that moment in epoch µs; which offers run then."""

    day: int
    at_us: int
    runs: Bools

    @property
    def at(self) -> datetime:
        """Return the moment as the engine takes it."""
        return _EPOCH + timedelta(microseconds=self.at_us)


class Policy(Protocol):
    """Chooses an offer, or none, for each of some customers."""

    name: str

    def choose(self, moment: Moment, customers: Ints, book: Book) -> Ints:
        """Return the offer's row for each customer, -1 for none."""
        ...


class EngineChooser:
    """Asks the engine for the one offer to send each customer by e-mail."""

    def __init__(self, engine: Engine, offers: Offers, name: str = "value equation") -> None:
        self.name = name
        self._engine = engine
        self._rows = {offer_id: row for row, offer_id in enumerate(offers.offer_ids)}

    def answer(self, moment: Moment, customer_id: str, book: Book, customer: int) -> OffersAnswer:
        """Return the engine's answer, decided by what the book knows."""
        request = OffersRequest(customer_id=customer_id, channel=Channel.EMAIL, k=1)
        return self._engine.offers(request, moment.at, f"{moment.day}-{customer_id}", book.known(customer))

    def taken(self, moment: Moment, answer: OffersAnswer, book: Book, customer: int) -> int:
        """Return the offer that an answer gives, which the customer holds from then on."""
        if not answer["offers"]:
            return NONE
        best = answer["offers"][0]
        until_us = epoch_us(datetime.fromisoformat(best["valid_to"]))
        book.give(customer, Hold(best["offer_id"], 0.0, moment.at_us, until_us))
        return self._rows[best["offer_id"]]

    def choose(self, moment: Moment, customers: Ints, book: Book) -> Ints:
        """Return what the engine gives each."""
        found = (
            self.taken(moment, self.answer(moment, book.id_of(customer), book, customer), book, customer)
            for customer in customers.tolist()
        )
        return np.fromiter(found, dtype=np.int64, count=len(customers))


class RandomOffer:
    """Sends any offer that runs, each as likely as the other."""

    name = "random"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def choose(self, moment: Moment, customers: Ints, book: Book) -> Ints:
        """Return a random offer each; the draws follow from seed and day."""
        del book
        rng = np.random.default_rng([self._seed, 6, moment.day])
        return rng.choice(np.flatnonzero(moment.runs), len(customers))


class BestOffer:
    """Sends everybody the same one: that of the highest score among those that run and they do not hold or used."""

    def __init__(self, name: str, score: Iterable[float]) -> None:
        self.name = name
        self._score: Floats = np.array(list(score))

    def choose(self, moment: Moment, customers: Ints, book: Book) -> Ints:
        """Return the best offer each that they had not yet; ties go to the lower row."""
        ranked = [int(row) for row in np.argsort(-self._score, kind="stable") if moment.runs[row]]
        had = (book.had(customer) for customer in customers.tolist())
        found = (next((row for row in ranked if row not in used), NONE) for used in had)
        return np.fromiter(found, dtype=np.int64, count=len(customers))


class LikeliestOffer:
    """Sends each the offer that they are likeliest to redeem, by the bundle's own chances, whatever it costs."""

    name = "always send"

    def __init__(self, bundle: Bundle, offers: Offers, customer_ids: tuple[str, ...]) -> None:
        self._chances = chances_of(bundle, offers, customer_ids)

    def choose(self, moment: Moment, customers: Ints, book: Book) -> Ints:
        """Return the likeliest each, of those that run and they had not yet."""
        chances = np.where(moment.runs[None, :], self._chances[customers], -np.inf)
        for place, customer in enumerate(customers.tolist()):
            chances[place, list(book.had(customer))] = -np.inf
        best = np.argmax(chances, axis=1)
        return np.where(np.isfinite(chances.max(axis=1)), best, NONE)


class Nothing:
    """Sends nothing."""

    name = "nothing sent"

    def choose(self, moment: Moment, customers: Ints, book: Book) -> Ints:
        """Return no offer for anybody."""
        del moment, book
        return np.full(len(customers), NONE)


def chances_of(bundle: Bundle, offers: Offers, customer_ids: tuple[str, ...]) -> Floats:
    """Return the bundle's chances of redemption, shape ``(n_customers, n_offers)``; 0 where it has none."""
    column = {name: row for row, name in enumerate(offers.offer_ids)}
    of_bundle = np.array([column.get(name, NONE) for name in bundle.offers.id])
    row_of = {name: row for row, name in enumerate(bundle.customers.id)}
    found = np.zeros((len(customer_ids), offers.n))
    for place, name in enumerate(customer_ids):
        row = row_of.get(name)
        if row is None:
            continue
        mine = slice(int(bundle.response.offsets[row]), int(bundle.response.offsets[row + 1]))
        columns = of_bundle[bundle.response.offer[mine]]
        found[place, columns[columns >= 0]] = bundle.response.p[mine][columns >= 0]
    return found
