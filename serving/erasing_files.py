"""Taking customers out of what lies under a home: bundles, tables, quarantine, batch outputs, reports, MLflow.

Each step may be cut off at any moment, and run again: it then finishes what it had begun.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from serving.bundle import MANIFEST_NAME
from serving.bundle_erase import holds_any, write_without
from serving.champion import read_champion, write_champion
from serving.erasing_mlflow import CUSTOMER_ID, erase_from_database, erase_from_files, rename_in_database
from serving.erasing_tables import Forgotten, rewrite_parquet
from serving.errors import BundleError
from serving.outputs import known_outputs
from serving.renamed import remember_version

CUSTOMERS, ALIASES, IDENTITIES = "customers.parquet", "aliases.parquet", "identities.parquet"
_OF_TRAINING = ("results", "backtest")  # training/results.py, training/backtest/kept.py
_CUSTOMER_ROW, _VALUE_HASH = "customer_row", "value_hash"


@dataclass
class Done:
    """How much was done at each kind of place, and which bundle became which."""

    counts: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def erase_from_home(home: Path, forgotten: Forgotten) -> Done:
    """Return what was done; whoever calls holds the home's lock (`serving.home_lock.erasing_in`)."""
    done = Done()
    _erase_from_bundles(home, forgotten, done)
    done.counts["feature tables dropped"] = _drop_tables(home / "features", forgotten)
    done.counts["rows of quarantine"] = _rewrite(sorted((home / "quarantine").glob("*.parquet")), forgotten)
    done.counts["rows of batch outputs"] = _rewrite(known_outputs(home), forgotten)
    done.counts["kept results dropped"] = _drop_results(home)
    done.counts["files of reports"] = erase_from_files(home / "reports", forgotten)
    n_artifacts = erase_from_files(home / "mlartifacts", forgotten)
    done.counts["files and values of MLflow"] = n_artifacts + erase_from_database(home / "mlflow.db", forgotten)
    return done


def same_customers(home: Path, customer_ids: Collection[str]) -> frozenset[str]:
    """Return these ids with all that the conformed tables under a home know as the same customers'."""
    found = set(customer_ids)
    for folder in _table_folders(home):
        owners = _rows_by_id(folder)
        rows = {owners[each] for each in found & owners.keys()}
        found |= {each for each, row in owners.items() if row in rows}
    return frozenset(found)


def customers_with(home: Path, identity_name: str) -> frozenset[str]:
    """Return the ids of the customers whom the conformed tables under a home know by an identity (its keyed hash)."""
    found: set[str] = set()
    for folder in _table_folders(home):
        rows = {row for row, name in _identities(folder) if name == identity_name}
        found |= {each for each, row in _rows_by_id(folder).items() if row in rows}
    return frozenset(found)


def identities_of(home: Path, customer_ids: Collection[str]) -> frozenset[str]:
    """Return the identities (keyed hashes) that the conformed tables under a home have of these customers."""
    found: set[str] = set()
    for folder in _table_folders(home):
        owners = _rows_by_id(folder)
        rows = {owners[each] for each in owners.keys() & set(customer_ids)}
        found |= {name for row, name in _identities(folder) if row in rows and name}
    return frozenset(found)


def _erase_from_bundles(home: Path, forgotten: Forgotten, done: Done) -> None:
    bundles = home / "bundles"
    for leftover in bundles.glob(".*"):  # of a writer or an erasure that was cut off
        shutil.rmtree(leftover, ignore_errors=True)
    n_removed = 0
    for folder in sorted(path for path in bundles.glob("*") if (path / MANIFEST_NAME).is_file()):
        try:
            if holds_any(folder, forgotten.customer_ids):
                written = write_without(folder, forgotten.customer_ids, bundles)
                done.versions[folder.name] = written
                _replace_bundle(home, folder, written)
        except BundleError:
            # It can serve nobody, and can't be written anew: it goes, unless it surely doesn't name them.
            if _names_any(folder, forgotten.customer_ids):
                _remove(folder)
                n_removed += 1
    done.counts["bundles written anew"] = len(done.versions)
    done.counts["bundles removed (damaged, or of another version of tercet)"] = n_removed


def _drop_results(home: Path) -> int:
    """Remove what models showed customer by customer, and past bundles: training makes both again; return how many."""
    folders = [home / name for name in _OF_TRAINING]
    n_files = sum(path.is_file() for folder in folders for path in folder.rglob("*"))
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return n_files


def _replace_bundle(home: Path, folder: Path, version: str) -> None:
    """Let the new bundle take the old one's place: report, MLflow's tags and the champion's pointer."""
    report, moved = home / "reports" / folder.name, home / "reports" / version
    if report.is_dir() and not moved.exists():
        report.rename(moved)
    rename_in_database(home / "mlflow.db", folder.name, version)
    remember_version(home, folder.name, version)
    if read_champion(home) == folder.name:
        write_champion(home, version)
    _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a bundle: first its name, so that nobody opens half of one."""
    gone = folder.with_name(f".erased-{folder.name}")
    folder.rename(gone)
    shutil.rmtree(gone)


def _names_any(folder: Path, customer_ids: Iterable[str]) -> bool:
    wanted = [each.encode() for each in customer_ids]
    contents = (path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return any(each in content for content in contents for each in wanted)


def _drop_tables(features: Path, forgotten: Forgotten) -> int:
    """Return how many folders of tables were dropped: those that hold them, and the features made from these.

    All of it is made anew from the source when it is needed next.
    """
    tables, groups = features / "tables", features / "groups"
    for leftover in tables.glob(".*"):  # of a run that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    held = [folder for folder in sorted(tables.glob("*")) if folder.is_dir() and _holds_any(folder, forgotten)]
    for folder in held:
        shutil.rmtree(groups / folder.name, ignore_errors=True)
        shutil.rmtree(folder)
    for orphan in groups.glob("*"):
        if not (tables / orphan.name).is_dir():
            shutil.rmtree(orphan, ignore_errors=True)
    return len(held)


def _holds_any(folder: Path, forgotten: Forgotten) -> bool:
    """Return whether tables know one of them, or have set a row of theirs aside; what can't be read counts as a yes."""
    try:
        if _rows_by_id(folder).keys() & forgotten.customer_ids:
            return True
        return any(
            rewrite_parquet(path, forgotten, [CUSTOMER_ID]) for path in (folder / "quarantine").glob("*.parquet")
        )
    except (OSError, pa.ArrowException):
        return True


def _rows_by_id(folder: Path) -> Mapping[str, int]:
    """Return the customer_row of each id, of those that were merged into another as well."""
    rows: dict[str, int] = {}
    for name in (CUSTOMERS, ALIASES):
        table = pq.read_table(folder / name, columns=[CUSTOMER_ID, _CUSTOMER_ROW])
        rows |= zip(table.column(CUSTOMER_ID).to_pylist(), table.column(_CUSTOMER_ROW).to_pylist(), strict=True)
    return rows


def _identities(folder: Path) -> Iterable[tuple[int, str | None]]:
    table = pq.read_table(folder / IDENTITIES, columns=[_CUSTOMER_ROW, _VALUE_HASH])
    return zip(table.column(_CUSTOMER_ROW).to_pylist(), table.column(_VALUE_HASH).to_pylist(), strict=True)


def _table_folders(home: Path) -> Iterator[Path]:
    """Yield the folders of conformed tables; one that is damaged is dropped as a whole later, and passed over here."""
    for folder in sorted((home / "features" / "tables").glob("[!.]*")):
        with suppress(OSError, pa.ArrowException):
            for name in (CUSTOMERS, ALIASES, IDENTITIES):
                pq.read_metadata(folder / name)
            yield folder


def _rewrite(paths: Iterable[Path], forgotten: Forgotten) -> int:
    return sum(rewrite_parquet(path, forgotten, [CUSTOMER_ID]) for path in paths if path.is_file())
