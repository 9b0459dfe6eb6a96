"""DuckDB's kept tables: they save time and change nothing."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from features import columns as c
from features.asof import STEADY, Moment, known_at
from features.build import GROUPS, TABLES_READ, FeatureStore
from features.engine import DuckDbEngine, FeatureQuery
from features.tables import TableSet
from tests.features.tiny import at, line, write_tables


@pytest.fixture(scope="module")
def kept(shop_tables: TableSet, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return FeatureStore(shop_tables, tmp_path_factory.mktemp("kept"), DuckDbEngine())


@pytest.fixture(scope="module")
def anew(shop_tables: TableSet, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return FeatureStore(shop_tables, tmp_path_factory.mktemp("anew"), DuckDbEngine(max_kept_lines=0))


@pytest.mark.parametrize("name", GROUPS)
def test_kept_lines_give_the_same_rows_at_any_moment(
    kept: FeatureStore, anew: FeatureStore, shop_moment: Moment, name: str
) -> None:
    for moment in (shop_moment, shop_moment.plus_days(-30, kept.tables.time_zone)):
        ours = pq.read_table(kept.path(name, moment))

        assert len(ours) > 0
        assert ours.equals(pq.read_table(anew.path(name, moment)))


def test_labels_are_the_same_with_kept_lines(kept: FeatureStore, anew: FeatureStore, shop_moment: Moment) -> None:
    assert kept.purchases_after(shop_moment, 7).equals(anew.purchases_after(shop_moment, 7))


def n_baskets(engine: DuckDbEngine, tables: TableSet, out: Path) -> list[int]:
    """Return the customers' baskets, asked of the engine itself."""
    paths = {name: tables.path(name) for name in TABLES_READ}
    group = GROUPS["customers"]
    engine.write(paths, FeatureQuery(known_at(at(10)), group.sql(), group.grain, STEADY), out)
    return [int(n) for n in pq.read_table(out)[c.N_BASKETS].to_pylist()]


def test_each_set_of_tables_is_answered_from_its_own_lines(tmp_path: Path) -> None:
    one = write_tables(tmp_path / "one", [line(0, 0)])
    two = write_tables(tmp_path / "two", [line(0, 0), line(1, 1)])
    engine = DuckDbEngine()

    assert [n_baskets(engine, tables, tmp_path / "out.parquet") for tables in (one, two, one)] == [[1], [2], [1]]


def test_a_table_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    engine = DuckDbEngine()
    before = n_baskets(engine, write_tables(tmp_path / "t", [line(0, 0)]), tmp_path / "out.parquet")

    after = n_baskets(engine, write_tables(tmp_path / "t", [line(0, 0), line(1, 1)]), tmp_path / "out.parquet")

    assert (before, after) == ([1], [2])


def test_nothing_is_left_beside_the_output(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "t", [line(0, 0)])
    (tmp_path / "out").mkdir()

    n_baskets(DuckDbEngine(), tables, tmp_path / "out" / "customers.parquet")

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["customers.parquet"]
