"""The conformed tables of one source, as they lie on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pyarrow.parquet as pq

from features.errors import TablesError

TABLES_FILE = "tables.json"
TABLE_NAMES = (
    "lines",
    "returns",
    "products",
    "types",
    "categories",
    "customers",
    "stores",
    "offers",
    "offer_products",
    "events",
    "stock",
    "identities",
    "aliases",
)


@dataclass(frozen=True)
class TableSet:
    """Checked tables with dense rows, a Parquet file each (docs/architecture.md, part 2), and what is true of them all.

    `first_day` and `last_day` are the local day numbers (since 1970-01-01) of the first and the last line. `currency`
    is empty where the source does not name one: the policy's then stands.
    """

    folder: Path
    digest: str
    time_zone: str
    currency: str
    source_name: str
    first_day: int
    last_day: int
    has_hours: bool
    has_amounts: bool
    has_types: bool
    has_categories: bool
    has_prices: bool
    switched_off: tuple[str, ...]

    def path(self, table: str) -> Path:
        """Return the Parquet file of a table; a name that is no table is a `TablesError`."""
        if table not in TABLE_NAMES:
            raise TablesError(f"there is no table '{table}'; the tables are {', '.join(TABLE_NAMES)}")
        return self.folder / f"{table}.parquet"

    def read(self, table: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return a table, or some of its columns, in the order of its rows."""
        wanted = None if columns is None else list(columns)
        frame: pd.DataFrame = pq.read_table(self.path(table), columns=wanted).to_pandas()
        return frame

    def save(self) -> None:
        """Write what is true of all tables beside them."""
        values: dict[str, Any] = asdict(self)  # JSON values of several types
        del values["folder"]
        (self.folder / TABLES_FILE).write_text(json.dumps(values, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the tables of a folder that `features.conform.prepare` made."""
        try:
            values = json.loads((folder / TABLES_FILE).read_text(encoding="utf-8"))
            values["switched_off"] = tuple(values["switched_off"])
            known = {each.name for each in fields(cls)} - {"folder"}
            tables = cls(folder=folder, **{name: values[name] for name in known})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TablesError(f"{folder} holds no conformed tables; run `tercet check SOURCE` to make them") from error
        missing = [name for name in TABLE_NAMES if not tables.path(name).is_file()]
        if missing:
            raise TablesError(f"{folder} has no {', '.join(missing)}; remove the folder and run `tercet check SOURCE`")
        return tables
