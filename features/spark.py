"""The other engine: the same SQL on local Spark.

Spark starts a Java machine (17 or newer) on first use, which lives until the process ends.
"""

from __future__ import annotations

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

        The result passes through this process (as Arrow), for it to become one file with sorted rows.

        Raises
        ------
        EngineError
            When no Java machine can be started.
        """
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
        """End Spark; the next `write` starts it again."""
        session = SparkSession.getActiveSession()
        if session is not None:
            session.stop()

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
