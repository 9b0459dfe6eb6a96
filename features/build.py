"""Feature tables on disk: built on first use, reused while their inputs, their SQL and the moment are the same.

`<folder>/<digest of the tables>/<group>/<engine>-<day>-<moment>-<digest of the SQL>.parquet`. A file appears whole (it
is written under another name and renamed), so two processes do no harm to each other; of those that want the same group
at once, one builds it and the others wait.
Building takes a thread of its own where what will be read is known beforehand (`FeatureStore.ahead`).
"""

from __future__ import annotations

import fcntl
import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pandas as pd

from features import columns as c
from features.asof import STEADY, Moment, known_at, known_between, views_text
from features.engine import DuckDbEngine, FeatureEngine, FeatureQuery
from features.errors import UnknownGroupError
from features.tables import TableSet

ITEM_ROWS: Final[Mapping[str, str]] = MappingProxyType(
    {"product": c.PRODUCT_ROW, "type": c.TYPE_ROW, "category": c.CATEGORY_ROW}
)
PLURALS: Final[Mapping[str, str]] = MappingProxyType({"product": "products", "type": "types", "category": "categories"})
TABLES_READ: Final = (
    "lines", "returns", "products", "types", "categories", "customers", "stores", "offers", "offer_products", "events",
)  # fmt: skip


@dataclass(frozen=True)
class FeatureGroup:
    """A file of SQL, rendered for a level when it has one, and the columns that tell its rows apart."""

    name: str
    file: str
    grain: tuple[str, ...]
    level: str | None = None

    def template(self) -> str:
        """Return the text of the group's file."""
        return _file_text(self.file)

    def sql(self) -> str:
        """Return the group's SQL with its level filled in."""
        text = self.template()
        if self.level is None:
            return text
        return text.replace("{item_row}", ITEM_ROWS[self.level]).replace("{item}", self.level)


def _levels() -> list[FeatureGroup]:
    found = []
    for level, item_row in ITEM_ROWS.items():
        plural = PLURALS[level]
        found += [
            FeatureGroup(f"customer_{plural}", "groups/customer_levels.sql", (c.CUSTOMER_ROW, item_row), level),
            FeatureGroup(plural, "groups/levels.sql", (item_row,), level),
        ]
        if level != "type":  # stretch asks by category, the tour by product; nothing asks for pairs of types
            found += [
                FeatureGroup(f"{level}_{pairs}", f"groups/level_{pairs}.sql", (item_row, c.OTHER_ROW), level)
                for pairs in ("pairs", "household_pairs")
            ]
    return found


GROUPS: Final[Mapping[str, FeatureGroup]] = MappingProxyType(
    {
        group.name: group
        for group in (
            FeatureGroup("customers", "groups/customers.sql", (c.CUSTOMER_ROW,)),
            *_levels(),
            FeatureGroup("store_products", "groups/store_products.sql", (c.STORE_ROW, c.PRODUCT_ROW)),
            FeatureGroup("customer_hours", "groups/customer_hours.sql", (c.CUSTOMER_ROW, c.WEEKDAY, c.HOUR)),
            FeatureGroup("customer_offers", "groups/customer_offers.sql", (c.CUSTOMER_ROW, c.OFFER_ROW)),
            FeatureGroup("customer_channels", "groups/customer_channels.sql", (c.CUSTOMER_ROW, c.CHANNEL)),
            FeatureGroup("customer_sends", "groups/customer_sends.sql", (c.CUSTOMER_ROW, c.PLACE)),
            FeatureGroup("customer_redemptions", "groups/customer_redemptions.sql", (c.CUSTOMER_ROW, c.OFFER_ROW)),
            FeatureGroup("customer_discounts", "groups/customer_discounts.sql", (c.CUSTOMER_ROW,)),
        )
    }
)
LABELS: Final = FeatureGroup("purchases_after", "labels.sql", (c.CUSTOMER_ROW, c.ORDER_ROW, c.LINE_KEY))


class FeatureStore:
    """The feature tables of one set of checked tables."""

    def __init__(self, tables: TableSet, folder: Path, engine: FeatureEngine | None = None) -> None:
        self.tables = tables
        self.folder = folder
        self.engine = engine or DuckDbEngine()
        self._coming: dict[Path, Future[None]] = {}

    def read(self, group: str, moment: Moment, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return a group's features as of `moment`, sorted by its grain; it is built on first use.

        Raises
        ------
        UnknownGroupError
            When there is no such group.
        """
        return pd.read_parquet(self.path(group, moment), columns=list(columns) if columns is not None else None)

    def path(self, group: str, moment: Moment) -> Path:
        """Return the Parquet file of a group as of `moment`, built when it isn't there."""
        return self._built(self._of_moment(group, moment))

    def purchases_after(self, moment: Moment, days: int) -> pd.DataFrame:
        """Return the lines of the `days` local days that begin at `moment` (labels.sql), by customer, order and line.

        Lines are net of what was returned by the end of the window. The window may run past the end of the source:
        whether that may be asked is the caller's affair.
        """
        end = moment.plus_days(days, self.tables.time_zone)
        table = self._table(LABELS, f"{moment.day}-{moment.us}-{end.us}", known_between(moment, end))
        return pd.read_parquet(self._built(table))

    @contextmanager
    def ahead(self, wanted: Iterable[tuple[str, Moment]]) -> Iterator[None]:
        """Build groups that will be read soon, one after the other in this order, beside what the body does.

        What the body reads while it is in the making is waited for; what has not begun when the body ends is left.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="features") as worker:
            try:
                for group, moment in wanted:
                    table = self._of_moment(group, moment)
                    if table.file not in self._coming:
                        self._coming[table.file] = worker.submit(self._make, table)
                yield
            finally:
                worker.shutdown(cancel_futures=True)
                self._coming.clear()

    def _of_moment(self, group: str, moment: Moment) -> _Table:
        if group not in GROUPS:
            raise UnknownGroupError(f"there is no feature group '{group}': one of {', '.join(GROUPS)}")
        return self._table(GROUPS[group], f"{moment.day}-{moment.us}", known_at(moment))

    def _table(self, group: FeatureGroup, at: str, views: Mapping[str, str]) -> _Table:
        sql = group.sql()
        digest = hashlib.blake2b(f"{views_text()}\n{sql}".encode(), digest_size=8).hexdigest()
        file = self.folder / self.tables.digest / group.name / f"{self.engine.name}-{at}-{digest}.parquet"
        return _Table(file, FeatureQuery(views, sql, group.grain, STEADY))

    def _built(self, table: _Table) -> Path:
        """Return the table's file, when it is there: built by somebody ahead, or now."""
        coming = self._coming.get(table.file)
        if coming is not None and not coming.cancel():
            coming.result()
        self._make(table)
        return table.file

    def _make(self, table: _Table) -> None:
        if table.file.exists():
            return
        table.file.parent.mkdir(parents=True, exist_ok=True)
        with _made_by_one(table.file):
            if not table.file.exists():
                self._write(table)

    def _write(self, table: _Table) -> None:
        unfinished = table.file.with_suffix(f".{uuid.uuid4().hex}.tmp")
        try:
            paths = {name: self.tables.path(name) for name in TABLES_READ}
            self.engine.write(paths, table.query, unfinished)
            unfinished.replace(table.file)
        finally:
            unfinished.unlink(missing_ok=True)


@contextmanager
def _made_by_one(file: Path) -> Iterator[None]:
    """Let one process or thread at a time make a file; the others wait, and find it made.

    Who comes between the last two steps makes it a second time, which does no harm.
    """
    mark = file.with_suffix(".lock")
    with mark.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Table:
    """A feature table: its file, and the query that makes it."""

    file: Path
    query: FeatureQuery


@cache
def _file_text(file: str) -> str:
    """Return the text of a SQL file of this package."""
    return resources.files("features").joinpath(file).read_text(encoding="utf-8")
