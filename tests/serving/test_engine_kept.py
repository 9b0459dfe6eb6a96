"""What the engine does for challenges that are kept: their week, what runs out of stock, what purchases count as."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from serving.api import ChallengeRequest
from serving.api_answers import ChallengeAnswer
from serving.bundle import Bundle, open_bundle, write_bundle
from serving.decisioning.windows import iso
from serving.engine import Engine
from serving.errors import InvalidRequest
from serving.state.known import Known
from tests.serving.happenings import after, event, known
from tests.serving.tiny import AS_OF, AS_OF_DAY, CUSTOMERS, Rows, tiny_contents

ID = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    return Engine(tiny_bundle)


def made(engine: Engine, customer: str = "anna", told: Known | None = None) -> ChallengeAnswer:
    return engine.challenge(ChallengeRequest(customer_id=customer), AS_OF, ID, told or known())


def shown(answer: Any) -> list[str]:
    return [item["product_id"] for item in answer["items"]]


def replaced(engine: Engine, kept: ChallengeAnswer, customer: str, *gone: str, **fields: Any) -> ChallengeAnswer | None:
    request = ChallengeRequest(customer_id=customer, **fields)
    stock = {(product_id, None): 0.0 for product_id in gone}
    answer = engine.replacement(kept, request, after(24), known(stock=stock))
    if answer is not None:
        TypeAdapter(ChallengeAnswer).validate_python(answer)
    return answer


# The week


@pytest.mark.parametrize("store", ["s-ny", "s-berlin"])
def test_the_week_is_that_of_the_usual_store_whatever_the_call_says(tmp_path: Path, store: str) -> None:
    contents = tiny_contents()
    usual = contents.customers.store.copy()
    usual[:] = Rows().stores.row_of(store)
    contents = replace(contents, customers=replace(contents.customers, store=usual))
    engine = Engine(open_bundle(tmp_path / write_bundle(contents, tmp_path)))
    # Sunday evening in New York is Monday in Berlin.
    at = datetime(2018, 1, 8, 2, tzinfo=UTC)
    week = engine.week_of(ChallengeRequest(customer_id="anna", store_id="s-plain"), at)
    assert week.first_day == AS_OF_DAY + (7 if store == "s-berlin" else 0)
    answer = engine.challenge(ChallengeRequest(customer_id="anna", store_id="s-plain"), at, ID)
    assert answer["valid_to"] == iso(week.ends)


def test_the_week_of_nobody_is_the_shops_and_before_the_bundle_there_is_none(engine: Engine) -> None:
    request = ChallengeRequest(customer_id="nobody")
    assert engine.week_of(request, after(24 * 6.9)).first_day == AS_OF_DAY
    with pytest.raises(InvalidRequest):
        engine.week_of(request, AS_OF - timedelta(seconds=1))


# Before it is shown


def test_where_nothing_ran_out_nothing_changes(engine: Engine) -> None:
    assert replaced(engine, made(engine), "anna") is None
    assert replaced(engine, made(engine), "anna", "salad-1") is None


def test_a_habit_is_replaced_by_a_habit_of_another_category(engine: Engine) -> None:
    kept = made(engine)
    answer = replaced(engine, kept, "anna", "bread-1")
    assert answer is not None
    assert shown(kept) == ["milk-1", "bread-1", "coffee-1"]
    # Yogurt shares milk's category, tampons are intimate: crisps are what anna buys besides.
    assert shown(answer) == ["milk-1", "crisps-1", "coffee-1"]
    assert answer["items"][1]["role"] == "habit"
    assert (answer["items"][0], answer["items"][2]) == (kept["items"][0], kept["items"][2])


def test_a_stretch_is_replaced_by_a_stretch(engine: Engine) -> None:
    answer = replaced(engine, made(engine), "anna", "coffee-1", "coffee-2")
    assert answer is not None
    assert shown(answer) == ["milk-1", "bread-1", "brie-1"]
    assert answer["items"][2]["role"] == "stretch"
    assert answer["items"][2]["reason"]["code"] == "stretch_likely"


def test_the_window_stays_and_chances_and_reward_are_those_of_the_new_items(engine: Engine) -> None:
    kept = made(engine)
    answer = replaced(engine, kept, "anna", "coffee-1", "coffee-2")
    assert answer is not None
    for key in ("valid_from", "valid_to", "decision_id"):
        assert answer[key] == kept[key]
    fresh = engine.challenge(ChallengeRequest(customer_id="anna", exclude=["coffee-1", "coffee-2"]), AS_OF, ID)
    for key in ("completion_probability", "reward", "expected_value", "items"):
        assert answer[key] == fresh[key]


def test_what_is_excluded_does_not_replace(engine: Engine) -> None:
    answer = replaced(engine, made(engine), "anna", "coffee-1", "coffee-2", exclude=["brie-1"])
    assert answer is not None
    assert shown(answer)[2] not in {"brie-1", "coffee-1", "coffee-2"}


def test_all_three_may_be_replaced(engine: Engine) -> None:
    answer = replaced(engine, made(engine), "anna", "milk-1", "bread-1", "coffee-1")
    assert answer is not None
    assert not {"milk-1", "bread-1", "coffee-1"} & set(shown(answer))
    assert len({item["category"] for item in answer["items"]}) == 3
    assert [item["role"] for item in answer["items"]] == ["habit", "habit", "stretch"]


def test_a_popular_item_is_replaced_by_a_popular_one(engine: Engine) -> None:
    kept = made(engine, "nobody")
    answer = replaced(engine, kept, "nobody", shown(kept)[1])
    assert answer is not None
    assert answer["items"][1]["reason"]["code"] == "popular_now"
    assert answer["items"][1]["role"] == "habit"
    assert len({item["category"] for item in answer["items"]}) == 3


def test_where_there_is_nothing_else_it_stays(engine: Engine) -> None:
    kept = made(engine)
    request = ChallengeRequest(customer_id="anna", exclude=list(engine.bundle.products.id))
    assert engine.replacement(kept, request, after(24), known(stock={("milk-1", None): 0.0})) is None


# Once it was shown


def test_what_ran_out_is_marked_in_the_store_that_is_asked_about(engine: Engine) -> None:
    kept, request = made(engine), ChallengeRequest(customer_id="anna")
    told = known(stock={("milk-1", "s-ny"): 0.0, ("bread-1", "s-berlin"): 0.0})
    answer = engine.mark_stock(kept, request, told)
    TypeAdapter(ChallengeAnswer).validate_python(answer)
    assert [item.get("out_of_stock") for item in answer["items"]] == [True, None, None]
    elsewhere = engine.mark_stock(kept, ChallengeRequest(customer_id="anna", store_id="s-berlin"), told)
    assert [item.get("out_of_stock") for item in elsewhere["items"]] == [None, True, None]
    assert "out_of_stock" not in str(kept)
    assert engine.mark_stock(kept, request, known()) == kept


# What purchases count as, and who may be known


def test_a_product_counts_as_its_type_and_category(engine: Engine) -> None:
    assert engine.kinds("milk-2") == ("Milk", "Dairy")
    assert engine.kinds("unknown") is None


def test_stock_goes_both_ways_in_every_answer(engine: Engine) -> None:
    told = known(stock={("gone-1", None): 4.0, ("coffee-1", None): 0.0, ("coffee-2", None): 0.0})
    from_stock = engine.challenge(ChallengeRequest(customer_id="anna", exclude=["brie-1"]), AS_OF, ID, told)
    # Coffee is out; of the cheeses there is the one that was sold out.
    assert shown(from_stock)[2] == "gone-1"


# The single customer view


@pytest.mark.parametrize("customer", [*CUSTOMERS, "nobody"])
def test_a_view_tells_what_the_bundle_knows_with_units(engine: Engine, customer: str) -> None:
    view = engine.customer_view(customer, after(24))
    assert view["features_at"] == "2018-01-01T05:00:00Z"
    assert all(each["unit"] for each in view["features"])
    assert set(view["consent"]) == {"personalize", "email", "sms", "push", "location"}
    assert (view["scores"] is None) == (customer == "ben")
    if customer in {"ben", "nobody"}:
        assert (view["features"], view["habits"]) == ([], [])


def test_a_view_has_habits_with_their_dates(engine: Engine) -> None:
    view = engine.customer_view("anna", after(24), known(event("purchase", "milk-1")))
    milk = next(each for each in view["habits"] if each["product_type"] == "Milk")
    assert (milk["last_bought_at"], milk["due_at"]) == ("2018-01-01T05:00:00Z", "2018-01-10T05:00:00Z")
    assert (milk["gap_days"], milk["usual_quantity"], milk["n_baskets"]) == (9.0, 2, 13)
    features = {each["name"]: each["value"] for each in view["features"]}
    assert features["usual_store"] == "s-ny"
    assert features["n_baskets"] == 30


def test_a_views_consent_is_said_on_record_or_assumed(engine: Engine) -> None:
    assert engine.customer_view("ben", after(24))["consent"]["personalize"] is False
    said = engine.customer_view("ben", after(24), known(consent={"personalize": True, "email": True}))["consent"]
    assert (said["personalize"], said["email"], said["sms"]) == (True, True, False)
