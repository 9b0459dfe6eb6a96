"""The same SQL on Spark: exactly the same counts and days, and everything else to 1e-9."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.asof import Moment, local_midnight
from features.build import GROUPS, FeatureStore
from features.conform import prepare
from features.engine import FeatureQuery
from features.errors import EngineError
from features.tables import TableSet
from tests.java import need_java

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # Spark plans each group for seconds, whatever its size
TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def spark_shop(tmp_path_factory: pytest.TempPathFactory) -> TableSet:
    """A shop with returns, events and offers, small: Spark's time goes into planning."""
    home = tmp_path_factory.mktemp("spark_shop")
    return prepare("synthetic:customers=60,weeks=20,seed=7", home, time_zone=None, progress=lambda _: None).tables


@pytest.fixture(scope="module")
def moment(spark_shop: TableSet) -> Moment:
    return local_midnight(spark_shop.last_day - 20, spark_shop.time_zone)


@pytest.fixture(scope="module")
def on_spark(spark_shop: TableSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    need_java()
    from features.spark import SparkEngine

    engine = SparkEngine(partitions=2, memory="1g")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")  # so short a run doesn't repay better compilation
        yield FeatureStore(spark_shop, tmp_path_factory.mktemp("on_spark"), engine)
        engine.stop()


@pytest.fixture(scope="module")
def on_duckdb(spark_shop: TableSet, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return FeatureStore(spark_shop, tmp_path_factory.mktemp("on_duckdb"))


def assert_agree(ours: pa.Table, theirs: pa.Table) -> None:
    assert {field.name: field.type for field in ours.schema} == {field.name: field.type for field in theirs.schema}
    assert len(ours) == len(theirs)
    for name in ours.column_names:
        left, right = ours[name].combine_chunks(), theirs[name].combine_chunks()
        if pa.types.is_floating(left.type):
            assert left.is_null().equals(right.is_null()), name
            apart = pc.abs(pc.subtract(left, right))
            allowed = pc.multiply(pc.max_element_wise(pc.abs(left), 1.0), TOLERANCE)
            assert pc.all(pc.less_equal(apart, allowed)).as_py() is not False, name
        else:
            assert left.equals(right), name


# Each file of SQL once, at one of its levels: the levels differ by a column's name only.
ONE_OF_EACH_FILE = {group.file: name for name, group in GROUPS.items() if group.level in (None, "category")}


def test_each_file_is_run_on_spark() -> None:
    assert set(ONE_OF_EACH_FILE) == {group.file for group in GROUPS.values()}


@pytest.mark.parametrize("group", ONE_OF_EACH_FILE.values())
def test_spark_and_duckdb_agree(on_spark: FeatureStore, on_duckdb: FeatureStore, moment: Moment, group: str) -> None:
    ours = pq.read_table(on_duckdb.path(group, moment))

    assert len(ours) > 0
    assert_agree(ours, pq.read_table(on_spark.path(group, moment)))


def test_labels_agree(on_spark: FeatureStore, on_duckdb: FeatureStore, moment: Moment) -> None:
    ours, theirs = (pa.Table.from_pandas(store.purchases_after(moment, 14)) for store in (on_duckdb, on_spark))

    assert len(ours) > 0
    assert_agree(ours, theirs)


def test_a_java_machine_that_was_killed_is_replaced(on_spark: FeatureStore, moment: Moment, tmp_path: Path) -> None:
    from features.spark import SparkEngine
    from features.spark_machine import JavaMachine

    query = FeatureQuery({"lines": "select 1 as one"}, "select one from lines", ("one",))
    engine = SparkEngine(partitions=1, memory="1g")
    engine.write({}, query, tmp_path / "before.parquet")
    machine = JavaMachine.current()
    assert machine is not None
    machine.gateway.proc.kill()

    engine.write({}, query, tmp_path / "after.parquet")

    assert pq.read_table(tmp_path / "after.parquet").to_pylist() == [{"one": 1}]
    assert machine.status() == "SIGKILL"


def test_a_java_machine_that_is_killed_every_time_ends_in_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_java()
    from features.spark import SparkEngine
    from features.spark_machine import JavaMachine

    engine = SparkEngine(partitions=1, memory="1g")

    def killed(*_: object) -> None:
        engine._session()
        machine = JavaMachine.current()
        assert machine is not None
        machine.gateway.proc.kill()
        engine._session().sql("select 1").toArrow()

    monkeypatch.setattr(SparkEngine, "_write", killed)

    with pytest.raises(EngineError, match=r"ended twice on the same query \(SIGKILL\).*--engine duckdb"):
        engine.write({}, FeatureQuery({}, "select 1 as one", ("one",)), tmp_path / "out.parquet")
    assert JavaMachine.current() is None


def test_agreement_is_not_taken_for_granted() -> None:
    ours = pa.table({"spend": [1.0, None], "n": [1, 2]})

    for other in ({"spend": [1.0 + 1e-8, None], "n": [1, 2]}, {"spend": [1.0, 0.0], "n": [1, 2]},
                  {"spend": [1.0, None], "n": [1, 3]}):  # fmt: skip
        with pytest.raises(AssertionError):
            assert_agree(ours, pa.table(other))


WITHOUT_JAVA = """
from pathlib import Path
from features.engine import FeatureQuery
from features.errors import EngineError
from features.spark import SparkEngine
try:
    SparkEngine().write({}, FeatureQuery({}, "select 1 as one", ("one",)), Path("out.parquet"))
except EngineError as error:
    print(error)
"""


def test_a_machine_without_java_is_told_so(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/sbin:/sbin", "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)}
    command = [sys.executable, "-c", WITHOUT_JAVA]

    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "Spark could not start: it needs Java 17" in ended.stdout
