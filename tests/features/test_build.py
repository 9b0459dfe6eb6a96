"""When a feature table is built, when it is reused, and that it is there whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from features import build
from features import columns as c
from features.asof import Moment
from features.build import GROUPS, FeatureStore
from features.engine import DuckDbEngine, FeatureQuery
from features.errors import UnknownGroupError
from features.tables import TableSet
from tests.features.tiny import at, line, write_tables


@dataclass(frozen=True)
class CountingEngine:
    """DuckDB that remembers how often it ran."""

    runs: list[FeatureQuery] = field(default_factory=list)
    name: str = "counting"

    def write(self, tables: Mapping[str, Path], query: FeatureQuery, out: Path) -> None:
        self.runs.append(query)
        DuckDbEngine().write(tables, query, out)


class FailingEngine:
    """Fails when the file is half written."""

    name = "failing"

    def write(self, tables: Mapping[str, Path], query: FeatureQuery, out: Path) -> None:
        out.write_bytes(b"PAR1")
        raise RuntimeError("no space left")


@dataclass
class HeldEngine:
    """DuckDB that does not end its first query before it may."""

    has_begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)
    n_runs: int = 0
    name: str = "held"

    def write(self, tables: Mapping[str, Path], query: FeatureQuery, out: Path) -> None:
        self.n_runs += 1
        self.has_begun.set()
        assert self.may_end.wait(100)
        DuckDbEngine().write(tables, query, out)


@pytest.fixture
def tables(tmp_path: Path) -> TableSet:
    lines = [line(0, 0, 1), line(1, 3, 0, customer_row=1), line(2, 9, 1, customer_row=1), line(2, 9, 0, customer_row=1)]
    return write_tables(tmp_path / "tables", lines)


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


def test_a_group_is_built_once(tables: TableSet, tmp_path: Path, engine: CountingEngine) -> None:
    first = FeatureStore(tables, tmp_path / "f", engine).read("customers", at(10))
    again = FeatureStore(tables, tmp_path / "f", engine).read("customers", at(10))

    assert len(engine.runs) == 1
    assert again.equals(first)


def test_another_moment_and_other_tables_are_built_anew(
    tables: TableSet, tmp_path: Path, engine: CountingEngine
) -> None:
    FeatureStore(tables, tmp_path / "f", engine).read("customers", at(10))
    FeatureStore(tables, tmp_path / "f", engine).read("customers", at(9))
    FeatureStore(replace(tables, digest="changed"), tmp_path / "f", engine).read("customers", at(10))

    assert len(engine.runs) == 3


def test_changed_sql_is_built_anew(
    tables: TableSet, tmp_path: Path, engine: CountingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeatureStore(tables, tmp_path / "f", engine)
    store.read("customers", at(10))
    text = GROUPS["customers"].template() + "-- changed\n"
    monkeypatch.setattr(build, "_file_text", lambda _: text)

    store.read("customers", at(10))

    assert len(engine.runs) == 2


def test_a_run_that_fails_leaves_nothing(tables: TableSet, tmp_path: Path) -> None:
    store = FeatureStore(tables, tmp_path / "f", FailingEngine())

    with pytest.raises(RuntimeError, match="no space"):
        store.read("customers", at(10))

    assert [path for path in (tmp_path / "f").rglob("*") if path.is_file()] == []


def test_builds_at_the_same_time_do_no_harm(tables: TableSet, tmp_path: Path) -> None:
    found: list[int] = []

    def read() -> None:
        found.append(len(FeatureStore(tables, tmp_path / "f").read("customer_products", at(10))))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [3] * 4
    assert [path.suffix for path in (tmp_path / "f").rglob("*") if path.is_file()] == [".parquet"]


def test_what_is_built_ahead_is_not_built_again(tables: TableSet, tmp_path: Path, engine: CountingEngine) -> None:
    store = FeatureStore(tables, tmp_path / "f", engine)
    wanted = [("customers", at(10)), ("products", at(10)), ("customers", at(10))]

    with store.ahead(wanted):
        found = [store.read(group, moment) for group, moment in wanted]

    assert len(engine.runs) == 2
    assert found[0].equals(FeatureStore(tables, tmp_path / "other").read("customers", at(10)))


def test_what_has_not_begun_when_the_body_ends_is_left(tables: TableSet, tmp_path: Path) -> None:
    engine = HeldEngine()
    store = FeatureStore(tables, tmp_path / "f", engine)

    with store.ahead([("customers", at(day)) for day in range(3, 9)]):
        assert engine.has_begun.wait(100)
        threading.Timer(0.5, engine.may_end.set).start()  # once the body has ended

    assert engine.n_runs < 6
    assert store.read("customers", at(8)).equals(FeatureStore(tables, tmp_path / "other").read("customers", at(8)))


def test_what_is_in_the_making_is_waited_for(tables: TableSet, tmp_path: Path) -> None:
    engine = HeldEngine()
    store = FeatureStore(tables, tmp_path / "f", engine)

    with store.ahead([("customers", at(10))]):
        assert engine.has_begun.wait(100)
        threading.Timer(0.05, engine.may_end.set).start()
        store.read("customers", at(10))

    assert engine.n_runs == 1


def test_a_build_ahead_that_fails_is_said_to_who_reads_it(tables: TableSet, tmp_path: Path) -> None:
    store = FeatureStore(tables, tmp_path / "f", FailingEngine())

    with store.ahead([("customers", at(10))]), pytest.raises(RuntimeError, match="no space"):
        store.read("customers", at(10))


def test_an_unknown_group_is_not_built_ahead(tables: TableSet, tmp_path: Path) -> None:
    with (
        pytest.raises(UnknownGroupError, match="customer_brands"),
        FeatureStore(tables, tmp_path / "f").ahead([("customer_brands", at(10))]),
    ):
        pass


def test_only_the_asked_columns_are_read(tables: TableSet, tmp_path: Path) -> None:
    frame = FeatureStore(tables, tmp_path / "f").read("customers", at(10), [c.SPEND, c.CUSTOMER_ROW])

    assert list(frame.columns) == [c.SPEND, c.CUSTOMER_ROW]


def test_an_unknown_group_is_named(tables: TableSet, tmp_path: Path) -> None:
    with pytest.raises(UnknownGroupError, match="customer_brands"):
        FeatureStore(tables, tmp_path / "f").read("customer_brands", at(10))


def test_labels_are_kept_by_their_window(tables: TableSet, tmp_path: Path, engine: CountingEngine) -> None:
    store = FeatureStore(tables, tmp_path / "f", engine)

    sizes = [len(store.purchases_after(at(0), days)) for days in (7, 10, 7)]

    assert sizes == [2, 4, 2]
    assert len(engine.runs) == 2


@pytest.mark.parametrize("name", GROUPS)
def test_every_group_has_unique_rows_sorted_by_its_grain(
    shop_features: FeatureStore, shop_moment: Moment, name: str
) -> None:
    keys = shop_features.read(name, shop_moment)[list(GROUPS[name].grain)]

    assert len(keys) > 0
    assert not keys.duplicated().any()
    assert keys.equals(keys.sort_values(list(keys.columns), ignore_index=True))


@pytest.mark.parametrize("name", GROUPS)
def test_every_group_is_empty_with_its_columns_before_the_first_line(
    tables: TableSet, tmp_path: Path, name: str
) -> None:
    frame = FeatureStore(tables, tmp_path / "f").read(name, at(0))

    assert frame.empty
    assert set(GROUPS[name].grain) <= set(frame.columns)
