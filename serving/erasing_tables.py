"""Taking a customer's rows out of Parquet files: quarantine and batch outputs, rewritten whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# An id such as 17 may stand for anything in a text; one such as c-20931 hardly does.
_TELLING_LENGTH = 6
_WORD = r"[0-9A-Za-z_]"


@dataclass(frozen=True)
class Forgotten:
    """Who is to be erased: all ids of one customer, and how to tell their identities, of which only hashes are kept.

    `is_identity` says whether a kind and a value are theirs. `texts` are further texts that tell of them, such as an
    identity's value as it was typed.
    """

    customer_ids: frozenset[str]
    is_identity: Callable[[str, str], bool]
    texts: frozenset[str] = field(default_factory=frozenset)

    @property
    def telling(self) -> tuple[str, ...]:
        """Return the texts that can't be taken for anything else, wherever they stand; the longest first."""
        ids = {each for each in self.customer_ids if len(each) >= _TELLING_LENGTH and re.search(r"\D", each)}
        return tuple(sorted(ids | self.texts, key=lambda each: (-len(each), each)))

    def is_named_in(self, line: str) -> bool:
        """Return whether a line of a table that could not be split into columns names them."""
        values = (each.strip(' "\r\n') for each in re.split(r"[,;|\t]", line))
        return any(value in self.customer_ids or value in self.texts for value in values)


def rewrite_parquet(path: Path, forgotten: Forgotten, id_columns: Iterable[str]) -> int:
    """Return how many rows of theirs were taken out of a Parquet file; without any it is left as it is.

    Rows are theirs by their id in one of `id_columns`, by an identity (columns kind and value), or by a whole line
    (column line) that names them.
    """
    with pq.ParquetFile(path) as file:
        names = set(file.schema_arrow.names)
        columns = [each for each in id_columns if each in names]
        n_theirs = sum(
            _n_true(_theirs(file.read_row_group(group), columns, forgotten)) for group in range(file.num_row_groups)
        )
        if n_theirs:
            _write_rest(file, path, columns, forgotten)
    return n_theirs


def _write_rest(file: pq.ParquetFile, path: Path, columns: list[str], forgotten: Forgotten) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pq.ParquetWriter(draft, file.schema_arrow) as writer:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group)
                rest = rows.filter(pc.invert(_theirs(rows, columns, forgotten)))
                if rest.num_rows:
                    writer.write_table(rest)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _theirs(rows: pa.Table, columns: list[str], forgotten: Forgotten) -> pa.Array:
    """Return which rows are theirs, as one boolean array without nulls."""
    theirs = pa.array([False] * rows.num_rows, pa.bool_())
    ids = pa.array(sorted(forgotten.customer_ids), pa.string())
    for name in columns:
        found = pc.is_in(rows.column(name).cast(pa.string()).combine_chunks(), value_set=ids)
        theirs = pc.or_(theirs, found)
    names = set(rows.column_names)
    if {"kind", "value"} <= names:
        pairs = zip(rows.column("kind").to_pylist(), rows.column("value").to_pylist(), strict=True)
        theirs = pc.or_(theirs, pa.array([bool(k and v and forgotten.is_identity(k, v)) for k, v in pairs], pa.bool_()))
    if "line" in names:
        lines = rows.column("line").to_pylist()
        theirs = pc.or_(theirs, pa.array([bool(each) and forgotten.is_named_in(each) for each in lines], pa.bool_()))
    return theirs


def _n_true(mask: pa.Array) -> int:
    return int(pc.sum(mask.cast(pa.int64())).as_py() or 0)
