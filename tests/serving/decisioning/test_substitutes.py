from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from serving.api import SubstitutesRequest
from serving.api_answers import SubstitutesAnswer
from serving.arms import ExperimentEngine
from serving.bundle import Bundle, BundleContents, open_bundle, write_bundle
from serving.bundle_format import RECOMMENDABLE
from serving.engine import Engine
from serving.errors import UnknownProduct
from serving.experiments import Experiments, Holdout, LiftPolicy
from serving.state.known import Known, Live, Stock, Trace
from tests.serving.tiny import AS_OF, Rows, tiny_contents

Build = Callable[[BundleContents], Engine]


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    return Engine(tiny_bundle)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return lambda contents: Engine(open_bundle(tmp_path / write_bundle(contents, tmp_path)))


def ask(engine: Engine, product_id: str, known: Known | None = None, **fields: Any) -> SubstitutesAnswer:
    answer = engine.substitutes(SubstitutesRequest(product_id=product_id, **fields), AS_OF, "0" * 32, known or Known())
    TypeAdapter(SubstitutesAnswer).validate_python(answer)
    return answer


def shown(answer: SubstitutesAnswer) -> list[str]:
    return [item["product_id"] for item in answer["items"]]


def test_the_best_signal_comes_first_with_its_reason(engine: Engine) -> None:
    answer = ask(engine, "milk-1", k=2)
    assert shown(answer) == ["milk-2", "yogurt-1"]
    assert [item["score"] for item in answer["items"]] == [2.0, 1.0]
    reason = answer["items"][0]["reason"]
    assert reason == {"code": "substitute", "text": "Customers change between this and Whole Milk"}
    assert "shortfall" not in answer
    assert not answer["personalized"]


def test_fewer_than_asked_for_say_why(engine: Engine) -> None:
    assert ask(engine, "milk-1")["shortfall"]["code"] == "no_substitutes"
    assert ask(engine, "salad-1")["items"] == []
    assert ask(engine, "brie-1")["shortfall"]["code"] == "excluded"


def test_an_unknown_product_is_no_product(engine: Engine) -> None:
    with pytest.raises(UnknownProduct):
        ask(engine, "x")


def test_what_is_out_of_stock_in_the_store_is_left_out_and_noted(engine: Engine) -> None:
    trace = Trace()
    stock = Stock(1, {("milk-2", "s-ny"): 0.0})
    assert shown(ask(engine, "milk-1", Known(stock=stock, trace=trace), store_id="s-ny")) == ["yogurt-1"]
    assert [(each.product_id, each.reason) for each in trace.withheld] == [("milk-2", "out_of_stock")]
    assert shown(ask(engine, "milk-1", Known(stock=stock), store_id="s-berlin")) == ["milk-2", "yogurt-1"]


def test_wine_stands_in_for_wine_only(engine: Engine) -> None:
    assert shown(ask(engine, "coffee-1")) == ["crisps-2", "coffee-2"]
    assert shown(ask(engine, "wine-2")) == ["wine-1"]


def test_an_intimate_product_is_not_named(engine: Engine) -> None:
    reason = ask(engine, "tampons-1")["items"][0]["reason"]
    assert reason["text"] == "Customers change between this and what was asked for"


def test_the_policy_keeps_products_out(build: Build) -> None:
    contents = tiny_contents()
    flags = contents.products.flags.copy()
    flags[Rows().product("milk-2")] ^= RECOMMENDABLE
    assert shown(ask(build(replace(contents, products=replace(contents.products, flags=flags))), "milk-1")) == [
        "yogurt-1"
    ]


def test_a_product_never_stands_in_for_itself(build: Build) -> None:
    contents = tiny_contents()
    product = contents.substitute.product.copy()
    product[:] = Rows().product("milk-1")
    engine = build(replace(contents, substitute=replace(contents.substitute, product=product)))
    assert ask(engine, "milk-1")["items"] == []


def test_what_they_bought_before_moves_up(engine: Engine) -> None:
    # 0.7 for having bought yogurt; oat milk at 3.0 is dearer than her usual 2.5; neither is the own brand she avoids.
    answer = ask(engine, "milk-1", customer_id="anna")
    leaning = 0.5 * 0.9
    scores = {item["product_id"]: item["score"] for item in answer["items"]}
    assert scores["yogurt-1"] == pytest.approx(1.0 + 0.7 + leaning)
    assert scores["milk-2"] == pytest.approx(2.0 - 0.5 * math.log2(3.0 / 2.5) + leaning)
    own = next(item for item in answer["items"] if item["product_id"] == "yogurt-1")
    assert own["reason"] == {
        "code": "substitute_own",
        "text": "You have bought this 9 times; the last time was 5 days ago",
    }
    assert own["last_bought_at"] == "2017-12-27T05:00:00Z"
    assert answer["personalized"]


def test_a_leaning_to_the_own_brand_reorders(engine: Engine) -> None:
    assert shown(ask(engine, "coffee-1", customer_id="cleo")) == ["coffee-2", "crisps-2"]
    assert ask(engine, "coffee-1", customer_id="cleo")["items"][0]["reason"] == {
        "code": "substitute_leaning",
        "text": "You often choose our own brand; customers change between this and House Coffee",
    }


def test_without_consent_nothing_personal_is_used(engine: Engine) -> None:
    plain = ask(engine, "coffee-1")["items"]
    assert ask(engine, "coffee-1", customer_id="ben")["items"] == plain
    refused = Known(Live("cleo", consent={"personalize": False}))
    answer = ask(engine, "coffee-1", refused, customer_id="cleo")
    assert answer["items"] == plain
    assert not answer["personalized"]


def test_one_who_is_held_out_gets_the_common_answer(tiny_bundle: Bundle) -> None:
    everybody = Experiments(Holdout(1.0, "salt"), LiftPolicy(28, 56, 50, 5, 0.001, 100, 0.0))
    engine = ExperimentEngine(tiny_bundle, everybody)
    answer = ask(engine, "coffee-1", customer_id="cleo")
    assert answer["items"] == ask(engine, "coffee-1")["items"]
    assert answer["experiment"] == {"name": "holdout", "arm": "holdout"}
    assert ask(engine, "coffee-1")["experiment"] is None


def test_without_rules_nothing_is_withheld_for_being_restricted(tiny_bundle: Bundle) -> None:
    engine = Engine(tiny_bundle, applies_rules=False)
    assert shown(ask(engine, "coffee-1")) == ["crisps-2", "coffee-2", "wine-1", "tampons-1"]
    assert shown(ask(engine, "brie-1")) == ["gone-1"]
