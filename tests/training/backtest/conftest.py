"""A history small enough to make past bundles of within a test."""

from __future__ import annotations

import pytest

from features.asof import local_midnight
from features.build import FeatureStore
from features.conform import prepare
from training.history import History

TINY_SOURCE = "synthetic:customers=24,weeks=20,seed=3"


@pytest.fixture(scope="session")
def tiny_history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Two dozen customers over 20 weeks."""
    home = tmp_path_factory.mktemp("tiny")
    tables = prepare(TINY_SOURCE, home, time_zone=None, progress=lambda _: None).tables
    end = local_midnight(tables.last_day + 1, tables.time_zone)
    return History(FeatureStore(tables, home / "features" / "groups"), end)
