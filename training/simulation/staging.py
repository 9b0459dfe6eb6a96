"""From a source's tables to a stage: fit, live through a past, write it as tables, and train a bundle on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from features.tables import TableSet
from serving.arms import ExperimentEngine
from serving.bundle import Bundle, open_bundle
from serving.decisioning.policy import default_policy_text, with_values
from serving.engine import Engine
from serving.experiments import Experiments, Holdout
from serving.experiments_toml import default_experiments_text, parse_experiments
from training.home import Home
from training.pipeline import train
from training.simulation.campaign import Stage
from training.simulation.fitting import FittedShop, fit_shop
from training.simulation.offers import Offers, make_offers
from training.simulation.past import Past, live_through, write_tables
from training.simulation.population import draw_population
from training.simulation.truth import Truth

Say = Callable[[str], None]
LEAD_DAYS = 6
"""Offers of the campaigns began so many days before the bundle's as-of."""


@dataclass(frozen=True)
class ShopSize:
    """How large the simulated shop is: customers, weeks of past, offers that run then, and for how many days."""

    customers: int = 1000
    weeks: int = 40
    offers: int = 10
    offer_days: int = 84


@dataclass(frozen=True)
class Staged:
    """A stage, and what it was made from: `lines` are those of the source that was learned from."""

    stage: Stage
    shop: FittedShop
    lines: pd.DataFrame


def set_stage(tables: TableSet, home: Path, size: ShopSize, truth: Truth, seed: int, say: Say) -> Staged:
    """Return a stage under a home of its own: a simulated past of the shop, and a bundle trained on it.

    The bundle's chances are learned from the past's campaigns, as in any shop: nothing tells it the truth.
    """
    say("learn from the source's customers")
    shop, lines = fit_shop(tables)
    say("live through the simulated past")
    population = draw_population(shop, size.customers, seed, truth.spread)
    past = live_through(population, truth, size.weeks, tables.last_day + 1, seed)
    offers = make_offers(population, np.full(size.offers, past.end_day - LEAD_DAYS), size.offer_days, seed + 1, "now")
    folder = home / "tables"
    write_tables(past, offers, folder)
    policy = with_values(default_policy_text(), {"shop.time_zone": shop.time_zone, "shop.currency": shop.currency})
    Home(home).policy_path.write_text(policy, encoding="utf-8")
    version = train(str(folder), home, None, "duckdb", True, say)
    bundle = open_bundle(Home(home).bundle(version), verify=False)
    return Staged(stage_of(past, offers, bundle), shop, lines)


def stage_of(past: Past, offers: Offers, bundle: Bundle) -> Stage:
    """Return the stage of a bundle, on which nobody is held out yet."""
    lift = parse_experiments(default_experiments_text()).lift
    return Stage(past, ExperimentEngine(bundle, Experiments(Holdout(), lift)), Engine(bundle), offers)
