"""Four times the customers take no more memory than the one: a slow test, each list in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.big_bundle import make_home

_RUN = """
import sys, threading, time
from pathlib import Path
from serving import batch_lists
from serving.batch import BatchJob, write_batch

batch_lists._OPTIONS_A_BLOCK = 128  # so that the smaller list, too, fills some blocks

def own_kilobytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

peak, is_done = 0, threading.Event()

def watch():
    global peak
    while not is_done.wait(0.02):
        peak = max(peak, own_kilobytes())

watcher = threading.Thread(target=watch)
watcher.start()
home = Path(sys.argv[1])
write_batch(home, BatchJob(sys.argv[2], k=3), home / "list.parquet", None, lambda _stage: None)
is_done.set()
watcher.join()
print(peak)
"""


def peak_of(home: Path, kind: str, n_customers: int) -> int:
    make_home(home, n_customers, n_offers=12)
    done = subprocess.run([sys.executable, "-c", _RUN, str(home), kind], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux tells what a process holds")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["offers", "actions"])
def test_memory_does_not_grow_with_customers(tmp_path: Path, kind: str) -> None:
    # Caches fill within the first thousands of customers (docs/lists.md), so both lists are beyond that.
    few, many = (peak_of(tmp_path / str(n), kind, n) for n in (6_000, 12_000))
    assert many < 1.1 * few
