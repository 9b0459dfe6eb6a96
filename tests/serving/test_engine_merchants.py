"""What merchants' rules do to answers: a ban goes before every rule, a rule before a pin, a pin before a boost."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, SubstitutesRequest
from serving.api_answers import ChallengeAnswer, RecommendationsAnswer
from serving.api_codes import Intent, Level
from serving.bundle import Bundle
from serving.bundle_format import INTIMATE, OUT_OF_STOCK, RECOMMENDABLE, RESTRICTED
from serving.engine import Engine
from serving.state.known import Known, Stock, Trace
from tests.serving.merchants import engine_with
from tests.serving.tiny import AS_OF, CATEGORIES, CUSTOMERS, PRODUCTS, Rows

ID = "0123456789abcdef" * 2


def recommend(engine: Engine, customer: str, **fields: Any) -> RecommendationsAnswer:
    answer = engine.recommendations(RecommendationsRequest(customer_id=customer, **fields), AS_OF, ID)
    TypeAdapter(RecommendationsAnswer).validate_python(answer)
    return answer


def challenge(engine: Engine, customer: str, known: Known | None = None, **fields: Any) -> ChallengeAnswer:
    request = ChallengeRequest(customer_id=customer, **fields)
    answer = engine.challenge(request, AS_OF, ID, known or Known())
    TypeAdapter(ChallengeAnswer).validate_python(answer)
    return answer


def shown(answer: Any) -> list[str]:
    return [item["product_id"] for item in answer["items"]]


def pin(**keys: Any) -> str:
    return "\n[[pins]]\n" + "".join(f"{name} = {value!r}\n" for name, value in keys.items())


def boost(factor: float, **keys: Any) -> str:
    return f"\n[[boosts]]\nfactor = {factor}\n" + "".join(f"{name} = {value!r}\n" for name, value in keys.items())


def ban(**keys: Any) -> str:
    return "\n[[bans]]\n" + "".join(f"{name} = {value!r}\n" for name, value in keys.items())


# Pins


def test_a_pinned_product_stands_at_its_rank_with_its_own_chance_and_the_true_reason(tiny_bundle: Bundle) -> None:
    before = recommend(Engine(tiny_bundle), "anna", intent="discover", k=3)
    answer = recommend(engine_with(tiny_bundle, pin(products=["salad-1"], rank=2)), "anna", intent="discover", k=3)
    assert shown(before) == ["coffee-1", "brie-1", "salad-1"]
    assert shown(answer) == ["coffee-1", "salad-1", "brie-1"]
    assert answer["items"][1]["probability"] == before["items"][2]["probability"]
    assert answer["items"][1]["reason"] == {"code": "pinned", "text": "The shop puts this forward"}
    assert answer["items"][0]["reason"] == before["items"][0]["reason"]


def test_a_pin_takes_a_place_and_repeats_nothing(tiny_bundle: Bundle) -> None:
    answer = recommend(engine_with(tiny_bundle, pin(products=["milk-1"])), "anna", k=4)
    assert shown(answer)[0] == "milk-1"
    assert len(shown(answer)) == len(set(shown(answer))) == 4
    assert answer["items"][0]["last_bought_at"]


def test_two_pins_of_one_rank_stand_in_the_order_of_the_file(tiny_bundle: Bundle) -> None:
    rules = pin(products=["brie-1"]) + pin(products=["salad-1"]) + pin(products=["milk-1"])
    assert shown(recommend(engine_with(tiny_bundle, rules), "anna", k=2)) == ["brie-1", "salad-1"]


def test_an_intent_keeps_its_meaning(tiny_bundle: Bundle) -> None:
    engine = engine_with(tiny_bundle, pin(products=["milk-1"]) + pin(products=["brie-1"]))
    assert "brie-1" not in shown(recommend(engine, "anna", intent="buy_again", k=3))
    assert shown(recommend(engine, "anna", intent="buy_again", k=3))[0] == "milk-1"
    assert "milk-1" not in shown(recommend(engine, "anna", intent="discover", k=3))
    assert shown(recommend(engine, "anna", intent="mixed", k=3))[:2] == ["milk-1", "brie-1"]
    only = engine_with(tiny_bundle, pin(products=["salad-1"], intents=["discover"]))
    assert shown(recommend(only, "anna", intent="mixed", k=10))[0] != "salad-1"


def test_a_pin_by_kind_shows_the_best_of_it_for_the_customer(tiny_bundle: Bundle) -> None:
    engine = engine_with(tiny_bundle, pin(categories=["Coffee and Tea"]))
    assert shown(recommend(engine, "anna", intent="discover", k=2))[0] == "coffee-1"
    # Nobody knows dora's taste: what sells best of it.
    assert shown(recommend(engine, "dora", k=2))[0] == "coffee-1"
    assert shown(recommend(engine, "anna", intent="discover", k=2, exclude=["coffee-1"]))[0] == "coffee-2"


@pytest.mark.parametrize("level", ["product_type", "category"])
def test_a_pinned_product_stands_for_its_kind(tiny_bundle: Bundle, level: str) -> None:
    before = recommend(Engine(tiny_bundle), "anna", level=level, k=6)
    answer = recommend(engine_with(tiny_bundle, pin(products=["milk-2"])), "anna", level=level, k=6)
    assert shown(answer)[0] == "milk-2"
    milks = [item for item in before["items"] if item["category"] == "Dairy" and item["product_id"] == "milk-1"]
    assert answer["items"][0]["probability"] == milks[0]["probability"]
    assert "milk-1" not in shown(answer)


@pytest.mark.parametrize(
    ("fields", "product"),
    [
        ({"exclude": ["milk-1"]}, "milk-1"),
        ({"basket": ["milk-1"]}, "milk-1"),
        ({"max_price": 1.9}, "milk-1"),
        ({"category": "Bakery"}, "milk-1"),
        ({}, "gone-1"),  # out of stock
        ({}, "banana-1"),  # bought yesterday
        ({}, "wine-1"),  # restricted, and she never bought it
    ],
)
def test_no_pin_goes_before_a_rule(tiny_bundle: Bundle, fields: dict[str, Any], product: str) -> None:
    answer = recommend(engine_with(tiny_bundle, pin(products=[product])), "anna", k=10, **fields)
    assert product not in shown(answer)


def test_the_next_that_a_pin_names_takes_the_place_of_one_withheld(tiny_bundle: Bundle) -> None:
    engine = engine_with(tiny_bundle, pin(products=["gone-1", "brie-1", "salad-1"]))
    answer = recommend(engine, "anna", k=5)
    assert shown(answer)[0] == "brie-1"
    assert "pinned" not in {item["reason"]["code"] for item in answer["items"][1:]}


def test_the_cap_of_a_call_holds_pins_too(tiny_bundle: Bundle) -> None:
    rules = pin(products=["coffee-1"]) + pin(products=["coffee-2"], rank=2)
    answer = recommend(engine_with(tiny_bundle, rules), "anna", k=5, max_per_category=1)
    assert [each for each in shown(answer) if each.startswith("coffee")] == ["coffee-1"]


def test_a_common_answer_has_the_pins_as_well(tiny_bundle: Bundle) -> None:
    engine = engine_with(tiny_bundle, pin(products=["brie-1"], rank=2))
    for customer in ("ben", "nobody"):
        answer = recommend(engine, customer, intent="buy_again", k=3)
        assert not answer["personalized"]
        assert shown(answer)[1] == "brie-1"


def test_a_pinned_product_is_the_stretch_where_it_is_one(tiny_bundle: Bundle) -> None:
    plain = challenge(Engine(tiny_bundle), "anna")
    answer = challenge(engine_with(tiny_bundle, pin(products=["brie-1"])), "anna")
    assert shown(plain)[2] == "coffee-1"
    assert shown(answer) == [*shown(plain)[:2], "brie-1"]
    stretch = answer["items"][2]
    assert stretch["reason"]["code"] == "pinned"
    assert stretch["counts"] == {"level": "category", "id": "Cheese Counter"}
    assert stretch["probability"] == pytest.approx(0.04, abs=0.005)


@pytest.mark.parametrize("product", ["yogurt-1", "wine-1", "gone-1", "crisps-1", "tampons-1"])
def test_a_pinned_product_is_no_stretch_against_a_rule(tiny_bundle: Bundle, product: str) -> None:
    # Of a category she knows, restricted, out of stock, cheaper than what she pays, intimate.
    assert shown(challenge(engine_with(tiny_bundle, pin(products=[product])), "anna"))[2] == "coffee-1"


def test_a_pinned_stretch_of_a_category_without_a_chance_of_its_own_has_the_population_s(tiny_bundle: Bundle) -> None:
    answer = challenge(engine_with(tiny_bundle, pin(products=["salad-1"])), "cleo")
    assert shown(answer)[2] == "salad-1"
    assert answer["items"][2]["probability"] == pytest.approx(0.3, abs=0.01)


# Boosts


def test_a_boost_moves_the_rank_and_not_the_chance(tiny_bundle: Bundle) -> None:
    before = recommend(Engine(tiny_bundle), "anna", intent="discover", k=3)
    # brie .045 of odds 9/191, coffee .055 of odds 11/189: that much more is not enough, a little more is.
    enough = (11 / 189) / (9 / 191)
    for factor, first in ((enough - 0.01, "coffee-1"), (enough + 0.01, "brie-1")):
        answer = recommend(engine_with(tiny_bundle, boost(factor, products=["brie-1"])), "anna", intent="discover", k=3)
        assert shown(answer)[0] == first
        assert {item["product_id"]: (item["probability"], item["reason"]) for item in answer["items"]} == {
            item["product_id"]: (item["probability"], item["reason"]) for item in before["items"]
        }


def test_a_boost_below_one_moves_down_what_is_bought_again(tiny_bundle: Bundle) -> None:
    before = shown(recommend(Engine(tiny_bundle), "anna", intent="buy_again", k=3))
    after = shown(recommend(engine_with(tiny_bundle, boost(0.1, products=[before[0]])), "anna", intent="buy_again"))
    assert after[:2] == before[1:3]
    assert before[0] in after


def test_a_boost_moves_what_is_popular(tiny_bundle: Bundle) -> None:
    answer = recommend(engine_with(tiny_bundle, boost(10, products=["crisps-2"])), "dora", k=16)
    before = recommend(Engine(tiny_bundle), "dora", k=16)
    moved = shown(answer)
    assert shown(before).index("crisps-2") > moved.index("crisps-2")
    assert [each for each in shown(before) if each != "crisps-2"] == [each for each in moved if each != "crisps-2"]


def test_a_boost_moves_the_stretch_and_its_product(tiny_bundle: Bundle) -> None:
    assert shown(challenge(engine_with(tiny_bundle, boost(10, products=["brie-1"])), "anna"))[2] == "brie-1"
    assert shown(challenge(engine_with(tiny_bundle, boost(5, products=["coffee-2"])), "anna"))[2] == "coffee-2"
    chance = challenge(Engine(tiny_bundle), "anna")["items"][2]["probability"]
    assert challenge(engine_with(tiny_bundle, boost(2, products=["coffee-1"])), "anna")["items"][2][
        "probability"
    ] == pytest.approx(chance)


def test_a_boost_moves_what_is_bought_together_and_what_stands_in(tiny_bundle: Bundle) -> None:
    engine = engine_with(tiny_bundle, boost(3, products=["banana-1", "yogurt-1"]))
    together = engine.also_bought(AlsoBoughtRequest(product_ids=["milk-1"]), AS_OF, ID)
    assert next((item["product_id"], item["score"]) for item in together["items"]) == ("banana-1", 0.2)
    instead = engine.substitutes(SubstitutesRequest(product_id="milk-1"), AS_OF, ID)
    assert [(item["product_id"], item["score"]) for item in instead["items"]] == [("yogurt-1", 1.0), ("milk-2", 2.0)]


def test_a_boost_holds_where_it_says(tiny_bundle: Bundle) -> None:
    engine = engine_with(tiny_bundle, boost(10, products=["brie-1"], calls=["recommendations"], placements=["home"]))
    assert shown(recommend(engine, "anna", intent="discover", placement="home"))[0] == "brie-1"
    assert shown(recommend(engine, "anna", intent="discover"))[0] == "coffee-1"
    assert shown(challenge(engine, "anna", placement="home"))[2] == "coffee-1"


def test_a_pin_goes_before_a_boost(tiny_bundle: Bundle) -> None:
    engine = engine_with(tiny_bundle, boost(10, products=["brie-1"]) + pin(products=["salad-1"]))
    assert shown(recommend(engine, "anna", intent="discover", k=2)) == ["salad-1", "brie-1"]


# Bans


def test_a_ban_takes_out_everywhere_and_is_recorded(tiny_bundle: Bundle) -> None:
    engine = engine_with(tiny_bundle, ban(products=["milk-1", "coffee-1", "milk-2"]))
    trace = Trace()
    assert not {"milk-1", "coffee-1"} & set(shown(challenge(engine, "anna", Known(trace=trace))))
    assert ("milk-1", "banned") in {(each.product_id, each.reason) for each in trace.withheld}
    assert not {"milk-1", "coffee-1"} & set(shown(recommend(engine, "anna", k=16)))
    assert not {"milk-1", "coffee-1"} & set(shown(recommend(engine, "dora", k=16)))
    together = engine.also_bought(AlsoBoughtRequest(product_ids=["bread-1"], k=10), AS_OF, ID)
    assert shown(together) == ["brie-1"]
    assert shown(engine.substitutes(SubstitutesRequest(product_id="milk-1"), AS_OF, ID)) == ["yogurt-1"]


def test_a_ban_goes_before_a_pin_and_a_boost(tiny_bundle: Bundle) -> None:
    rules = pin(products=["brie-1"]) + boost(10, products=["brie-1"]) + ban(product_types=["brie"])
    engine = engine_with(tiny_bundle, rules)
    assert "brie-1" not in shown(recommend(engine, "anna", k=16)) + shown(challenge(engine, "anna"))


def test_what_is_short_for_a_ban_says_so(tiny_bundle: Bundle) -> None:
    answer = recommend(engine_with(tiny_bundle, ban(departments=["Food"])), "anna")
    assert answer["items"] == []
    assert answer["shortfall"]["code"] == "excluded"


def test_a_challenge_that_nobody_has_seen_gets_another_item_for_one_banned_since(tiny_bundle: Bundle) -> None:
    kept = challenge(Engine(tiny_bundle), "anna")
    engine = engine_with(tiny_bundle, ban(products=["coffee-1"]))
    request = ChallengeRequest(customer_id="anna")
    replaced = engine.replacement(kept, request, AS_OF)
    assert replaced is not None
    assert shown(replaced)[:2] == shown(kept)[:2]
    assert shown(replaced)[2] == "coffee-2"
    assert engine_with(tiny_bundle, ban(products=["salad-1"])).replacement(kept, request, AS_OF) is None


def test_a_ban_of_later_holds_for_the_moment_asked_for(tiny_bundle: Bundle) -> None:
    engine = engine_with(tiny_bundle, ban(products=["milk-1"]) + "from = 2018-01-03\n")
    request = ChallengeRequest(customer_id="anna")
    for days, is_banned in ((1, False), (3, True)):
        answer = engine.challenge(request, AS_OF + timedelta(days=days), ID)
        assert ("milk-1" not in shown(answer)) == is_banned
    # The common challenge is made as of the week's beginning, and shown on Wednesday.
    common = ChallengeRequest(customer_id="ben").model_copy(update={"at": AS_OF + timedelta(days=2)})
    assert "milk-1" not in shown(engine.challenge(common, AS_OF, ID))


def test_without_rules_no_merchant_is_asked(tiny_bundle: Bundle) -> None:
    ruled = engine_with(tiny_bundle, ban(departments=["Food"]))
    bare = Engine(ruled.bundle, applies_rules=False)
    assert shown(recommend(bare, "anna")) == shown(recommend(Engine(tiny_bundle, applies_rules=False), "anna"))


# What holds for any rules

names = st.sampled_from([*PRODUCTS, "unknown"])
aims = st.one_of(
    st.lists(names, min_size=1, max_size=4).map(lambda ids: {"products": ids}),
    st.sampled_from(CATEGORIES).map(lambda each: {"categories": [each]}),
)
ruled = st.lists(
    st.one_of(
        st.builds(lambda aim, rank: pin(**aim, rank=rank), aims, st.integers(1, 20)),
        st.builds(lambda aim, power: boost(round(math.exp(power), 3), **aim), aims, st.floats(-2.3, 2.3)),
        st.builds(lambda aim: ban(**aim), aims),
    ),
    max_size=6,
).map("".join)


@settings(max_examples=60, deadline=None)
@given(
    rules=ruled,
    customer=st.sampled_from([*CUSTOMERS, "nobody"]),
    intent=st.sampled_from(list(Intent)),
    level=st.sampled_from(list(Level)),
    k=st.integers(1, 16),
    exclude=st.lists(names, max_size=4),
    out=st.lists(names, max_size=4),
)
def test_no_rule_of_a_merchant_breaks_one_of_the_engine(
    tiny_bundle: Bundle,
    rules: str,
    customer: str,
    intent: Intent,
    level: Level,
    k: int,
    exclude: list[str],
    out: list[str],
) -> None:
    engine, plain = engine_with(tiny_bundle, rules), Engine(tiny_bundle)
    known = Known(stock=Stock(1, {(each, None): 0.0 for each in out}))
    request = RecommendationsRequest(customer_id=customer, intent=intent, level=level, k=k, exclude=exclude)
    answer = engine.recommendations(request, AS_OF, ID, known)
    TypeAdapter(RecommendationsAnswer).validate_python(answer)
    free = plain.recommendations(request.model_copy(update={"k": 16}), AS_OF, ID, known)
    chances = {item["product_id"]: item["probability"] for item in free["items"]}
    banned = {
        each for each in PRODUCTS if engine._desk.display(request, _shopper(engine, customer)).is_banned(row(each))
    }
    products = shown(answer)
    assert len(products) == len(set(products)) <= k
    assert not set(products) & ({*exclude, *out} | banned)
    for item in answer["items"]:
        if level is Level.PRODUCT and item["product_id"] in chances:
            assert item["probability"] == chances[item["product_id"]]
    asked = ChallengeRequest(customer_id=customer, exclude=exclude)
    items = engine.challenge(asked, AS_OF, ID, known)["items"]
    assert not {item["product_id"] for item in items} & ({*exclude, *out} | banned)
    assert len({item["category"] for item in items}) == len(items)
    for item in items:
        flags = int(tiny_bundle.products.flags[row(item["product_id"])])
        assert flags & RECOMMENDABLE
        assert not flags & (RESTRICTED | INTIMATE | OUT_OF_STOCK)


def _shopper(engine: Engine, customer: str) -> Any:
    return engine._desk.shopper(customer, None, AS_OF, Known())


def row(product_id: str) -> int:
    return Rows().product(product_id)


def test_rules_that_touch_nothing_change_nothing(tiny_bundle: Bundle) -> None:
    rules = pin(products=["unknown"]) + boost(5, brands=["Nobody"]) + ban(categories=["Fireworks"])
    engine, plain = engine_with(tiny_bundle, rules), Engine(tiny_bundle)
    for customer in CUSTOMERS:
        for intent in Intent:
            for level in Level:
                asked = {"intent": intent, "level": level, "k": 16}
                assert recommend(engine, customer, **asked)["items"] == recommend(plain, customer, **asked)["items"]
        assert challenge(engine, customer)["items"] == challenge(plain, customer)["items"]
