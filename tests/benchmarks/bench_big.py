"""`make bench-big`: how a bundle, and the time and memory that it takes, grow from 10,000 customers to 1,000,000.

Draws three bundles (2 GB of disk in all, some minutes), opens each as a worker does, asks their engines in turn, and
puts a server with two workers on the largest. Exit status 0, or 2 where it could not be measured.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from serving.api import ChallengeRequest, RecommendationsRequest
from serving.bundle import Bundle, open_bundle
from serving.bundle_pages import map_pages
from serving.engine import Engine
from tests.benchmarks import results as kept
from tests.benchmarks.big_bundle import Scale
from tests.benchmarks.load import Load, client_name, measure
from tests.benchmarks.pages import PAGE, SCALE_FOLDER, scale_page, whole_page
from tests.benchmarks.results import LOWER, Ratio, Results, Series
from tests.benchmarks.scale import Made, customer_bytes, exponent, made, opened, private_mb
from tests.benchmarks.servers import challenge_asks, recommendation_asks, some_customers, tercet, wait

SIZES = (10_000, 100_000, 1_000_000)
N_PRODUCTS = 100_000
N_OPENINGS = 5
N_ASKED, N_ROUNDS = 400, 5
LOAD_SECONDS = 10
MB = 1e6


@dataclass(frozen=True)
class Sized:
    """A bundle of a size, where it lies, and what making it took."""

    customers: int
    folder: Path
    made_seconds: float


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench-big", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where bundles are put; those that lie there are taken as they are")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="customers of each bundle")
    parser.add_argument("--products", type=int, default=N_PRODUCTS)
    parser.add_argument("--record", action="store_true", help="write the results that are to be committed")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(dir=".")))
        try:
            results = run(folder, options.sizes, options.products)
        except (OSError, RuntimeError) as error:
            print(f"could not be measured: {error}", file=sys.stderr)
            return 2
    print(scale_page(results))
    if options.record:
        SCALE_FOLDER.mkdir(parents=True, exist_ok=True)
        (SCALE_FOLDER / "drawn.json").write_text(kept.to_json(results), encoding="utf-8")
        PAGE.write_text(whole_page(), encoding="utf-8")
    return 0


def run(folder: Path, sizes: Sequence[int], n_products: int) -> Results:
    """Return what was measured on a bundle of each size."""
    load_before = os.getloadavg()
    series: dict[str, Series] = {}
    bundles = [_bundle(folder, Scale(n, n_products)) for n in sorted(sizes)]
    for each in bundles:
        series |= _taking_up(each, folder)
    asked, ratios = _asking(bundles)
    series |= asked | _serving(bundles[-1])
    about = {
        "bundle": f"drawn: {n_products:,} products, {', '.join(f'{each.customers:,}' for each in bundles)} customers",
        "source": "drawn",
        "sizes": [each.customers for each in bundles],
        "quick": False,
        "client": client_name(),
        **kept.surroundings(load_before),
    }
    return Results(about, series | dict(_exponents(series, [each.customers for each in bundles])), ratios)


def _bundle(folder: Path, scale: Scale) -> Sized:
    """Return a bundle, drawn and written unless it lies there."""
    place = folder / f"{scale.customers}-{scale.products}"
    note = place / "made.json"
    if note.is_file():
        told = Made(**json.loads(note.read_text("utf-8")))
    else:
        say(f"drawing {scale.customers:,} customers and {scale.products:,} products")
        told = made(scale, place)
        note.write_text(json.dumps(asdict(told)), encoding="utf-8")
    return Sized(scale.customers, place / told.version, told.seconds)


def _taking_up(sized: Sized, folder: Path) -> dict[str, Series]:
    """Return size, the seconds of a first and of later openings, and the memory that an engine takes."""
    say(f"opening {sized.customers:,} customers")
    notes = folder / "checked" / str(sized.customers)
    shutil.rmtree(notes, ignore_errors=True)
    first = opened(sized.folder, notes)
    later = [opened(sized.folder, notes) for _ in range(N_OPENINGS)]
    manifest = open_bundle(sized.folder, verify=False).manifest
    by_group = customer_bytes(manifest)
    numbers = {
        "make s": (sized.made_seconds,),
        "MB": (sum(each.bytes for each in manifest.files.values()) / MB,),
        "bytes a customer": (sum(by_group.values()) / sized.customers,),
        "check s": (first.seconds,),
        "load s": tuple(each.seconds for each in later),
        "private MB": tuple(each.private_mb for each in later),
    }
    numbers |= {f"{group} bytes": (n_bytes / sized.customers,) for group, n_bytes in by_group.items()}
    return {f"{sized.customers}: {what}": Series(values, what.split()[-1]) for what, values in numbers.items()}


def _asking(bundles: Sequence[Sized]) -> tuple[dict[str, Series], dict[str, Ratio]]:
    """Return the CPU time of engine calls for customers at random, the bundles in turn, and each ÷ the smallest one.

    `first`: nobody has asked for these customers before; `again`: they were just asked for.
    """
    opened_ones = [open_bundle(each.folder, verify=False) for each in bundles]
    for one in opened_ones:
        map_pages(one)
    engines = [Engine(one) for one in opened_ones]
    series: dict[str, Series] = {}
    ratios: dict[str, Ratio] = {}
    for call, request in _CALLS.items():
        for engine in engines:  # the code paths, and what all customers share
            list(_times([engine], call, request, seed=0))
        rounds: dict[str, list[list[tuple[float, float]]]] = {"first": [], "again": []}
        for number in range(N_ROUNDS):
            for when, found in rounds.items():
                say(f"asking for {call}, {when}, round {number + 1} of {N_ROUNDS}")
                times = list(_times(engines, call, request, seed=number + 1))
                found.append([(_quantile(each, 0.5), _quantile(each, 0.99)) for each in zip(*times, strict=True)])
        for when, found in rounds.items():
            for place, each in enumerate(bundles):
                name = f"{each.customers}: {call}, {when}"
                p50, p99 = (Series(tuple(one[place][tail] for one in found), "µs") for tail in (0, 1))
                series[f"{name}, p50"], series[f"{name}, p99"] = p50, p99
                if place:
                    beside = (one[place][0] / one[0][0] for one in found)
                    ratios[f"{name} ÷ {bundles[0].customers}"] = Ratio(tuple(beside), "ratio", LOWER)
    return series, ratios


_CALLS: dict[str, Callable[[str], Any]] = {
    "challenge": lambda each: ChallengeRequest(customer_id=each),
    "recommendations": lambda each: RecommendationsRequest(customer_id=each, k=10),
}


def _times(engines: Sequence[Engine], call: str, request: Callable[[str], Any], seed: int) -> Iterator[list[float]]:
    """Yield the µs of one call of each engine in turn, for customers drawn by the seed."""
    rng = np.random.default_rng([20, seed, len(call)])
    at = engines[0].bundle.manifest.as_of + timedelta(hours=12)
    asked = [[request(_customer(each.bundle, share)) for share in rng.random(N_ASKED)] for each in engines]
    for number in range(N_ASKED):
        times = []
        for engine, requests in zip(engines, asked, strict=True):
            decide = getattr(engine, call)
            began = time.thread_time()
            decide(requests[number], at, "id")
            times.append(1e6 * (time.thread_time() - began))
        yield times


def _customer(bundle: Bundle, share: float) -> str:
    return bundle.customers.id[int(share * len(bundle.customers.id))]


def _quantile(times: Sequence[float], share: float) -> float:
    return sorted(times)[int(share * len(times))]


def _serving(sized: Sized) -> dict[str, Series]:
    """Return what each of two workers has for itself after a load on the server, and how long the start took."""
    say(f"a server with two workers on {sized.customers:,} customers")
    bundle = open_bundle(sized.folder, verify=False)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=sized.folder.parent)))
        began = time.monotonic()
        target = stack.enter_context(tercet(bundle, folder / "home", 2))
        wait(target)
        started = time.monotonic() - began
        customers = some_customers(bundle, 5_000)
        asks = itertools.chain.from_iterable(
            zip(challenge_asks(customers), recommendation_asks(customers), strict=True)
        )
        measure(target.url, Load(list(asks), 16, LOAD_SECONDS))
        private = tuple(private_mb(pid) for pid in target.workers())
    return {"worker private MB": Series(private, "MB"), "first start s": Series((started,), "s")}


def _exponents(series: dict[str, Series], sizes: Sequence[int]) -> Iterator[tuple[str, Series]]:
    """Yield with what power of the customers each quantity grows, where all sizes have it."""
    smallest = f"{sizes[0]}: "
    for what in [name.removeprefix(smallest) for name in series if name.startswith(smallest)]:
        found = [series.get(f"{size}: {what}") for size in sizes]
        if len(sizes) > 1 and all(each is not None for each in found):
            medians = [each.median for each in found if each is not None]
            yield f"exponent: {what}", Series((exponent(sizes, medians),), "")


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
