"""The answer that peers give without work: that of a real call, handed over in a file.

The environment variable `BENCH_READY` names the file; `BENCH_BUNDLE`, for the peer that looks things up, the bundle.
"""

from __future__ import annotations

import os
from pathlib import Path


def ready_answer() -> bytes:
    """Return the body of the ready answer."""
    return Path(os.environ["BENCH_READY"]).read_bytes()


def bundle_folder() -> Path:
    """Return the folder of the bundle in which peers look things up."""
    return Path(os.environ["BENCH_BUNDLE"])
