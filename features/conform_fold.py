"""Folding in what is known besides the source: the log, merged ids, consent, stock, and who asked to be forgotten."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import duckdb
import pyarrow as pa

from features import columns as c
from features import contracts
from features.additions import Additions
from features.conform_admit import admit
from features.conform_checks import ON, US
from features.conform_customers import map_customers
from features.conform_report import RowCounts
from features.quarantine import Quarantine
from features.sources.base import ROW, Source
from features.sources.files import parquet_table

LOG = "log"
# Rows of the log are numbered from here on, so that they can be told from those of the table events.
LOG_ROWS = 1 << 48
# By which time a row is from before an erasure or after it; a row without one tells of the customer as a whole.
_TIMES: Mapping[str, str | None] = {
    contracts.TRANSACTIONS: c.ORDERED_AT,
    contracts.EVENTS: c.AT,
    contracts.CUSTOMERS: None,
    contracts.IDENTITIES: None,
}
_ERASED = "earlier rows of customers who were erased: {n:,} rows"


def take_log(
    connection: duckdb.DuckDBPyConnection, additions: Additions, source: Source, quarantine: Quarantine
) -> list[RowCounts]:
    """Add the log's events to `good_events`, less those that the table has; return how its rows were dealt with.

    An empty list where there is no log.
    """
    if additions.events is None:
        return []
    raw = replace(parquet_table(connection, contracts.EVENTS, additions.events, "event log"), table=LOG)
    contract = replace(contracts.contract_for(contracts.EVENTS), table=LOG)
    counts = admit(connection, contract, raw, source, quarantine)
    found = _set_aside(connection, contracts.EVENTS, "told")
    connection.execute(f"""create table good_events as select * from {found}
        union all by name select * replace ({ROW} + {LOG_ROWS} as {ROW}) from good_{LOG} l
        where not exists (select 1 from {found} e where e.event_id = l.event_id)""")
    n_kept = _number(connection, f"select count(*) from good_events where {ROW} >= {LOG_ROWS}")
    return [replace(counts, kept=n_kept, duplicates=counts.duplicates + counts.kept - n_kept)]


def fold_in(connection: duckdb.DuckDBPyConnection, additions: Additions, time_zone: str) -> list[str]:
    """Make the good tables those of the customers as they are now; return warnings.

    What was left out of each is in the table `left_out` (name, n), for `with_left_out`.
    """
    warnings = map_customers(connection, additions, time_zone)
    connection.execute("create table left_out (name varchar, n bigint)")
    if _number(connection, "select count(*) from customer_map"):
        for table, time in _TIMES.items():
            _apply_map(connection, table, time)
    _settle_customers(connection, additions)
    if additions.stock:
        _put_stock(connection, additions.stock)
    return warnings


def with_left_out(connection: duckdb.DuckDBPyConnection, counts: Iterable[RowCounts]) -> list[RowCounts]:
    """Return the counts with what `fold_in` left out taken from what was kept."""
    n_out = dict(connection.execute("select name, n from left_out where n > 0").fetchall())
    return [
        replace(
            each,
            kept=each.kept - n_out[each.table],
            left_out=each.left_out + n_out[each.table],
            reasons=(*each.reasons, _ERASED.format(n=n_out[each.table])),
        )
        if each.table in n_out
        else each
        for each in counts
    ]


def _set_aside(connection: duckdb.DuckDBPyConnection, table: str, prefix: str) -> str:
    """Rename `good_<table>`, a view or a table, and return its new name."""
    is_table = _number(connection, f"select count(*) from duckdb_tables() where table_name = 'good_{table}'")
    connection.execute(f"alter {'table' if is_table else 'view'} good_{table} rename to {prefix}_{table}")
    return f"{prefix}_{table}"


def _apply_map(connection: duckdb.DuckDBPyConnection, table: str, time: str | None) -> None:
    """Give the rows of a table the id that stands for their customer, and leave out what was erased."""
    found = _set_aside(connection, table, "found")
    is_after = "m.is_back" if time is None else f"coalesce(g.{time}{US} > m.erased_us, g.{time}{ON} > m.erased_on)"
    joined = f"from {found} g left join customer_map m on m.customer_id = g.customer_id"
    changed = ['coalesce(m."into", g.customer_id) as customer_id']
    if table == contracts.CUSTOMERS:  # a joining from before the erasure is forgotten, also where they came back
        for name, erased in ((c.JOINED_AT + US, "m.erased_us"), (c.JOINED_AT + ON, "m.erased_on")):
            changed.append(f"case when {erased} is null or g.{name} > {erased} then g.{name} end as {name}")
    connection.execute(f"""create view good_{table} as select g.* replace ({", ".join(changed)})
        {joined} where m.erased_us is null or {is_after}""")
    connection.execute(f"""insert into left_out
        select case when g.{ROW} < {LOG_ROWS} then '{table}' else '{LOG}' end, count(*)
        {joined} where m.erased_us is not null and not {is_after} group by 1""")


def _settle_customers(connection: duckdb.DuckDBPyConnection, additions: Additions) -> None:
    """Make `good_customers` one row a customer, with what they said of consent since; nothing where that holds."""
    into = dict(connection.execute('select customer_id, "into" from customer_map').fetchall())
    if not additions.consents and all(each == stands for each, stands in into.items()):
        return
    rows = connection.execute(f"select customer_id, consent from good_customers order by {ROW}").fetchall()
    said: dict[str, list[dict[str, bool | None]]] = {}
    for customer_id, text in rows:
        said.setdefault(customer_id, []).extend([json.loads(text)] if text else [])
    consents = {each: _strictest(objects) for each, objects in said.items() if len(objects) > 1}
    for each, object_ in additions.consents.items():
        customer_id = into.get(each, each)
        known = said.get(customer_id, [])
        consents[customer_id] = _renewed(_strictest(known) if known else {}, object_)
    _write_customers(connection, consents)


def _strictest(objects: Iterable[Mapping[str, bool | None]]) -> dict[str, bool | None]:
    """Return what was agreed to in all of them: a missing key is a no."""
    found = list(objects)
    return {key: all(each.get(key) is True for each in found) for key in contracts.CONSENTS}


def _renewed(known: Mapping[str, bool | None], said: Mapping[str, bool]) -> dict[str, bool | None]:
    """Return what is known with what was said since; a key that nobody spoke of is null: not known."""
    return {key: said.get(key, known.get(key)) for key in contracts.CONSENTS}


def _write_customers(connection: duckdb.DuckDBPyConnection, consents: Mapping[str, Mapping[str, bool | None]]) -> None:
    found = _set_aside(connection, contracts.CUSTOMERS, "single")
    texts = [json.dumps(each) for each in consents.values()]
    said = {c.CUSTOMER_ID: pa.array(consents, pa.string()), c.CONSENT: pa.array(texts, pa.string())}
    connection.register("said_in_hand", pa.table(said))
    connection.execute(f"""create table good_customers as
        select coalesce(min({ROW}), 0) as {ROW}, customer_id, min(joined_at_us) as joined_at_us,
            min(joined_at_on) as joined_at_on, coalesce(any_value(s.consent), any_value(g.consent)) as consent,
            arg_min(attributes, {ROW}) as attributes
        from {found} g full join said_in_hand s using (customer_id) group by customer_id""")
    connection.unregister("said_in_hand")


def _put_stock(connection: duckdb.DuckDBPyConnection, stock: Mapping[tuple[str, str | None], float]) -> None:
    """Put the words of the API in place of the table's, of the same product and store; no end of pieces is one."""
    found = _set_aside(connection, contracts.STOCK, "found")
    pieces = [1.0 if math.isinf(each) else each for each in stock.values()]
    words = {
        c.PRODUCT_ID: pa.array([product for product, _ in stock], pa.string()),
        c.STORE_ID: pa.array([store for _, store in stock], pa.string()),
        c.AVAILABLE: pa.array(pieces, pa.float64()),
    }
    connection.register("words_in_hand", pa.table(words))
    connection.execute(f"""create table good_stock as
        select * from {found} g where not exists (select 1 from words_in_hand w
            where w.product_id = g.product_id and w.store_id is not distinct from g.store_id)
        union all by name select {LOG_ROWS} + row_number() over () as {ROW}, * from words_in_hand""")
    connection.unregister("words_in_hand")


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])
