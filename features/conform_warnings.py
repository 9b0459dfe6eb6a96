"""What is not wrong by the contract, but that a person should know of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import duckdb

from features import contracts
from features.conform_build import BuiltFacts
from features.sources.base import RawTable

_EMAIL = r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"
_PHONE = r"(\+|00)\d[\d \-]{6,16}\d|\(?\d{3}\)?[ .\-]\d{3}[ .\-]\d{4}"

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
# A season: a last line so much later than nearly all others would move what counts as the present.
LONG_AFTER_DAYS = 90


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


def odd_lines(facts: BuiltFacts) -> list[str]:
    """Return a warning where only some lines have a time of day, and where a few lie long after all others."""
    warnings = []
    if 0 < facts.n_hours < facts.n_lines:
        n_without = facts.n_lines - facts.n_hours
        warnings.append(f"{n_without:,} of {facts.n_lines:,} lines have a date without a time: their hour is not known")
    if facts.last_day - facts.nearly_last_day > LONG_AFTER_DAYS:
        usual, last = (date.fromordinal(_EPOCH_ORDINAL + day) for day in (facts.nearly_last_day, facts.last_day))
        warnings.append(
            f"99.9 % of the lines are from before {usual + timedelta(days=1)}, and the last from {last}: is it wrong?"
        )
    return warnings


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
