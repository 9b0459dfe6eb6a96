"""A real PostgreSQL, started for the test on this machine alone, gives the same tables as a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from features.conform import prepare
from features.tables import TABLE_NAMES
from serving.launch import free_port
from tests.features.sources.test_sources import as_parquet

pytestmark = pytest.mark.slow

SETUP = """
create type flavour as enum ('cheddar', 'other');
create table transactions (customer_id uuid, order_id bigint, product_id text, ordered_at timestamptz,
    quantity numeric(10, 3), amount numeric(10, 2), store_id varchar(8));
insert into transactions values
    ('00000000-0000-0000-0000-000000000001', 1, 'p1', '2024-03-01T10:00:00Z', 1, 2.50, 's1'),
    ('00000000-0000-0000-0000-000000000001', 1, 'p2', '2024-03-01T10:00:00Z', 2, 3.00, null),
    ('00000000-0000-0000-0000-000000000002', 2, 'p1', '2024-03-30T23:30:00Z', 3, 7.50, 's1'),
    ('00000000-0000-0000-0000-000000000002', 3, 'p1', '2024-03-31T01:30:00Z', -1, -2.50, 's1');
create table products (product_id text, product_type flavour, category text, price numeric, launched_at date,
    attributes jsonb);
insert into products values ('p1', 'cheddar', 'cheese', 2.5, '2020-01-01', '{"healthy": true}'),
    ('p2', null, 'bread', null, null, null);
create view stores as select 's1'::char(4) as store_id, 'Europe/Berlin'::text as time_zone;
create table offers (offer_id text, kind text, product_ids text[]);
insert into offers values ('x', 'gift', array['p1', 'p2']);
"""


def _binary(name: str) -> str | None:
    """Return where one of PostgreSQL's programs is: Debian keeps them apart from PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(found[0]) if found else shutil.which(name)


def _as_plain_user(*command: str) -> list[str]:
    """Return the command, run as `postgres` where we are root: initdb refuses root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else list(command)


def _run(*command: str) -> None:
    # Nothing is caught: the server that pg_ctl leaves behind would hold our pipe open for ever.
    subprocess.run(_as_plain_user(*command), check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=90)


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database of our own; skipped where PostgreSQL is not installed."""
    initdb, pg_ctl, psql = _binary("initdb"), _binary("pg_ctl"), _binary("psql")
    if initdb is None or pg_ctl is None or psql is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    port = free_port()
    # Outside pytest's own folder, which only its owner may enter.
    made = subprocess.run(
        _as_plain_user("mktemp", "-d", "-t", "tercet-postgres-XXXXXX"),
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    )
    cluster = made.stdout.strip()
    try:
        _run(initdb, "-D", f"{cluster}/db", "-A", "trust", "-U", "tercet", "--no-sync")
        options = f"-h 127.0.0.1 -p {port} -k {cluster} -c fsync=off"
        _run(pg_ctl, "-D", f"{cluster}/db", "-o", options, "-l", f"{cluster}/log", "-w", "start")
        _run(
            psql,
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-U",
            "tercet",
            "-d",
            "postgres",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            SETUP,
        )
        yield f"postgresql://tercet@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run(
            _as_plain_user(pg_ctl, "-D", f"{cluster}/db", "-m", "immediate", "-w", "stop"),
            check=False,
            capture_output=True,
            cwd="/",
        )
        shutil.rmtree(cluster, ignore_errors=True)


def test_postgresql_gives_the_same_tables_as_a_folder(postgres: str, tmp_path: Path) -> None:
    got = prepare(postgres, tmp_path / "home", time_zone="UTC", progress=lambda _: None)
    expected = prepare(str(as_parquet(tmp_path / "shop")), tmp_path / "home", time_zone="UTC", progress=lambda _: None)

    assert [each.table for each in got.report.counts] == ["transactions", "products", "offers", "stores"]
    assert len(got.tables.read("offer_products")) == 2
    # Orders and customers are named by other ids there, so that their rows differ; nothing else does.
    for name in sorted(set(TABLE_NAMES) - {"offers", "offer_products", "customers"}):
        left, right = (
            each.tables.read(name).drop(columns=["customer_row"], errors="ignore") for each in (got, expected)
        )
        pd.testing.assert_frame_equal(left, right, check_dtype=False)


def test_postgresql_that_has_not_changed_is_not_built_again(postgres: str, tmp_path: Path) -> None:
    said: list[str] = []
    first = prepare(postgres, tmp_path, time_zone=None, progress=lambda _: None)
    again = prepare(postgres, tmp_path, time_zone=None, progress=said.append)

    assert first == again
    assert len(said) == 1
