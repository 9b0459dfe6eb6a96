"""Files of answers that appear whole or not at all: written beside their place, and moved there at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from serving.errors import BatchError


@contextmanager
def whole_table(out: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Give what writes tables of this schema to `out`, which is there once the body has ended well.

    BatchError when it can't be written.
    """
    with _draft_of(out) as draft, pq.ParquetWriter(draft, schema) as writer:
        yield writer.write_table


def write_text(out: Path, text: str) -> None:
    """Write a text, whole or not at all; BatchError when it can't be written."""
    with _draft_of(out) as draft:
        draft.write_text(text, encoding="utf-8")


@contextmanager
def _draft_of(out: Path) -> Iterator[Path]:
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield draft
            draft.replace(out)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise BatchError(f"{out} can't be written: {error.strerror or error}") from error
