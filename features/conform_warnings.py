"""What is not wrong by the contract, but that a person should know of."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from features import contracts
from features.sources.base import RawTable

_EMAIL = r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"
_PHONE = r"(\+|00)\d[\d \-]{6,16}\d|\(?\d{3}\)?[ .\-]\d{3}[ .\-]\d{4}"


def find_warnings(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return a line for each thing that is odd; none holds a customer's id."""
    return [*_telling_ids(connection)]


def _telling_ids(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return a warning where customer ids look like what a person is reached by."""
    rows = connection.execute(f"""
        select count(*), count(*) filter (where regexp_full_match(customer_id, '{_EMAIL}')),
            count(*) filter (where regexp_full_match(customer_id, '{_PHONE}'))
        from (select customer_id from good_transactions union select customer_id from good_customers
            union select customer_id from good_events union select customer_id from good_identities)""").fetchall()
    n_ids, n_emails, n_phones = rows[0]
    advice = "ids should be opaque; give each customer a random one and put these into identities"
    found = {"e-mail addresses": n_emails, "telephone numbers": n_phones}
    return [f"{n:,} of {n_ids:,} customer ids look like {what}: {advice}" for what, n in found.items() if n]


def hours_missing(n_hours: int, n_lines: int) -> list[str]:
    """Return a warning where only some of the lines have a time of day."""
    if n_hours in (0, n_lines):
        return []
    return [f"{n_lines - n_hours:,} of {n_lines:,} lines have a date without a time: their hour is not known"]


def read_midnights_as_dates(connection: duckdb.DuckDBPyConnection, raws: Mapping[str, RawTable]) -> list[str]:
    """Return a warning, and make dates of them, where a time column of timestamps holds nothing but midnights.

    Many tools know no type for a date and write it as a timestamp: read as UTC, its local day would be the day before.
    """
    raw = raws[contracts.TRANSACTIONS]
    if raw.columns["ordered_at"].upper() not in ("TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S"):
        return []
    rows = connection.execute(
        "select count(*) from good_transactions where ordered_at_us % 86400000000 <> 0"
    ).fetchall()
    if rows[0][0]:
        return []
    connection.execute("""update checked_transactions set ordered_at_us = null,
        ordered_at_on = cast(make_timestamp(ordered_at_us) as date) where ordered_at_us is not null""")
    return [f"{raw.place}: every ordered_at is exactly midnight: read as dates (local days); hours are off"]
