"""From a named source and a home to feature tables as of a moment: where training, evaluation and notebooks begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow.parquet as pq

from features.asof import Moment, at_utc, local_midnight, moment_at
from features.build import GROUPS, FeatureStore
from features.conform import prepare
from features.conform_report import CheckReport
from features.engine import DuckDbEngine, FeatureEngine
from features.tables import TableSet
from serving.decisioning.policy import parse_policy
from serving.state.opening import FILE
from training.errors import NothingToLearn
from training.home import Home
from training.log_source import told_under

Progress = Callable[[str], None]


@dataclass(frozen=True)
class OpenShop:
    """The checked tables of a source, the store of their features, and the moment up to which one may look."""

    store: FeatureStore
    report: CheckReport
    as_of: Moment
    log_until_us: int = 0
    """Every event that the state accepted before this moment is in the tables; 0 where no log was read."""

    @property
    def tables(self) -> TableSet:
        """Return the checked tables."""
        return self.store.tables


def open_shop(
    source: str, home: Path, as_of: date | datetime | None, engine: str, progress: Progress, *, state: str = FILE
) -> OpenShop:
    """Return the feature store of a source and the shop's state; its tables are made anew only when these have changed.

    `as_of` is a moment, or a date for that day's local midnight; without one it is the end of the last local day with a
    line, or the start of the day on which the log was still being written, whichever is earlier. `engine` is ``duckdb``
    or ``spark``, `state` as TERCET_STATE has it; a shop without a state is none the worse.

    Raises
    ------
    DataContractError
        When the source breaks the contract.
    NothingToLearn
        When no whole day with a line lies before `as_of`.
    """
    place = Home(home)
    policy = parse_policy(place.policy_text())
    with told_under(home, state) as told:
        prepared = prepare(source, home, time_zone=policy.shop.time_zone, progress=progress, additions=told.additions)
    tables = prepared.tables
    moment = _moment(as_of, tables, told.log_until_us)
    if moment.day <= tables.first_day:
        asked = at_utc(moment.us).isoformat()
        raise NothingToLearn(f"{source} has no whole day before {asked}: ask for a later moment with --as-of")
    store = FeatureStore(tables, place.features / "groups", _engine(engine))
    return OpenShop(store, prepared.report, moment, told.log_until_us)


def build_features(shop: OpenShop, progress: Progress) -> str:
    """Return a line for each feature table as of the shop's moment: group, rows and file; builds what is not there."""
    lines = []
    with shop.store.ahead((group, shop.as_of) for group in reversed(tuple(GROUPS))):
        for group in GROUPS:
            progress(f"features: {group}")
            path = shop.store.path(group, shop.as_of)
            lines.append(f"{group:<24}{pq.read_metadata(path).num_rows:>12,} rows  {path}")
    return "\n".join(lines)


def _moment(as_of: date | datetime | None, tables: TableSet, log_until_us: int) -> Moment:
    """Return the moment asked for; without one the end of the last day, which must be over where a log tells the time.

    A bundle of a day that goes on could answer for no moment before its end.
    """
    if as_of is None:
        end = local_midnight(tables.last_day + 1, tables.time_zone)
        if not log_until_us:
            return end
        today = moment_at(at_utc(log_until_us), tables.time_zone)
        return min(end, local_midnight(today.day, tables.time_zone))
    if isinstance(as_of, datetime):
        return moment_at(as_of, tables.time_zone)
    return local_midnight(as_of, tables.time_zone)


def _engine(name: str) -> FeatureEngine:
    """Return the engine of a name; Spark is imported only when asked for.

    DuckDB takes one thread a query, as another is built ahead meanwhile: two threads make a query a fifth faster, for a
    quarter more work.
    """
    if name == "spark":
        from features.spark import SparkEngine

        return SparkEngine()
    return DuckDbEngine(threads=1)
