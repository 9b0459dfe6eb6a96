"""The history of the seeded shop, cut four weeks before its end so that there is something to judge on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from features.asof import Moment, local_midnight
from features.build import FeatureStore
from features.tables import TableSet
from tests.features.tiny import at, line, write_tables
from training.history import History


@pytest.fixture(scope="session")
def shop_history(shop_tables: TableSet, shop_home: Path) -> History:
    end = local_midnight(shop_tables.last_day + 1, shop_tables.time_zone)
    return History(FeatureStore(shop_tables, shop_home / "features" / "groups"), end)


@pytest.fixture(scope="session")
def shop_cutoff(shop_history: History) -> Moment:
    return shop_history.known_until.plus_days(-28, shop_history.tables.time_zone)


@pytest.fixture(scope="session")
def thin_history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Three customers who come every week for 20 weeks; no amounts, times, channels or events, and nobody leaves."""
    weeks = [(customer, week) for customer in range(3) for week in range(20)]
    lines = [
        line(20 * customer + week, 7 * week + customer, customer, customer_row=customer, amount=None, hour=None)
        for customer, week in weeks
    ]
    tables = write_tables(tmp_path_factory.mktemp("thin") / "t", lines)
    return History(FeatureStore(_poor(tables), tables.folder.parent / "f"), at(20 * 7))


@pytest.fixture(scope="session")
def new_history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """One customer with one purchase, yesterday: nothing can be learned yet."""
    tables = write_tables(tmp_path_factory.mktemp("new") / "t", [line(0, 0, amount=None, hour=None)])
    return History(FeatureStore(_poor(tables), tables.folder.parent / "f"), at(1))


def _poor(tables: TableSet) -> TableSet:
    return replace(tables, has_amounts=False, has_hours=False, has_types=False, has_categories=False, has_prices=False)
