"""What is fuzzed: something that takes any bytes, and what it is begun with."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


def scratch() -> Path:
    """Return a new folder that is gone when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="tercet-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


Run = Callable[[bytes], None]


@dataclass(frozen=True)
class Target:
    """Code of ours that any bytes may reach.

    `make()` returns what takes them: it raises where a promise is broken, and nothing for what is refused as it
    should be. `seeds` are inputs to begin with, `words` what is worth putting into them. `max_bytes` bounds an
    input, `short_runs` says how many `make test` tries.
    """

    name: str
    make: Callable[[], Run]
    seeds: Callable[[], list[bytes]]
    words: Callable[[], list[bytes]] = field(default=lambda: [])
    max_bytes: int = 16_384
    short_runs: int = 150


class Broken(AssertionError):
    """A promise that an input broke."""
