"""Writes the tiny shop's bundle of today's schema beside this file: run it once, when the schema is a new one.

``python -m tests.contracts.golden.write``
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from serving.bundle import write_bundle
from serving.bundle_format import SCHEMA_VERSION
from tests.serving.tiny import tiny_contents


def write(folder: Path) -> Path:
    """Return the archive that was written to `folder`."""
    archive = folder / f"bundle-schema-{SCHEMA_VERSION}.zip"
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / write_bundle(tiny_contents(), Path(scratch))
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
            for path in sorted(bundle.rglob("*")):
                if path.is_file():
                    files.write(path, path.relative_to(scratch))
    return archive


if __name__ == "__main__":
    write(Path(__file__).parent)
