"""Poor versions of a source: what other retailers may have, made from one that has more; folders of Parquet.

Each is made from the checked tables by one query, streamed by DuckDB, and is the same for the same source: what is
drawn is drawn by md5 of ids. Dense rows are its ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from features.sources.base import literal
from features.tables import TableSet
from training.backtest.thin_catalogue import CatalogueConfig, write_catalogue

N_CUSTOMERS = 1000
"""Customers of most variants, so that each takes a minute."""
FEW_CUSTOMERS = 500

N_SHORT_LIVED = 4000
"""Customers of two or three orders each: most have none in the weeks that are judged."""

_DAY, _MOMENT = "day", "moment"
_BARE = ("customer_id", "order_id", "product_id", _DAY)
_LINE_AS: Mapping[str, str] = {
    "customer_id": "cast(customer_row as varchar)",
    "order_id": "cast(order_row as varchar)",
    "product_id": "cast(lines.product_row as varchar)",
    _DAY: "date '1970-01-01' + cast(ordered_day as integer)",
    _MOMENT: "make_timestamp(ordered_us)",
    "quantity": "quantity",
    "amount": "amount",
    "store_id": "cast(store_row as varchar)",
    "channel": "channel",
}
_LINE = tuple(name for name in _LINE_AS if name != _DAY)
_PRODUCT_AS: Mapping[str, str] = {
    "product_id": "cast(products.product_row as varchar)",
    "name": "products.name",
    "product_type": "case when types.is_own then null else types.product_type end",
    "category": "case when categories.is_own then null else categories.category end",
    "department": "products.department",
    "brand": "products.brand",
    "price": "products.price",
    "cost": "products.cost",
}
_PRODUCT = tuple(_PRODUCT_AS)
_PRODUCTS = "products join types using (type_row) join categories on categories.category_row = products.category_row"


def _selected(names: Iterable[str], expressions: Mapping[str, str]) -> str:
    return ", ".join(f"{expressions[name]} as {_COLUMN.get(name, name)}" for name in names)


_COLUMN = {_DAY: "ordered_at", _MOMENT: "ordered_at"}


@dataclass(frozen=True)
class Variant:
    """A poor version of a source.

    Attributes
    ----------
    name
        What it lacks, in a few words.
    write
        Writes its files into a folder, from the checked tables.
    """

    name: str
    write: Callable[[TableSet, Path], None]


@dataclass(frozen=True)
class Columns:
    """Which columns, and whose rows, a variant keeps; without `product` columns it has no table of products.

    A line has its moment, else its day.
    """

    line: tuple[str, ...] = _LINE
    product: tuple[str, ...] = _PRODUCT
    n_customers: int = N_CUSTOMERS

    @property
    def selected(self) -> str:
        """Return the columns of `transactions` for a query."""
        return _selected(self.line, _LINE_AS)

    def without(self, *names: str) -> Columns:
        """Return these columns but the named ones."""
        line = tuple(name for name in self.line if name not in names)
        has_time = _DAY in line or _MOMENT in line
        return replace(
            self,
            line=line if has_time else (*line, _DAY),
            product=tuple(name for name in self.product if name not in names),
        )

    def write(self, tables: TableSet, folder: Path) -> None:
        """Write the files of a sample of customers with these columns."""
        drawn = (
            f"select customer_row from customers order by md5(cast(customer_row as varchar)) limit {self.n_customers}"
        )
        _write(tables, folder, self, f"select {self.selected} from lines join ({drawn}) using (customer_row)")


FULL = Columns()
BARE = Columns(_BARE, ())

_FEW_ORDERS = f"""
    with numbered as (
        select customer_row, order_row, row_number() over (partition by customer_row order by min(ordered_us)) - 1 as n
        from lines group by customer_row, order_row
    ),
    runs as (
        select customer_row, order_row,
               customer_row || '-' || n // 5 || (case when n % 5 < 2 then 'a' else 'b' end) as customer
        from numbered
    ),
    chosen as (
        select customer from runs group by customer having count(*) > 1 order by md5(customer) limit {N_SHORT_LIVED}
    ),
    named as (select customer_row, order_row, customer from runs join chosen using (customer))
    select {_selected(_BARE, {**_LINE_AS, "customer_id": "customer"})}
    from lines join named using (customer_row, order_row)
"""
"""Runs of two and three consecutive orders of one customer in turn, each as a customer of its own."""


def write_few_orders(tables: TableSet, folder: Path) -> None:
    """Write customers of two or three orders each, with nothing but ids and days."""
    _write(tables, folder, BARE, _FEW_ORDERS)


def write_large_catalogue(tables: TableSet, folder: Path) -> None:
    """Write a seeded shop whose products mostly sell once; nothing of the source is in it."""
    del tables
    write_catalogue(CatalogueConfig(), folder / "transactions.parquet")


def _variants() -> tuple[Variant, ...]:
    poor = {
        "no names": FULL.without("name"),
        "no categories": FULL.without("product_type", "category", "department"),
        "no prices": FULL.without("price", "cost"),
        "no amounts": FULL.without("amount"),
        "no quantities": FULL.without("quantity"),
        "no times of day": FULL.without("moment"),
        "ids and days only": BARE,
        "500 customers": replace(FULL, n_customers=FEW_CUSTOMERS),
    }
    return (
        *(Variant(name, columns.write) for name, columns in poor.items()),
        Variant("2 or 3 orders each", write_few_orders),
    )


VARIANTS = _variants()
LARGE_CATALOGUE = Variant("200,000 products", write_large_catalogue)
"""The one that takes long: made from a seed, not from the source."""


def _write(tables: TableSet, folder: Path, kept: Columns, query: str) -> None:
    """Write `transactions` by a query, and `products` where columns of it are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        for name in ("lines", "products", "types", "categories", "customers"):
            path = literal(str(tables.path(name)))
            connection.execute(f"create view {name} as select * from read_parquet({path})")
        _copy(connection, query, folder / "transactions.parquet")
        if kept.product:
            columns = _selected(kept.product, _PRODUCT_AS)
            _copy(connection, f"select {columns} from {_PRODUCTS}", folder / "products.parquet")


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"copy ({query}) to {literal(str(path))} (format parquet)")
