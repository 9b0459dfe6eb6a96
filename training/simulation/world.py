"""One course of events: customers come and buy day by day, hold offers that reached them, tire of messages and leave.

A world changes from day to day; two worlds with the same population, seed and messages go the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc

from training.simulation.arrays import Bools, Floats, Ints, odds_times
from training.simulation.offers import Offers
from training.simulation.population import Draws, Population
from training.simulation.truth import Truth

NEVER_DAY = -1_000_000
TIRED_DAYS = 28
GOLDEN = 0.618034
"""Steps of this length spread one draw evenly over a customer's types."""


@dataclass(frozen=True)
class DayLines:
    """What was bought on a day, a row a line, in order of customer.

    `amount` is net of `discount` and of `off`, which an offer took from it; `offer` is -1 where none was redeemed.
    """

    customer: Ints
    type: Ints
    product: Ints
    quantity: Ints
    amount: Floats
    discount: Floats
    margin: Floats
    offer: Ints
    off: Floats


@dataclass(frozen=True)
class Delivered:
    """Messages that went out on a day: to whom, of which offer, and who of them opened it, or left the channel."""

    customer: Ints
    offer: Ints
    is_opened: Bools
    leaves: Bools


class World:
    """The customers of a population on their way; `copy` goes on from the same point."""

    def __init__(self, population: Population, offers: Offers, truth: Truth, first_day: int, seed: int = 0) -> None:
        self.population, self.offers, self.truth = population, offers, truth
        start = np.random.default_rng([seed, 3])
        n, shape = population.n, population.shape
        self.last_trip = first_day - np.ceil(start.random(n) * population.trip_gap).astype(np.int64)
        since = np.ceil(start.random(shape) * population.need_gap).astype(np.int64)
        self.last_bought = np.where(population.is_habit, first_day - since, NEVER_DAY)
        self.is_habit = population.is_habit.copy()
        self.is_reached = population.agrees.copy()
        self.sent_days = np.full((n, TIRED_DAYS), NEVER_DAY, dtype=np.int64)
        self.held_until = np.full((n, offers.n), NEVER_DAY, dtype=np.int64)
        self.strength = np.zeros((n, offers.n))

    def copy(self, offers: Offers, truth: Truth, rows: Ints | None = None) -> World:
        """Return a world that goes on from here with other offers and another truth; nobody holds an offer yet.

        With `rows` it has only those customers, in that order.
        """
        kept = np.arange(self.population.n) if rows is None else rows
        found = World(self.population if rows is None else self.population.of(kept), offers, truth, 0)
        for name in ("last_trip", "last_bought", "is_habit", "is_reached", "sent_days"):
            setattr(found, name, getattr(self, name)[kept])
        return found

    def n_sent(self, day: int) -> Ints:
        """Return how many messages each customer had in the 28 days before a day."""
        counts: Ints = (self.sent_days >= day - TIRED_DAYS).sum(axis=1)
        return counts

    def send(self, day: int, draws: Draws, customer: Ints, offer: Ints) -> Delivered:
        """Return what became of messages with offers, one a customer; those who can't be reached get none."""
        reached = self.is_reached[customer]
        customer, offer = customer[reached], offer[reached]
        truth = self.truth
        tired = self.n_sent(day)[customer]
        receptive = self.population.receptiveness[customer] * np.exp(-truth.fatigue * tired)
        is_for = self.offers.is_for[offer]
        knows = (self.is_habit[customer] & is_for).any(axis=1)
        chance = truth.leave * (1.0 + truth.leave_growth * tired) * np.where(knows, 1.0, truth.irrelevance)
        leaves = draws.leave[customer] < chance
        self.held_until[customer, offer] = np.minimum(day + truth.valid_days, self.offers.ends_day[offer])
        self.strength[customer, offer] = receptive
        self.sent_days[customer, np.argmin(self.sent_days[customer], axis=1)] = day
        self.is_reached[customer[leaves]] = False
        return Delivered(customer, offer, draws.opens[customer] < 0.15 + 0.5 * receptive, leaves)

    def step(self, day: int, draws: Draws) -> DayLines:
        """Return what is bought on a day, after its messages."""
        population = self.population
        holds = self.held_until > day
        pull = np.where(holds, self.strength, 0.0)
        comes = np.flatnonzero(draws.trip < self._trip_chance(day, pull.max(axis=1, initial=0.0)))
        base = self._buy_chance(day, comes)
        lifted = odds_times(base, self._lift(comes, pull[comes]))
        u = draws.buy[comes]
        place, kind = np.nonzero(u < lifted)
        customer = comes[place]
        is_won = u[place, kind] >= base[place, kind]
        redeemed = self._redeemed(customer, kind, is_won, holds, draws)
        lines = self._lines(draws, customer, kind, redeemed)
        self.last_trip[comes] = day
        self.last_bought[customer, kind] = day
        self.is_habit[customer, kind] |= population.sticks[customer, kind]
        used = redeemed >= 0
        self.held_until[customer[used], redeemed[used]] = NEVER_DAY
        return lines

    def _trip_chance(self, day: int, pull: Floats) -> Floats:
        """Return each customer's chance to come on a day, given that they did not since their last trip."""
        shop, population = self.population.shop, self.population
        chance = _hazard(shop.trip_shape, population.trip_gap, day - 1 - self.last_trip, day - self.last_trip)
        left = population.agrees & ~self.is_reached
        return odds_times(
            np.minimum(chance * shop.weekday[day % 7], 1.0), self.truth.trip_lift * pull - self.truth.reach_worth * left
        )

    def _buy_chance(self, day: int, comes: Ints) -> Floats:
        """Return the chance of each type in the baskets of those who come: habits by their need, others by chance."""
        population = self.population
        chance = population.extra_rate[comes]
        place, kind = np.nonzero(self.is_habit[comes])
        customer = comes[place]
        last = self.last_bought[customer, kind]
        known = np.maximum(self.last_trip[customer] - last, 0)
        gap = population.need_gap[customer, kind]
        chance[place, kind] = _hazard(population.shop.need_shape, gap, known, day - last)
        return chance

    def _lift(self, comes: Ints, pull: Floats) -> Floats:
        """Return the log-odds that held offers add to each type; of several for one type the strongest counts."""
        found = np.zeros((len(comes), self.population.shape[1]))
        for offer in np.flatnonzero(pull.any(axis=0)).tolist():
            strong = self.truth.lift * self.offers.pull(offer, self.truth) * pull[:, offer]
            mine = np.ix_(np.flatnonzero(strong), np.flatnonzero(self.offers.is_for[offer]))
            found[mine] = np.maximum(found[mine], strong[strong > 0][:, None])
        return found

    def _redeemed(self, customer: Ints, kind: Ints, is_won: Bools, holds: Bools, draws: Draws) -> Ints:
        """Return the offer that each line redeems, -1 for none: each offer is good for one line, the first one.

        Who was won over uses it; who would have bought anyway may forget to.
        """
        found = np.full(len(customer), -1, dtype=np.int64)
        clips = draws.clip < self.truth.clip * self.population.receptiveness
        uses = is_won | clips[customer]
        for offer in np.flatnonzero(holds.any(axis=0)).tolist():
            mine = holds[customer, offer] & self.offers.is_for[offer][kind] & uses & (found < 0)
            places = np.flatnonzero(mine)
            first = np.unique(customer[places], return_index=True)[1]
            found[places[first]] = offer
        return found

    def _lines(self, draws: Draws, customer: Ints, kind: Ints, redeemed: Ints) -> DayLines:
        population = self.population
        product = population.product[customer, kind]
        quantity = np.where(self.is_habit[customer, kind], population.pieces[customer, kind], 1)
        full = population.shop.goods.price[product] * quantity
        is_cut = (draws.cut[customer] + GOLDEN * kind) % 1.0 < population.discount_share[customer]
        discount = np.round(np.where(is_cut, population.shop.discount_depth * full, 0.0), 2)
        value = np.append(self.offers.value, 0.0)[redeemed]
        off = np.minimum(value, full - discount)
        amount = np.round(full - discount - off, 2)
        margin = amount - population.cost[product] * quantity
        return DayLines(customer, kind, product, quantity, amount, discount, margin, redeemed, off)


def _hazard(shape: float, mean: Floats, low: Ints, high: Ints) -> Floats:
    """Return the chance that a gamma renewal comes up in (low, high] days, given that it had not by `low`."""
    before = gammainc(shape, shape * np.maximum(low, 0) / mean)
    after = gammainc(shape, shape * np.maximum(high, 0) / mean)
    found: Floats = (after - before) / np.maximum(1.0 - before, 1e-12)
    return np.clip(found, 0.0, 1.0)
