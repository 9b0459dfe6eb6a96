"""What merchants' rules add to a decision: read the ratios within one run, not the microseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from serving.api import ChallengeRequest, RecommendationsRequest
from serving.bundle import Bundle
from serving.engine import Engine
from tests.serving.conftest import tiny_bundle as tiny_bundle
from tests.serving.conftest import tiny_folder as tiny_folder
from tests.serving.happenings import after
from tests.serving.merchants import engine_with
from tests.serving.tiny import PRODUCTS

pytestmark = [pytest.mark.bench, pytest.mark.benchmark(group="one decision under merchants' rules")]

_NAMES = list(PRODUCTS)
RULES = {
    "none": "",
    "a ban": "\n[[bans]]\ncategories = ['Snacks']\n",
    "a pin": "\n[[pins]]\nproducts = ['salad-1']\nrank = 2\n",
    "1,000 boosts, with dates": "".join(
        f"\n[[boosts]]\nproducts = ['{_NAMES[i % len(_NAMES)]}']\nfactor = 1.01\nto = 2019-{1 + i % 12:02d}-01\n"
        for i in range(1000)
    ),
}


def _challenge(engine: Engine) -> Any:
    return engine.challenge(ChallengeRequest(customer_id="anna"), after(24), "")


def _recommendations(engine: Engine) -> Any:
    return engine.recommendations(RecommendationsRequest(customer_id="anna"), after(24), "")


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("decide", [_challenge, _recommendations])
def test_a_decision(benchmark: Any, tiny_bundle: Bundle, decide: Callable[[Engine], Any], rules: str) -> None:
    engine = engine_with(tiny_bundle, RULES[rules])
    assert benchmark(lambda: decide(engine))["items"]
