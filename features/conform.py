"""The way in: from a source to checked tables with dense rows, or one clear line that says why not."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4
from zoneinfo import available_timezones

import duckdb
import pyarrow as pa

from features import contracts
from features.additions import NOTHING_ADDED, Additions
from features.conform_admit import admit, take_nothing
from features.conform_build import BuiltFacts, build_tables
from features.conform_fold import LOG, fold_in, take_log, with_left_out
from features.conform_parts import switched_off
from features.conform_report import CheckReport, RowCounts
from features.conform_warnings import find_warnings, odd_lines, read_midnights_as_dates
from features.errors import DataContractError, TablesError
from features.quarantine import QUARANTINE_FOLDER, Quarantine, publish_quarantine
from features.sources.base import RawTable, Source, literal
from features.sources.opening import open_source
from features.tables import TABLES_FILE, TableSet

DEFAULT_ZONE = "UTC"
THREADS = 2
MEMORY_LIMIT = "4GB"
ABANDONED_AFTER = 86_400.0  # seconds
_TWICE = "purchase is a line of transactions as well, and counts once: {n:,} rows"


@dataclass(frozen=True)
class Prepared:
    """The conformed tables of a source, and how its rows were dealt with."""

    tables: TableSet
    report: CheckReport


def prepare(
    source: str,
    home: Path,
    *,
    time_zone: str | None,
    progress: Callable[[str], None],
    additions: Additions = NOTHING_ADDED,
) -> Prepared:
    """Return the conformed tables of a source and what is added to it, made anew only when these (or code) changed.

    Days are those of a line's store, else of the source's own zone, else of `time_zone`, else UTC. A source that
    breaks the contract raises `DataContractError` with one line, and leaves all that was built before as it was.
    Several runs may go on at once: each builds aside, and the first that is ready is kept.
    """
    opened = open_source(source)
    zone = _known_zone(opened.time_zone or time_zone or DEFAULT_ZONE)
    root = home / "features" / "tables"
    with _lack_of_room_said(home), _workshop(root) as work:
        progress(f"reading {opened.name}")
        digest = _digest(opened, work, zone, additions)
        folder = root / digest
        if not (folder / TABLES_FILE).is_file():
            built = work / "tables"
            (built / QUARANTINE_FOLDER).mkdir(parents=True)
            _build(opened, built, _Way(zone, digest, additions), progress)
            _put_in_place(built, folder)
        publish_quarantine(folder, home)
    return Prepared(TableSet.load(folder), CheckReport.load(folder))


def _known_zone(zone: str) -> str:
    if zone not in available_timezones():
        raise DataContractError(f"time zone '{zone}' is not known; expected a name such as Europe/Berlin")
    return zone


@contextmanager
def _lack_of_room_said(home: Path) -> Iterator[None]:
    """Turn what the machine refuses (a full disk, a folder that is not ours) into one line; sources say their own."""
    try:
        yield
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        said = getattr(error, "strerror", None) or type(error).__name__
        raise TablesError(
            f"tables can't be written to {home} ({said}); check its rights, and room on disk and in memory"
        ) from error


@contextmanager
def _workshop(root: Path) -> Iterator[Path]:
    """Give a folder of this run's own, gone afterwards whatever happens."""
    root.mkdir(parents=True, exist_ok=True)
    work = root / f".building-{uuid4().hex}"
    work.mkdir()
    for other in root.glob(".building-*"):  # what a run that was killed has left
        if other.stat().st_mtime < work.stat().st_mtime - ABANDONED_AFTER:
            shutil.rmtree(other, ignore_errors=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _digest(source: Source, work: Path, zone: str, additions: Additions) -> str:
    """Return what the tables depend on, as 16 hex digits: the content, the zone and the code that conforms."""
    whole = hashlib.blake2b(digest_size=8)
    for part in (source.name, source.digest(work), zone, _code_digest(), additions.digest()):
        whole.update(part.encode())
        whole.update(b"\0")
    return whole.hexdigest()


def _code_digest() -> str:
    """Return a digest of the code that makes the tables, so that tables made by other code are not taken for these."""
    here = Path(__file__).parent
    files = [*here.glob("conform*.py"), *here.glob("conform_sql/*.sql"), *here.glob("sources/*.py")]
    files += [
        here / name for name in ("additions.py", "contracts.py", "returns.py", "ids.py", "quarantine.py", "tables.py")
    ]
    whole = hashlib.blake2b(digest_size=8)
    for path in sorted(files):
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _put_in_place(built: Path, folder: Path) -> None:
    """Move the finished tables to where they belong; when another run was first, its tables are as good."""
    try:
        built.replace(folder)
    except OSError:
        if not (folder / TABLES_FILE).is_file():
            raise


@dataclass(frozen=True)
class _Way:
    """By what the tables are made, besides the source."""

    zone: str
    digest: str
    additions: Additions


def _build(source: Source, built: Path, way: _Way, progress: Callable[[str], None]) -> None:
    """Write the conformed tables, the quarantine and the report to `built`."""
    additions = way.additions
    quarantine = Quarantine(built / QUARANTINE_FOLDER, lambda each: additions.erased_us(each) is not None)
    with duckdb.connect() as connection:
        _configure(connection, built.parent)
        raws = {raw.table: raw for raw in source.tables(connection)}
        if contracts.TRANSACTIONS not in raws:
            raise DataContractError(f"{source.name}: no table transactions; it is the one that is required")
        counts = _admit_all(connection, source, raws, quarantine, progress)
        counts += take_log(connection, additions, source, quarantine)
        warnings = read_midnights_as_dates(connection, raws)
        warnings += fold_in(connection, additions, way.zone) + find_warnings(connection)
        counts = with_left_out(connection, counts)
        progress("building tables")
        facts = build_tables(connection, way.zone, built)
    warnings += odd_lines(facts)
    off = switched_off(_present(raws, additions), facts)
    _describe(source, built, facts, off, time_zone=way.zone, digest=way.digest).save()
    CheckReport(source.name, _settled(counts, facts), off, tuple(warnings)).save(built)


def _present(raws: Mapping[str, RawTable], additions: Additions) -> dict[str, set[str]]:
    """Return the columns of each table that there is, from the source or from what is added to it."""
    present = {table: set(raw.columns) for table, raw in raws.items()}
    added = {contracts.EVENTS: additions.events is not None, contracts.STOCK: bool(additions.stock)}
    return present | {table: set() for table, is_there in added.items() if is_there and table not in present}


def _configure(connection: duckdb.DuckDBPyConnection, work: Path) -> None:
    spill = literal(str(work / "spill"))
    connection.execute(f"set threads = {THREADS}; set memory_limit = '{MEMORY_LIMIT}'; set temp_directory = {spill}")
    connection.execute("set timezone = 'UTC'; set preserve_insertion_order = true")
    connection.register("zones_in_hand", pa.table({"zone": sorted(available_timezones())}))
    connection.execute("create table known_zones as from zones_in_hand")
    connection.unregister("zones_in_hand")


def _admit_all(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    raws: dict[str, RawTable],
    quarantine: Quarantine,
    progress: Callable[[str], None],
) -> list[RowCounts]:
    """Return the counts of every table that the source has; tables that it has not become empty ones."""
    counts = []
    for contract in contracts.CONTRACTS:
        if contract.table in raws:
            progress(f"checking {raws[contract.table].place}")
            counts.append(admit(connection, contract, raws[contract.table], source, quarantine))
        else:
            take_nothing(connection, contract)
    return counts


def _settled(counts: list[RowCounts], facts: BuiltFacts) -> tuple[RowCounts, ...]:
    """Return the counts less the purchase events that stand in transactions; that they add up is checked here."""
    n_twice = {
        contracts.EVENTS: facts.n_purchase_events_in_transactions,
        LOG: facts.n_log_purchases_in_transactions,
    }
    settled = tuple(
        replace(each, kept=each.kept - n, left_out=each.left_out + n, reasons=(*each.reasons, _TWICE.format(n=n)))
        if (n := n_twice.get(each.table, 0))
        else each
        for each in counts
    )
    for each in settled:
        if not each.adds_up:
            raise DataContractError(
                f"{each.place}: the rows don't add up ({each}); this is a bug of tercet, please report it"
            )
    return settled


def _describe(
    source: Source, built: Path, facts: BuiltFacts, off: tuple[str, ...], *, time_zone: str, digest: str
) -> TableSet:
    return TableSet(
        folder=built,
        digest=digest,
        time_zone=time_zone,
        currency=source.currency,
        source_name=source.name,
        first_day=facts.first_day,
        last_day=facts.last_day,
        has_hours=facts.n_hours > 0,
        has_amounts=facts.n_amounts > 0,
        has_types=facts.n_types > 0,
        has_categories=facts.n_categories > 0,
        has_prices=facts.n_prices > 0,
        switched_off=off,
    )
