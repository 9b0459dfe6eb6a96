"""The parts of an answer over the bench's bundle, for customers whom it knows: read ratios to the yardstick.

The engine is timed call by call, a customer after the other, as a server would meet them; by the CPU time of its
thread, which is what a call takes where nobody else wants the core.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from serving.api import ChallengeRequest, RecommendationsRequest, ScoresRequest
from serving.api_actions import ActionsRequest
from serving.api_offer_codes import Trigger
from serving.api_offers import OffersRequest
from serving.api_writes import EventsBody
from serving.bundle import Bundle
from serving.channels import Channel
from serving.engine import Engine
from serving.http_body import decode
from serving.live import epoch_us
from serving.state.events import Event, EventType
from serving.state_home import open_state
from tests.benchmarks.conftest import tell_tail
from tests.benchmarks.servers import some_customers

pytestmark = [pytest.mark.bench]

N_CUSTOMERS = 500
N_CALLS = 1_500
ENGINE_CALLS: dict[str, Callable[[str], Any]] = {
    "challenge": lambda each: ChallengeRequest(customer_id=each),
    "recommendations": lambda each: RecommendationsRequest(customer_id=each, k=10),
    "offers": lambda each: OffersRequest(customer_id=each, channel=Channel.WEB),
    "action": lambda each: ActionsRequest(customer_id=each, trigger=Trigger.REPLENISH),
    "scores": lambda each: ScoresRequest(customer_ids=[each]),
}


@pytest.fixture(scope="module")
def engine(bench_bundle: Bundle) -> Engine:
    return Engine(bench_bundle)


@pytest.mark.benchmark(group="the engine alone: request to answer", timer=time.thread_time)
@pytest.mark.parametrize("call", ENGINE_CALLS)
def test_engine(benchmark: Any, engine: Engine, call: str) -> None:
    at = engine.bundle.manifest.as_of + timedelta(hours=12)
    requests = [ENGINE_CALLS[call](each) for each in some_customers(engine.bundle, N_CUSTOMERS)]
    decide = getattr(engine, call)
    turn = itertools.cycle(requests)

    answer = benchmark.pedantic(
        decide, setup=lambda: ((next(turn), at, "id"), {}), rounds=N_CALLS, warmup_rounds=len(requests)
    )

    assert answer["model_version"] == engine.bundle.manifest.version
    if benchmark.stats:
        tell_tail(benchmark)


@pytest.mark.benchmark(group="many customers at once", timer=time.thread_time)
def test_engine_scores_of_1000(benchmark: Any, engine: Engine) -> None:
    at = engine.bundle.manifest.as_of + timedelta(hours=12)
    request = ScoresRequest(customer_ids=some_customers(engine.bundle, 1000), k_categories=10)
    answer = benchmark.pedantic(engine.scores, args=(request, at, "id"), rounds=20, warmup_rounds=2)
    assert len(answer["scores"]) == len(request.customer_ids)


EVENT = (
    b'{"events": [{"event_id": "e-1", "customer_id": "c", "type": "view", "at": "2018-01-01T06:00:00Z", '
    b'"product_id": "p"}]}'
)


@pytest.mark.benchmark(group="decoding and encoding")
def test_decode_a_call(benchmark: Any) -> None:
    body = b'{"customer_id": "anna", "k": 10}'
    request = benchmark(lambda: RecommendationsRequest.model_validate(decode(body)))
    assert request.k == 10


@pytest.mark.benchmark(group="decoding and encoding")
def test_decode_an_event(benchmark: Any) -> None:
    assert benchmark(lambda: EventsBody.model_validate(decode(EVENT)))


@pytest.mark.benchmark(group="decoding and encoding")
@pytest.mark.parametrize("call", ["challenge", "recommendations"])
def test_encode_an_answer(benchmark: Any, engine: Engine, call: str) -> None:
    at = engine.bundle.manifest.as_of + timedelta(hours=12)
    request = ENGINE_CALLS[call](some_customers(engine.bundle, 1)[0])
    answer = getattr(engine, call)(request, at, "id")
    assert benchmark(lambda: orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY))


@pytest.mark.benchmark(group="the state of one customer, in the file")
def test_read_a_customer(benchmark: Any, tmp_path: Path, bench_bundle: Bundle) -> None:
    customers = some_customers(bench_bundle, N_CUSTOMERS)
    opened = open_state("file", tmp_path)
    turn = itertools.cycle(customers)
    try:
        known = benchmark(lambda: opened.state.known(next(turn)))
    finally:
        opened.close()
    assert known.live is not None


@pytest.mark.benchmark(group="the state of one customer, in the file")
def test_write_an_event(benchmark: Any, tmp_path: Path, bench_bundle: Bundle) -> None:
    opened = open_state("file", tmp_path)
    at_us = epoch_us(bench_bundle.manifest.as_of)
    customers = some_customers(bench_bundle, N_CUSTOMERS)
    events = (Event(f"e-{n}", customers[n % N_CUSTOMERS], EventType.VIEW, at_us, at_us) for n in itertools.count())

    def tell() -> Any:
        return opened.state.accept([next(events)], may_keep=lambda _live: True, kind_of=lambda _product: None)

    try:
        accepted = benchmark.pedantic(tell, rounds=60, warmup_rounds=5)
    finally:
        opened.close()
    assert accepted.accepted == 1
