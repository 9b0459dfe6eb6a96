"""What offers cost by their number, beside a ranking of products: read the ratios, not the microseconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from serving.api import RecommendationsRequest
from serving.api_offers import OffersRequest
from serving.bundle import Bundle
from serving.channels import Channel
from serving.engine import Engine
from tests.serving.conftest import tiny_bundle as tiny_bundle
from tests.serving.conftest import tiny_folder as tiny_folder
from tests.serving.tiny import AS_OF, PRODUCTS, Rows
from tests.serving.tiny_offers import TinyOffer, offer_groups

pytestmark = [pytest.mark.bench, pytest.mark.benchmark(group="offers beside a ranking")]

_NAMES = list(PRODUCTS)


def _with_offers(bundle: Bundle, n: int) -> Engine:
    """Return an engine for the tiny shop with so many offers, for one to sixteen products each."""
    offers = {
        f"offer-{i:03}": TinyOffer(tuple(sorted({_NAMES[(i * 7 + j) % len(_NAMES)] for j in range(i % 16 + 1)})))
        for i in range(n)
    }
    return Engine(replace(bundle, **offer_groups(Rows(), offers, {})))


@pytest.mark.parametrize("n", [1, 10, 50, 200])
def test_offers(benchmark: Any, tiny_bundle: Bundle, n: int) -> None:
    engine = _with_offers(tiny_bundle, n)
    request = OffersRequest(customer_id="anna", channel=Channel.WEB)
    answer = benchmark(lambda: engine.offers(request, AS_OF, ""))
    assert len(answer["offers"]) + len(answer["withheld"]) == n


def test_a_ranking(benchmark: Any, tiny_bundle: Bundle) -> None:
    engine = Engine(tiny_bundle)
    answer = benchmark(lambda: engine.recommendations(RecommendationsRequest(customer_id="anna"), AS_OF, ""))
    assert answer["items"]
