"""Where a text stands in files, looked for in what they hold: Parquet, arrays and archives are unpacked first."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq


def places_with(roots: Iterable[Path], texts: Iterable[str]) -> list[str]:
    """Return the files (relative to their root) that hold one of the texts, whatever its case, anywhere."""
    wanted = [each.casefold().encode() for each in texts]
    return [
        str(path.relative_to(root))
        for root in roots
        for path in sorted(root.rglob("*"))
        if path.is_file() and any(each in content.lower() for content in _contents(path, root) for each in wanted)
    ]


def _contents(path: Path, root: Path) -> Iterator[bytes]:
    """Yield a file's bytes, what is packed in it, and its path under the root; what a database has deleted is there."""
    raw = path.read_bytes()
    yield raw
    yield str(path.relative_to(root)).encode()
    if raw[:4] == b"PAR1":
        yield str(pq.read_table(path).to_pylist()).encode()
    elif raw[:2] == b"\x1f\x8b":
        yield gzip.decompress(raw)
    elif raw[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
