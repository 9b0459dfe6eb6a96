"""The other engine: the same SQL on local Spark.

Spark starts a Java machine (17 or newer) on first use, which lives until the process ends.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from features.asof import SOURCE_PREFIX
from features.engine import FeatureQuery
from features.errors import EngineError
from features.spark_machine import JavaMachine

logger = logging.getLogger(__name__)

_SETTINGS: Mapping[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
_READ_OFTEN = "lines"  # a group reads it two to five times, and Spark would join it with its returns each time


@dataclass(frozen=True)
class SparkEngine:
    """Spark with `threads` local cores and as many partitions after a shuffle as `partitions`."""

    threads: int = 2
    partitions: int = 8
    memory: str = "3g"
    name: str = field(default="spark", init=False)

    def write(self, tables: Mapping[str, Path], query: FeatureQuery, out: Path) -> None:
        """Write the query's rows, sorted by its grain, to the Parquet file `out`.

        The result passes through this process (as Arrow), for it to become one file with sorted rows. Where the Java
        machine ends on the way (most often killed for want of memory), another one is started and tries once more.

        Raises
        ------
        EngineError
            When no Java machine can be started, or the second one ends as well.
        """
        machine = JavaMachine.current()
        try:
            self._write(tables, query, out)
        # A machine that is gone shows as any of many errors, of pyspark, py4j or the socket: only its status tells.
        except Exception:
            status = _status_of_ended(machine)
            if status is None:
                raise
            logger.warning("Spark's Java machine ended (%s); starting another", status)
            self._write_again(tables, query, out)

    def _write_again(self, tables: Mapping[str, Path], query: FeatureQuery, out: Path) -> None:
        try:
            self._write(tables, query, out)
        except Exception as error:
            status = _status_of_ended(None)
            if status is None:
                raise
            raise EngineError(
                f"Spark's Java machine ended twice on the same query ({status}): it may lack memory; "
                "free some, or run with --engine duckdb"
            ) from error

    def _write(self, tables: Mapping[str, Path], query: FeatureQuery, out: Path) -> None:
        session = self._session().newSession()  # views are the session's own: two builds don't meet
        for key, value in _SETTINGS.items():
            if key.startswith("spark.sql."):
                session.conf.set(key, value)
        session.conf.set("spark.sql.shuffle.partitions", str(self.partitions))
        for table, path in tables.items():
            session.read.parquet(str(path)).createOrReplaceTempView(f"{SOURCE_PREFIX}{table}")
        steady = {name: view.select for name, view in query.steady.items()}
        for view, select in {**steady, **query.views}.items():
            session.sql(select).createOrReplaceTempView(view)
        session.catalog.cacheTable(_READ_OFTEN)
        try:
            rows = session.sql(query.select).orderBy(*query.grain).toArrow()
        finally:
            session.catalog.uncacheTable(_READ_OFTEN)
        pq.write_table(rows.replace_schema_metadata(None), out, compression="snappy")

    def stop(self) -> None:
        """End Spark and its Java machine; the next `write` starts them again."""
        machine = JavaMachine.current()
        if machine is not None:
            machine.end()

    def _session(self) -> SparkSession:
        builder = SparkSession.builder.master(f"local[{self.threads}]").appName("tercet")
        for key, value in _SETTINGS.items():
            builder = builder.config(key, value)
        try:
            with warnings.catch_warnings():
                # pyspark 4.3 says so once, of parts that are not used here: rows come as Arrow, not as pandas
                warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
                return builder.config("spark.driver.memory", self.memory).getOrCreate()
        except PySparkRuntimeError as error:
            raise EngineError(
                "Spark could not start: it needs Java 17 or newer on the PATH or in JAVA_HOME; "
                "install one, or run with --engine duckdb"
            ) from error


def _status_of_ended(machine: JavaMachine | None) -> str | None:
    """Return how the Java machine ended, after forgetting it; None where it lives or there is none.

    `machine` None is the one there is now.
    """
    machine = machine or JavaMachine.current()
    status = None if machine is None else machine.status()
    if machine is not None and status is not None:
        machine.end()
    return status
