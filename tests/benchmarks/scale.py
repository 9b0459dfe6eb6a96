"""One size of a bundle, looked at by a process of its own: how long it takes to open, and what stays in its memory."""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.bundle_fields import all_columns, grown_by_customers
from serving.experiments_file import ExperimentsFile
from serving.manifest import Manifest
from serving.service import open_engine
from serving.strings import StringTable
from tests.benchmarks.big_bundle import Scale, write_big_bundle
from tests.benchmarks.servers import ROOT


@dataclass(frozen=True)
class Made:
    """A bundle that was drawn and written: its version, and how long both took together."""

    version: str
    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Opened:
    """An engine that was made from a bundle; `private_mb` is what this process then had for itself alone."""

    seconds: float
    private_mb: float


def made(scale: Scale, folder: Path) -> Made:
    """Return what making a bundle took; in a process of its own, whose memory is gone afterwards."""
    return Made(**_apart("make", str(folder), str(scale.customers), str(scale.products)))


def opened(bundle: Path, notes: Path) -> Opened:
    """Return what taking up a bundle takes in a new process: checked in full where `notes` says nothing of it."""
    return Opened(**_apart("open", str(bundle), str(notes)))


def _apart(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.scale", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with status {ended.returncode}: {ended.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return found


def memory_mb(pid: int | str) -> Mapping[str, float]:
    """Return the lines of /proc/<pid>/smaps_rollup in MB (10^6 bytes), by name."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    parts = (line.split() for line in lines)
    return {name.rstrip(":"): int(kibibytes) * 1024 / 1e6 for name, kibibytes, *_ in parts}


def private_mb(pid: int | str) -> float:
    """Return what a process has for itself: what it wrote. Pages of files that it maps are the page cache's.

    Not `Private_Dirty`: that counts mapped pages of a file as well that somebody wrote and the kernel has not yet.
    """
    found = memory_mb(pid)
    return found["Anonymous"] + found["Swap"]


def customer_bytes(manifest: Manifest) -> dict[str, int]:
    """Return the bytes of all arrays that have an entry, or a list, for each customer, by the arrays' group."""
    columns, grown = all_columns(), grown_by_customers()
    found: dict[str, int] = {}
    for path, entry in manifest.files.items():
        name = path.removeprefix("arrays/").removesuffix(".npy")
        for ending in (".utf8", ".offsets"):
            if name not in columns:
                name = name.removesuffix(ending)
        if name in grown:
            group = name.partition(".")[0]
            found[group] = found.get(group, 0) + entry.bytes
    return found


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return b of the line ln value = a + b · ln size, by least squares: 0 does not grow, 1 grows in proportion.

    >>> round(exponent([10, 100, 1000], [3, 30, 300]), 6)
    1.0
    """
    x = np.log(np.asarray(sizes, dtype=float))
    y = np.log(np.maximum(np.asarray(values, dtype=float), math.ulp(0.0)))
    x = x - x.mean()
    return float((x @ (y - y.mean())) / (x @ x))


def _make(folder: str, customers: str, products: str) -> Made:
    began = time.perf_counter()
    version = write_big_bundle(Scale(int(customers), int(products)), Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return Made(version, time.perf_counter() - began, peak)


def _open(bundle: str, notes: str) -> Opened:
    began = time.perf_counter()
    engine = open_engine(Path(bundle), ExperimentsFile(Path(notes)), Path(notes))
    seconds = time.perf_counter() - began
    assert isinstance(engine.bundle.customers.id, StringTable)  # the engine is alive while its memory is read
    return Opened(seconds, private_mb("self"))


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    print(json.dumps(asdict({"make": _make, "open": _open}[what](*rest))))  # noqa: T201  # read by who started this
