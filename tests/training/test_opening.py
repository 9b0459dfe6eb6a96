from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from features.asof import local_midnight
from features.build import GROUPS
from features.sources.synthetic import LAST_DAY, TIME_ZONE
from training.errors import NothingToLearn
from training.opening import OpenShop, build_features, open_shop

SOURCE = "synthetic:customers=30,weeks=10"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def opened(home: Path, as_of: date | datetime | None = None) -> OpenShop:
    return open_shop(SOURCE, home, as_of, "duckdb", lambda _: None)


def test_without_a_moment_it_is_the_end_of_the_last_day(home: Path) -> None:
    after_last = date.fromordinal(LAST_DAY.toordinal() + 1)
    assert opened(home).as_of == local_midnight(after_last, TIME_ZONE)


def test_a_date_is_its_local_midnight_and_a_time_is_itself(home: Path) -> None:
    assert opened(home, date(2025, 6, 2)).as_of == local_midnight(date(2025, 6, 2), TIME_ZONE)
    assert opened(home, datetime(2025, 6, 1, 22, tzinfo=UTC)).as_of == local_midnight(date(2025, 6, 2), TIME_ZONE)


def test_before_the_first_day_there_is_nothing_to_learn(home: Path) -> None:
    with pytest.raises(NothingToLearn, match="2020-01-01"):
        opened(home, datetime(2020, 1, 1, tzinfo=UTC))


def test_a_new_home_gets_the_default_policy(home: Path) -> None:
    opened(home)
    assert (home / "policy.toml").is_file()


def test_every_feature_table_is_built_once_and_named(home: Path) -> None:
    shop = opened(home)
    lines = build_features(shop, lambda _: None).splitlines()
    files = [Path(line.split()[-1]) for line in lines]
    written = [file.stat().st_mtime_ns for file in files]
    assert [line.split()[0] for line in lines] == list(GROUPS)
    build_features(shop, lambda _: None)
    assert [file.stat().st_mtime_ns for file in files] == written
