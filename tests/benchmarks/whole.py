"""The whole server beside its peers: interleaved rounds, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from serving.api import ChallengeRequest
from serving.bundle import Bundle
from serving.engine import Engine
from tests.benchmarks.load import Ask, Load, Measured, measure
from tests.benchmarks.results import LOWER, Ratio, Series, ratio_of
from tests.benchmarks.servers import (
    PEERS,
    Target,
    challenge_asks,
    idle_seconds,
    peer,
    recommendation_asks,
    some_customers,
    tercet,
    wait,
)

CONNECTIONS = 32
LATENCY_CONNECTIONS = 8
EVENT_CLIENTS = 16
N_CUSTOMERS = 500
N_SCORED, N_CATEGORIES = 1000, 10
N_FLUSHES = 40
_HOT = ("challenge", "recommendations")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much is measured: rounds, seconds of each shot, and seconds at half load."""

    rounds: int = 5
    seconds: int = 3
    steady_seconds: int = 60


QUICK = Plan(rounds=3, seconds=1, steady_seconds=8)


@dataclass(frozen=True)
class Shot:
    """One load on one server, once a round."""

    name: str
    target: Target
    load: Load


@dataclass
class Rounds:
    """What the shots measured, by name, in the order of the rounds."""

    found: dict[str, list[tuple[Measured, float]]] = field(default_factory=dict)
    idle: dict[str, list[float]] = field(default_factory=dict)

    def fire(self, shot: Shot) -> None:
        """Measure a shot, the CPU that its server took meanwhile, and the share of the machine's that nobody did."""
        before, was_idle, began = shot.target.cpu_seconds(), idle_seconds(), time.perf_counter()
        measured = measure(shot.target.url, shot.load)
        taken, idle = shot.target.cpu_seconds() - before, idle_seconds() - was_idle
        self.found.setdefault(shot.name, []).append((measured, taken))
        self.idle.setdefault(shot.name, []).append(idle / (time.perf_counter() - began) / (os.cpu_count() or 1))

    def series(self, name: str, unit: str, of: Callable[[Measured, float], float]) -> Series:
        """Return one quantity of a shot."""
        return Series(tuple(of(measured, cpu) for measured, cpu in self.found[name]), unit)

    def rate(self, name: str) -> Series:
        """Return the requests a second of a shot."""
        return self.series(name, "1/s", lambda measured, _: measured.rate)

    def cpu(self, name: str) -> Series:
        """Return the CPU that a request took in the server, in µs."""
        return self.series(name, "µs", lambda measured, cpu: 1e6 * cpu / measured.n)


def in_turn(n: int, rounds: int) -> Iterator[list[int]]:
    """Yield the order of the shots of each round; each begins one further, so that none always follows the same load.

    >>> list(in_turn(3, 2))
    [[0, 1, 2], [1, 2, 0]]
    """
    for number in range(rounds):
        yield [(place + number) % n for place in range(n)]


@dataclass(frozen=True)
class Found:
    """Absolute numbers and ratios."""

    series: Mapping[str, Series]
    ratios: Mapping[str, Ratio]


def measure_whole(bundle: Bundle, plan: Plan, say: Say, peers: Sequence[str] = PEERS) -> Found:
    """Return what tercet and its peers do with one worker, and tercet with two, over a bundle."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_disk())))
        say("starting tercet and its peers")
        one = stack.enter_context(tercet(bundle, folder / "one", 1))
        two = stack.enter_context(tercet(bundle, folder / "two", 2))
        # Of its own: what was told of a customer makes answers about them dearer, and two workers are held to one.
        told = stack.enter_context(tercet(bundle, folder / "told", 2))
        ready = _ready_answer(bundle)
        others = [stack.enter_context(peer(name, folder / name, ready, bundle.folder)) for name in peers]
        for each in (one, two, told, *others):
            wait(each)
        events = Load(_event_asks(bundle, some_customers(bundle, N_CUSTOMERS)), EVENT_CLIENTS, plan.seconds)
        shots = [
            *_shots_at_all(bundle, one, others, plan.seconds),
            *_shots_at_two(bundle, two, plan.seconds),
            Shot("events", told, events),
        ]
        rounds = Rounds()
        for shot in shots:
            measure(shot.target.url, Load(shot.load.asks, shot.load.connections, 1))  # what is said once is said here
        for number, order in enumerate(in_turn(len(shots), plan.rounds)):
            say(f"round {number + 1} of {plan.rounds}: {len(shots)} loads of {plan.seconds} s")
            for place in order:
                rounds.fire(shots[place])
        flushes = _flush_us(folder)
        say(f"half load for {plan.steady_seconds} s, and the floor at the same rate")
        steady = _half_load(rounds, bundle, one, others, plan.steady_seconds)
        found = _found(rounds, peers)
        return Found({**found.series, **steady, "flush": flushes}, found.ratios)


def _disk() -> str:
    """Return a folder on the disk that holds the current one: what lies in memory flushes nothing."""
    return str(Path.cwd()) if os.access(".", os.W_OK) else tempfile.gettempdir()


def _ready_answer(bundle: Bundle) -> bytes:
    """Return a challenge of a customer whom the bundle knows."""
    request = ChallengeRequest(customer_id=some_customers(bundle, 1)[0])
    return orjson.dumps(Engine(bundle).challenge(request, bundle.manifest.as_of, "0" * 32))


def _shots_at_all(bundle: Bundle, one: Target, others: Sequence[Target], seconds: int) -> Iterator[Shot]:
    customers = some_customers(bundle, N_CUSTOMERS)
    challenges, recommendations = challenge_asks(customers), recommendation_asks(customers)
    for each in others:
        yield Shot(each.name, each, Load(challenges, CONNECTIONS, seconds))
    yield Shot("challenge", one, Load(challenges, CONNECTIONS, seconds))
    yield Shot("recommendations", one, Load(recommendations, CONNECTIONS, seconds))
    yield Shot("challenge at 8", one, Load(challenges, LATENCY_CONNECTIONS, seconds))
    yield Shot("recommendations at 8", one, Load(recommendations, LATENCY_CONNECTIONS, seconds))
    yield Shot("scores", one, Load(_scores_asks(bundle), 1, seconds))


def _shots_at_two(bundle: Bundle, two: Target, seconds: int) -> Iterator[Shot]:
    customers = some_customers(bundle, N_CUSTOMERS)
    yield Shot("challenge, two workers", two, Load(challenge_asks(customers), CONNECTIONS, seconds))
    yield Shot("recommendations, two workers", two, Load(recommendation_asks(customers), CONNECTIONS, seconds))


def _event_asks(bundle: Bundle, customers: Sequence[str]) -> list[Ask]:
    at, popular = bundle.manifest.as_of.isoformat(), bundle.popular.product.tolist()
    products = [bundle.products.id[popular[place % len(popular)]] for place in range(len(customers))]
    return [
        Ask(
            "/v1/events",
            f'{{"events": [{{"event_id": "{{n}}", "customer_id": "{customer}", "type": "view", "at": "{at}", '
            f'"product_id": "{product}"}}]}}',
        )
        for customer, product in zip(customers, products, strict=True)
    ]


def _scores_asks(bundle: Bundle) -> list[Ask]:
    body = {"customer_ids": some_customers(bundle, N_SCORED), "k_categories": N_CATEGORIES}
    return [Ask("/v1/scores", orjson.dumps(body).decode())]


def _flush_us(folder: Path) -> Series:
    """Return what making a line durable costs on this disk, in µs: the floor under what is told to the server."""
    times = []
    with (folder / "flushes").open("wb") as file:
        for _ in range(N_FLUSHES):
            file.write(b"x" * 200)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(1e6 * (time.perf_counter() - began))
    return Series(tuple(times), "µs")


def _half_load(
    rounds: Rounds, bundle: Bundle, one: Target, others: Sequence[Target], seconds: int
) -> dict[str, Series]:
    """Return how often an answer took over 50 ms at half of what the server can do; beside it the floor's, as often.

    The two take turns, so that a pause of the machine can be told from one of the server; so can the time for which
    the event loop was ready to run and had no core.
    """
    customers = some_customers(bundle, N_CUSTOMERS)
    mixed = [
        ask for pair in zip(challenge_asks(customers), recommendation_asks(customers), strict=True) for ask in pair
    ]
    rate = 1 / sum(1 / rounds.rate(call).median for call in _HOT)  # of one call of each kind in turn, at half load
    wait_ms = max(1, round(2000 * CONNECTIONS / rate))  # uniform from 0: half of it on average
    slice_seconds = min(seconds, 15)
    floor = next((each for each in others if each.name == "floor"), one)
    targets = {"": (one, mixed)} if floor is one else {"": (one, mixed), " of the floor": (floor, mixed)}
    found: dict[str, list[tuple[Measured, float]]] = {whose: [] for whose in targets}
    for _ in range(math.ceil(seconds / slice_seconds)):
        for whose, (target, asks) in targets.items():
            before = target.waited_seconds()
            measured = measure(target.url, Load(asks, CONNECTIONS, slice_seconds, wait_ms))
            found[whose].append((measured, target.waited_seconds() - before))
    told: dict[str, Series] = {}
    for whose, slices in found.items():
        a_minute = 60 / sum(each.seconds for each, _ in slices)
        told[f"pauses{whose}"] = Series((sum(each.n_slow for each, _ in slices) * a_minute,), "a minute")
        told[f"longest at half load{whose}"] = Series(tuple(each.max_us / 1000 for each, _ in slices), "ms")
        told[f"half load{whose}"] = Series(tuple(each.rate for each, _ in slices), "1/s")
        told[f"waited at half load{whose}"] = Series(tuple(waited / each.seconds for each, waited in slices), "share")
    return told


def _found(rounds: Rounds, peers: Sequence[str]) -> Found:
    series: dict[str, Series] = {}
    ratios: dict[str, Ratio] = {}
    for name in rounds.found:
        series[f"{name} rate"], series[f"{name} CPU"] = rounds.rate(name), rounds.cpu(name)
        series[f"{name} p50"] = rounds.series(name, "µs", lambda measured, _: measured.p50_us)
        series[f"{name} p99"] = rounds.series(name, "µs", lambda measured, _: measured.p99_us)
        series[f"{name} idle"] = Series(tuple(rounds.idle[name]), "share of the machine's CPU")
        series[f"{name} failed"] = rounds.series(name, "requests", lambda measured, _: measured.n_failed)
    for call in _HOT:
        for other in peers:
            ratios[f"{call} ÷ {other}"] = ratio_of(rounds.rate(call), rounds.rate(other))
            ratios[f"{call} CPU ÷ {other}"] = ratio_of(rounds.cpu(call), rounds.cpu(other), LOWER)
        at_8 = f"{call} at 8"
        ratios[f"{call} p99 ÷ p50"] = ratio_of(series[f"{at_8} p99"], series[f"{at_8} p50"], LOWER)
        ratios[f"{call}: two workers ÷ one"] = ratio_of(rounds.rate(f"{call}, two workers"), rounds.rate(call))
    one, two = (
        Series(tuple(map(sum, zip(*(rounds.rate(call + more).values for call in _HOT), strict=True))), "1/s")
        for more in ("", ", two workers")
    )
    ratios["two workers ÷ one"] = ratio_of(two, one)
    series["scores ms"] = rounds.series("scores", "ms", lambda measured, _: measured.p50_us / 1000)
    if "starlette" in peers:
        ratios["events ÷ starlette"] = ratio_of(rounds.rate("events"), rounds.rate("starlette"))
        ratios["scores CPU ÷ starlette"] = ratio_of(rounds.cpu("scores"), rounds.cpu("starlette"), LOWER)
    return Found(series, ratios)
