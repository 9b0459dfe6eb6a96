"""One seeded shop for all tests: its conformed tables and the truth that was planted in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from features.sources.synthetic import Shop, ShopConfig, Truth, make_shop
from features.tables import TableSet
from tests.skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before anything loads OpenMP: threads that wait don't spin
for _name in ("NO_PROXY", "no_proxy"):  # whatever the way out of this machine, servers of tests are on it
    os.environ[_name] = ",".join(filter(None, [os.environ.get(_name), "127.0.0.1", "localhost"]))

# The same examples in every run, and none that fails on a busy machine; --hypothesis-profile=default draws others.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")
# Else it also draws from the constants of whatever modules other tests of this process have imported before.
providers._get_local_constants = lambda: providers._local_constants

SHOP = ShopConfig(customers=300, weeks=40, seed=7)
SHOP_SOURCE = f"synthetic:customers={SHOP.customers},weeks={SHOP.weeks},seed={SHOP.seed}"

LONGEST_FIRST = (
    "tests/features/test_spark.py",
    "tests/test_whole_way.py",
    "tests/test_notebooks.py",
    "tests/training/",
)
"""Where the slow tests are that take longest: two processes that share them out by file begin with these."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest; those of a file stay in their order."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST_FIRST))


@pytest.fixture(scope="session")
def shop() -> Shop:
    """The shop as a retailer would give it: raw tables, and the truth."""
    return make_shop(SHOP)


@pytest.fixture(scope="session")
def truth(shop: Shop) -> Truth:
    return shop.truth


@pytest.fixture(scope="session")
def shop_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that the tests of one process share: read from it, don't count on what it does not hold."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def shop_tables(shop_home: Path) -> TableSet:
    """The shop's conformed tables."""
    from features.conform import prepare

    return prepare(SHOP_SOURCE, shop_home, time_zone=None, progress=lambda _: None).tables


@pytest.fixture(autouse=True)
def _no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing calls home, and no test meets a person's own home or tracking server."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    for option in ("HOME", "HOST", "PORT", "WORKERS", "NOW", "STATE"):
        monkeypatch.delenv(f"TERCET_{option}", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def trained_home(shop_home: Path) -> Path:
    """The shop's home after `tercet train --quick`: two minutes of work, so for slow tests only."""
    from training.pipeline import train

    train(SHOP_SOURCE, shop_home, None, "duckdb", True, lambda _: None)
    return shop_home


@pytest.fixture(scope="session")
def twice_trained_home(trained_home: Path) -> Path:
    """The same home after a second training with other settings of two models, of which one does harm.

    The first bundle serves on; the second, the latest, waits to be promoted.
    """
    from training.config import shipped_text
    from training.pipeline import train

    configs = trained_home / "configs"
    configs.mkdir()
    changes = {
        "also_bought": ("max_basket_products = 250", "max_basket_products = 2"),
        "churn": ("n_cutoffs = 8", "n_cutoffs = 6"),
    }
    for name, (shipped, own) in changes.items():
        text = shipped_text(name)
        assert shipped in text
        (configs / f"{name}.toml").write_text(text.replace(shipped, own))
    train(SHOP_SOURCE, trained_home, None, "duckdb", True, lambda _: None)
    for name in changes:
        (configs / f"{name}.toml").unlink()
    return trained_home
