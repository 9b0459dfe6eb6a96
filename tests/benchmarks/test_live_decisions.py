"""What events add to a decision: read the ratios within one run, not the microseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from serving.api import ChallengeRequest, RecommendationsRequest
from serving.bundle import Bundle
from serving.engine import Engine
from serving.state.known import Known
from tests.serving.conftest import tiny_bundle as tiny_bundle
from tests.serving.conftest import tiny_folder as tiny_folder
from tests.serving.happenings import after, event, known
from tests.serving.tiny import PRODUCTS

pytestmark = [pytest.mark.bench, pytest.mark.benchmark(group="one decision by the engine")]

_KINDS = ("view", "purchase", "impression", "click", "cart")
_NAMES = list(PRODUCTS)
KNOWN: Mapping[str, Known] = {
    "nothing": known(),
    "one purchase": known(event("purchase", "milk-1")),
    "five events": known(*(event(kind, _NAMES[i]) for i, kind in enumerate(_KINDS))),
    "200 events": known(*(event(_KINDS[i % 5], _NAMES[i % 3], hours=i / 10) for i in range(200))),
    "stock": known(stock={(each, None): 3.0 for each in _NAMES}),
}


def _challenge(engine: Engine, customer: str, told: Known) -> Any:
    return engine.challenge(ChallengeRequest(customer_id=customer), after(24), "", told)


def _recommendations(engine: Engine, customer: str, told: Known) -> Any:
    return engine.recommendations(RecommendationsRequest(customer_id=customer), after(24), "", told)


@pytest.mark.parametrize("what", KNOWN)
@pytest.mark.parametrize("customer", ["anna", "guest"])
@pytest.mark.parametrize("decide", [_challenge, _recommendations])
def test_a_decision(
    benchmark: Any, tiny_bundle: Bundle, decide: Callable[[Engine, str, Known], Any], customer: str, what: str
) -> None:
    engine = Engine(tiny_bundle)
    answer = benchmark(lambda: decide(engine, customer, KNOWN[what]))
    assert answer["items"]
