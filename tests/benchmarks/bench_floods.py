"""`make bench-floods`: how long a kept challenge takes beside clients that ask without pause.

A server with two workers over the champion of a home; each flood lasts `SECONDS`. Prints a table; exit status 0, or 2
where it could not be measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from tests.benchmarks.load import Ask, Load, LoadError, Measured, measure
from tests.benchmarks.servers import (
    CHALLENGE,
    PeerError,
    challenge_asks,
    champion_bundle,
    some_customers,
    tercet,
    wait,
)

SECONDS = 6
N_CUSTOMERS = 500
FLOODS = {
    "recommendations": "/v1/recommendations",
    "challenges": CHALLENGE,
    "events that break the contract": "/v1/events",
    "a path that is not there": "/v1/nothing",
}
FAILED = 2
_PAUSE_SECONDS = 0.01
_BEGUN_SECONDS = 1.5


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench-floods", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="a home with a champion")
    parser.add_argument("--connections", type=int, nargs="+", default=[400, 1500])
    options = parser.parse_args(arguments)
    bundle = champion_bundle(options.home)
    if bundle is None:
        print(
            f"could not be measured: {options.home} has no champion; name a home that has (BENCH_HOME=FOLDER)",
            file=sys.stderr,
        )
        return FAILED
    customers = some_customers(bundle, N_CUSTOMERS)
    print("| flood of | connections | kept challenge: p50, p95, ms | refused | flood: answered, refused a second |")
    print("| --- | --- | --- | --- | --- |")
    try:
        with tempfile.TemporaryDirectory() as folder, tercet(bundle, Path(folder) / "home", 2) as target:
            wait(target)
            # What is promised once is promised here.
            measure(target.url, Load(challenge_asks(customers), 8, 3))
            print(_row("nothing", 0, _asked(target.url, customers, SECONDS), None), flush=True)
            for name, path in FLOODS.items():
                asks = [Ask(path, each.body) for each in challenge_asks(customers)]
                for n in options.connections:
                    with _flood(target.url, Load(asks, n, SECONDS)) as found:
                        time.sleep(_BEGUN_SECONDS)
                        asked = _asked(target.url, customers, SECONDS - 2 * _BEGUN_SECONDS)
                    print(_row(name, n, asked, found[0]), flush=True)
    except (LoadError, PeerError, OSError) as error:
        print(f"could not be measured: {error}", file=sys.stderr)
        return FAILED
    return 0


@contextmanager
def _flood(url: str, load: Load) -> Iterator[list[Measured]]:
    """Put a load on a server beside the caller; what it measured is in the list afterwards."""
    found: list[Measured] = []
    thread = threading.Thread(target=lambda: found.append(measure(url, load)))
    thread.start()
    try:
        yield found
    finally:
        thread.join()


def _asked(url: str, customers: Sequence[str], seconds: float) -> list[tuple[int, float]]:
    """Return status and seconds of challenges that are asked for one after the other over one connection."""
    found: list[tuple[int, float]] = []
    until = time.monotonic() + seconds
    with closing(HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        while time.monotonic() < until:
            body = json.dumps({"customer_id": customers[len(found) % 20]})
            began = time.perf_counter()
            connection.request("POST", CHALLENGE, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            found.append((answer.status, time.perf_counter() - began))
            time.sleep(_PAUSE_SECONDS)
    return found


def _row(name: str, n: int, asked: Sequence[tuple[int, float]], flood: Measured | None) -> str:
    p50, p95 = (1000 * float(np.quantile([each for _, each in asked], share)) for share in (0.5, 0.95))
    refused = sum(status != 200 for status, _ in asked)
    rates = (
        ""
        if flood is None
        else f"{(flood.n - flood.n_failed) / flood.seconds:,.0f}, {flood.n_failed / flood.seconds:,.0f}"
    )
    return f"| {name} | {n or ''} | {p50:.1f}, {p95:.1f} | {refused} of {len(asked)} | {rates} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
