"""Policies side by side on the same customers and the same draws: what each brings the shop, and at what price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.intervals import Interval, bootstrap_interval
from training.simulation.arrays import Floats, Ints
from training.simulation.book import Book
from training.simulation.choosing import NONE, Moment, Policy
from training.simulation.logbook import Logbook
from training.simulation.offers import Offers
from training.simulation.past import Past
from training.simulation.population import Draws, draws_of
from training.simulation.truth import Truth
from training.simulation.world import World

WEEK_DAYS = 7


@dataclass(frozen=True)
class Trial:
    """How long policies send, once a week to each customer; in the weeks after that nobody is sent anything.

    The whole is a year: it shows what was only bought earlier, what stuck, and what those who left the channel no
    longer buy.
    """

    seed: int
    truth: Truth
    weeks: int = 10
    tail_weeks: int = 42


@dataclass(frozen=True)
class Tried:
    """What became of each customer under one policy, shape ``(n,)``: money, and counts."""

    name: str
    margin: Floats
    off: Floats
    sent: Floats
    redeemed: Floats
    left: Floats


@dataclass(frozen=True)
class Standing:
    """A policy's row of the table, means a customer.

    `gain` is true margin beyond that where nothing is sent; `behind` what the first policy brings more than this one.
    """

    name: str
    gain: Interval
    behind: Interval
    sent: float
    redeemed: float
    off: float
    left: float


def try_policies(past: Past, offers: Offers, policies: Sequence[Policy], trial: Trial) -> list[Tried]:
    """Return what came of each policy for the customers who could be reached at first, all with the same draws."""
    customers = np.flatnonzero(past.world.is_reached)
    courses = [_Course(past, offers, each, trial.truth, customers) for each in policies]
    logbook = Logbook(past.population.shop.time_zone)
    sending_until = past.end_day + WEEK_DAYS * trial.weeks
    for day in range(past.end_day, sending_until + WEEK_DAYS * trial.tail_weeks):
        draws = draws_of(past.population, trial.seed, day)
        moment = Moment(day, logbook.message_us(day), offers.runs(day))
        due = customers[customers % WEEK_DAYS == day % WEEK_DAYS] if day < sending_until else customers[:0]
        for course in courses:
            course.live(moment, draws, due)
    return [course.tried(customers) for course in courses]


def standings(trials: Sequence[Sequence[Tried]], nothing: str, rng: np.random.Generator) -> list[Standing]:
    """Return the table of one or more trials of the same policies; the first one is compared with all others.

    A customer's means over the trials count once, and intervals are by customer.
    """
    names = [each.name for each in trials[0]]
    margins = {name: _mean([tried[row].margin for tried in trials]) for row, name in enumerate(names)}
    found = []
    for row, name in enumerate(names):
        rows = np.arange(len(margins[name]))
        counts = {
            key: float(_mean([getattr(tried[row], key) for tried in trials]).mean())
            for key in ("sent", "redeemed", "off", "left")
        }
        gain = bootstrap_interval(margins[name] - margins[nothing], rows, rng)
        behind = bootstrap_interval(margins[names[0]] - margins[name], rows, rng)
        found.append(Standing(name, gain, behind, **counts))
    return found


def _mean(parts: Sequence[Floats]) -> Floats:
    mean: Floats = np.mean(parts, axis=0)
    return mean


class _Course:
    """One policy's world, what the shop knows in it, and what it came to."""

    def __init__(self, past: Past, offers: Offers, policy: Policy, truth: Truth, customers: Ints) -> None:
        self._policy = policy
        self._world: World = past.world.copy(offers, truth)
        self._book = Book(past.population, offers, customers)
        self._logbook = Logbook(past.population.shop.time_zone)
        n = past.population.n
        self._sums = {name: np.zeros(n) for name in ("margin", "off", "sent", "redeemed", "left")}

    def live(self, moment: Moment, draws: Draws, due: Ints) -> None:
        """Go through a day."""
        day, sums = moment.day, self._sums
        due = due[self._world.is_reached[due]]
        if len(due):
            given = self._policy.choose(moment, due, self._book)
            is_sent = given != NONE
            delivered = self._world.send(day, draws, due[is_sent], given[is_sent])
            self._book.sent(day, moment.at_us, delivered)
            np.add.at(sums["sent"], delivered.customer, 1.0)
            np.add.at(sums["left"], delivered.customer, delivered.leaves)
        lines = self._world.step(day, draws)
        self._book.bought(day, self._logbook.bought(day, lines, draws.hour), lines)
        used = lines.offer >= 0
        np.add.at(sums["margin"], lines.customer, lines.margin)
        np.add.at(sums["off"], lines.customer[used], lines.off[used])
        np.add.at(sums["redeemed"], lines.customer[used], 1.0)

    def tried(self, customers: Ints) -> Tried:
        """Return what it came to, by customer."""
        return Tried(self._policy.name, **{name: sums[customers] for name, sums in self._sums.items()})
