"""The features of the seeded shop."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.asof import Moment, local_midnight
from features.build import FeatureStore
from features.tables import TableSet


@pytest.fixture(scope="session")
def shop_features(shop_tables: TableSet, shop_home: Path) -> FeatureStore:
    return FeatureStore(shop_tables, shop_home / "features" / "groups")


@pytest.fixture(scope="session")
def shop_moment(shop_tables: TableSet) -> Moment:
    """Four weeks before the shop's data end, so that there is something after it."""
    return local_midnight(shop_tables.last_day - 27, shop_tables.time_zone)
