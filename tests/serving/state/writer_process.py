"""A process that writes to a state until it is killed, and says what was answered: `python -m … WHERE MODE`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from serving.state.file_store import FileStore
from serving.state.redis_store import RedisStore
from serving.state.store import ABSENT, Commit, Store

N_THREADS = 8


def begin(where: str, mode: str) -> subprocess.Popen[str]:
    """Return the process, whose lines tell what was answered; `mode` is `forever` or `count`."""
    command = [sys.executable, "-m", "tests.serving.state.writer_process", where, mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


def open_at(where: str) -> Store:
    return RedisStore(where) if where.startswith("redis:") else FileStore(Path(where))


def write_forever(store: Store, thread: int) -> None:
    """Put two documents a commit, and say so once it is answered."""
    n = 0
    while store.commit(Commit(put={f"k/{thread}/{n}": b"%d" % n, f"twin/{thread}/{n}": b"%d" % n})):
        os.write(1, f"k/{thread}/{n}\n".encode())
        n += 1


def count(store: Store, times: int) -> None:
    """Add one to a document so many times, each by what was read."""
    while times:
        (document,) = store.read(["n"])
        seen, version = (int(document.value), document.version) if document else (0, ABSENT)
        times -= store.commit(Commit(put={"n": b"%d" % (seen + 1)}, expect={"n": version}))


def main(where: str, mode: str) -> None:
    store = open_at(where)
    if mode == "count":
        count(store, 50)
        return
    threads = [threading.Thread(target=write_forever, args=(store, n)) for n in range(N_THREADS)]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
