"""What the shop knows of simulated customers: their events since the bundle, as the engine is given them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from serving.state.events import Event, EventType
from serving.state.holds import Hold
from serving.state.known import Known, Live
from training.simulation.arrays import Ints
from training.simulation.offers import Offers
from training.simulation.past import order_ids
from training.simulation.population import EMAIL, Population
from training.simulation.world import DayLines, Delivered

NO_MAIL: Mapping[str, bool] = {EMAIL: False}


class Book:
    """Collects events of some customers; whoever is not noted has none."""

    def __init__(self, population: Population, offers: Offers, noted: Ints) -> None:
        self._population, self._offers = population, offers
        self._is_noted = np.zeros(population.n, dtype=bool)
        self._is_noted[noted] = True
        self._events: dict[int, list[Event]] = {}
        self._has_left: set[int] = set()
        self._holds: dict[int, tuple[Hold, ...]] = {}
        self._had: dict[int, set[int]] = {}

    def id_of(self, customer: int) -> str:
        """Return a customer's id."""
        return self._population.customer_ids[customer]

    def had(self, customer: int) -> set[int]:
        """Return the offers that a customer was sent."""
        return self._had.get(customer, set())

    def known(self, customer: int) -> Known:
        """Return what the engine may know of a customer now."""
        events = tuple(self._events.get(customer, ()))
        consent = NO_MAIL if customer in self._has_left else None
        name = self._population.customer_ids[customer]
        return Known(Live(name, events=events, consent=consent, holds=self._holds.get(customer, ())))

    def give(self, customer: int, hold: Hold) -> None:
        """Note an offer that a customer was given."""
        others = (each for each in self._holds.get(customer, ()) if each.offer_id != hold.offer_id)
        self._holds[customer] = (*others, hold)

    def sent(self, day: int, at_us: int, delivered: Delivered) -> None:
        """Note messages, who opened them, and who left."""
        for place, customer in enumerate(delivered.customer.tolist()):
            offer = self._offers.offer_ids[delivered.offer[place]]
            self._had.setdefault(customer, set()).add(int(delivered.offer[place]))
            self._note(customer, f"{day}-send", EventType.SEND, at_us, offer_id=offer, channel=EMAIL)
            if delivered.is_opened[place]:
                self._note(customer, f"{day}-open", EventType.OPEN, at_us + 1, offer_id=offer, channel=EMAIL)
            if delivered.leaves[place]:
                self._note(customer, f"{day}-leave", EventType.UNSUBSCRIBE, at_us + 2, channel=EMAIL)
                self._has_left.add(customer)

    def bought(self, day: int, at_us: Ints, lines: DayLines) -> None:
        """Note what was bought and redeemed on a day."""
        noted = np.flatnonzero(self._is_noted[lines.customer])
        goods = self._population.shop.goods
        for place in noted.tolist():
            customer, product = int(lines.customer[place]), int(lines.product[place])
            order = order_ids(self._population, [customer], [day])[0]
            name, offer = f"{day}-{product}", int(lines.offer[place])
            self._note(
                customer,
                name,
                EventType.PURCHASE,
                int(at_us[place]),
                product_id=goods.product_ids[product],
                order_id=order,
                quantity=float(lines.quantity[place]),
                amount=float(lines.amount[place]),
                discount=float(lines.discount[place] + lines.off[place]),
            )
            if offer >= 0:
                offer_id = self._offers.offer_ids[offer]
                self._note(
                    customer, f"{name}-r", EventType.REDEEM, int(at_us[place]) + 1, offer_id=offer_id, order_id=order
                )
                self._holds[customer] = tuple(
                    each for each in self._holds.get(customer, ()) if each.offer_id != offer_id
                )

    def _note(self, customer: int, name: str, kind: EventType, at_us: int, **details: object) -> None:
        customer_id = self._population.customer_ids[customer]
        event = Event(f"{customer_id}-{name}", customer_id, kind, at_us, at_us, **details)  # type: ignore[arg-type]
        self._events.setdefault(customer, []).append(event)
