"""A small simulated shop with the ways of the seeded one, and an engine that gives everybody an offer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.tables import TableSet
from serving.experiments import Experiments
from training.simulation.campaign import Stage
from training.simulation.fitting import FittedShop, fit_shop
from training.simulation.offers import Offers, make_offers
from training.simulation.past import Past, live_through
from training.simulation.population import Population, draw_population
from training.simulation.truth import Truth

WEEKS = 14
SEED = 3
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Generous:
    """Stands in for both engines: everybody gets the offer of their turn, but for those who are held out."""

    offers_there: Offers
    experiments: Experiments | None = None
    asked: list[str] = field(default_factory=list)
    bundle: Any = field(default_factory=lambda: SimpleNamespace(manifest=SimpleNamespace(version="v")))

    def obey(self, experiments: Experiments) -> None:
        self.experiments = experiments

    def odds(self, label: Any) -> float:
        assert self.experiments is not None
        return 1.0 if label is None else self.experiments.holdout.share

    def offers(self, request: Any, at: datetime, decision_id: str, known: Any) -> dict[str, Any]:
        self.asked.append(request.customer_id)
        assigned = None if self.experiments is None else self.experiments.assign(request.customer_id, at)
        if assigned is not None:
            return {"experiment": assigned.label(), "offers": []}
        turn = (at - EPOCH).days + sum(request.customer_id.encode())
        offer_id = self.offers_there.offer_ids[turn % self.offers_there.n]
        until = (at + timedelta(days=7)).isoformat()
        return {"experiment": None, "offers": [{"offer_id": offer_id, "valid_to": until}]}


@pytest.fixture(scope="session")
def fitted(shop_tables: TableSet) -> tuple[FittedShop, pd.DataFrame]:
    return fit_shop(shop_tables)


@pytest.fixture(scope="session")
def population(fitted: tuple[FittedShop, pd.DataFrame]) -> Population:
    return draw_population(fitted[0], 400, SEED, 0.5)


@pytest.fixture(scope="session")
def past(population: Population, shop_tables: TableSet) -> Past:
    return live_through(population, Truth(), WEEKS, shop_tables.last_day + 1, SEED)


@pytest.fixture(scope="session")
def running(past: Past) -> Offers:
    return make_offers(past.population, np.full(6, past.end_day - 1), 84, SEED, "now")


@pytest.fixture
def stage(past: Past, running: Offers) -> Stage:
    return Stage(past, Generous(running), Generous(running), running)  # type: ignore[arg-type]
