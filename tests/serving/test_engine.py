from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, ScoresRequest
from serving.api_answers import AlsoBoughtAnswer, ChallengeAnswer, RecommendationsAnswer, ScoresAnswer
from serving.api_codes import Intent, Level
from serving.bundle import Bundle, BundleContents, open_bundle, write_bundle
from serving.bundle_format import HEALTHY, OWN_CATEGORY, OWN_TYPE, RECOMMENDABLE, Novelties, UsualProducts
from serving.engine import Engine
from serving.errors import InvalidRequest, UnknownProduct
from serving.named_products import NamedProducts, best_products, places_among, usual_products
from serving.shares import DAY_STEPS, LIFT_STEPS, in_steps
from serving.strings import StringTable
from tests.serving.tiny import AS_OF, CATEGORIES, CUSTOMERS, PRODUCTS, STORED, TYPES, Rows, tiny_contents

ID = "0123456789abcdef" * 2
Build = Callable[[BundleContents], Engine]


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    return Engine(tiny_bundle)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return a function from contents to an engine over them."""
    return lambda contents: Engine(open_bundle(tmp_path / write_bundle(contents, tmp_path)))


def challenge(engine: Engine, customer: str, at: datetime = AS_OF, **fields: Any) -> ChallengeAnswer:
    answer = engine.challenge(ChallengeRequest(customer_id=customer, **fields), at, ID)
    TypeAdapter(ChallengeAnswer).validate_python(answer)
    return answer


def recommend(engine: Engine, customer: str, **fields: Any) -> RecommendationsAnswer:
    answer = engine.recommendations(RecommendationsRequest(customer_id=customer, **fields), AS_OF, ID)
    TypeAdapter(RecommendationsAnswer).validate_python(answer)
    return answer


def also(engine: Engine, *product_ids: str, **fields: Any) -> AlsoBoughtAnswer:
    answer = engine.also_bought(AlsoBoughtRequest(product_ids=list(product_ids), **fields), AS_OF, ID)
    TypeAdapter(AlsoBoughtAnswer).validate_python(answer)
    return answer


def shown(answer: Any) -> list[str]:
    return [item["product_id"] for item in answer["items"]]


# The challenge


def test_two_due_habits_of_different_categories_and_a_stretch(engine: Engine) -> None:
    # Bananas were bought yesterday, yogurt shares a category with milk, tampons are intimate, wine is restricted.
    answer = challenge(engine, "anna")
    assert shown(answer) == ["milk-1", "bread-1", "coffee-1"]
    assert [item["role"] for item in answer["items"]] == ["habit", "habit", "stretch"]
    assert [item["counts"] for item in answer["items"]] == [
        {"level": "product_type", "id": "Milk"},
        {"level": "product_type", "id": "Bread"},
        {"level": "category", "id": "Coffee and Tea"},
    ]
    assert answer["personalized"]
    assert not answer["cold_start"]


def test_reasons_tell_the_pace_and_the_link(engine: Engine) -> None:
    reasons = [item["reason"]["text"] for item in challenge(engine, "anna")["items"]]
    assert reasons[0] == "You buy this about every 9 days; the last time was 8 days ago"
    assert reasons[2].startswith("Customers who buy Bakery often add Coffee and Tea")


def test_numbers_of_several_products_of_a_type_are_said_to_be(build: Build) -> None:
    contents = tiny_contents()
    n = contents.habit.n + 1
    item = challenge(build(replace(contents, habit=replace(contents.habit, n=n))), "anna")["items"][0]
    assert item["reason"]["text"] == "You buy something like this about every 9 days; the last time was 8 days ago"


def test_what_was_bought_before_says_when_and_how_many(engine: Engine) -> None:
    milk, _, coffee = challenge(engine, "anna")["items"]
    assert milk["last_bought_at"] == "2017-12-24T05:00:00Z"
    assert milk["due_at"] == "2018-01-02T05:00:00Z"
    assert milk["usual_quantity"] == 2
    assert "last_bought_at" not in coffee


def test_chances_of_a_whole_week_are_those_of_the_bundle(engine: Engine) -> None:
    answer = challenge(engine, "anna")
    assert [item["probability"] for item in answer["items"]] == pytest.approx([0.8, 0.5, 0.05], abs=STORED)
    assert answer["completion_probability"] == pytest.approx(0.8 * 0.5 * 0.05, abs=0.001)


def test_a_challenge_begins_when_it_is_made_and_ends_with_its_week(engine: Engine) -> None:
    # Thursday 06:00:00.9: three days and three quarters are left.
    at = AS_OF + timedelta(days=3, hours=6, milliseconds=900)
    answer = challenge(engine, "anna", at)
    assert (answer["valid_from"], answer["valid_to"]) == ("2018-01-04T11:00:00Z", "2018-01-08T05:00:00Z")
    later = challenge(engine, "anna", AS_OF + timedelta(days=7))
    assert later["valid_from"] == answer["valid_to"]


def test_chances_are_those_of_the_time_that_is_left(engine: Engine) -> None:
    # h of seven even days: logit(.8) + log(h / 7) is the logit of .8 x h/7 / (.8 x h/7 + .2); 3.75 lies between.
    three, four = (0.8 * h / 7 / (0.8 * h / 7 + 0.2) for h in (3, 4))
    chances = [
        challenge(engine, "anna", AS_OF + timedelta(days=days))["items"][0]["probability"] for days in (3, 3.25, 4)
    ]
    assert chances == pytest.approx([four, three + 0.75 * (four - three), three], abs=STORED)


def test_a_bundle_made_on_thursday_makes_challenges_for_what_is_left_of_the_week(build: Build) -> None:
    contents = tiny_contents()
    thursday = AS_OF + timedelta(days=3)
    meta = replace(contents.meta, as_of=thursday, as_of_day=contents.meta.as_of_day + 3)
    answer = challenge(build(replace(contents, meta=meta)), "anna", thursday)
    assert (answer["valid_from"], answer["valid_to"]) == ("2018-01-04T05:00:00Z", "2018-01-08T05:00:00Z")


def test_a_moment_before_the_bundle_is_refused_by_name(engine: Engine) -> None:
    early = AS_OF - timedelta(seconds=1)
    with pytest.raises(InvalidRequest, match="as-of, 2018-01-01T05:00:00Z") as caught:
        challenge(engine, "anna", early)
    assert caught.value.field == "at"
    with pytest.raises(InvalidRequest):
        engine.scores(ScoresRequest(customer_ids=["anna"]), early, ID)


def test_the_end_of_the_calendar_is_refused_by_name(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="after the year 9998"):
        challenge(engine, "anna", datetime(9999, 12, 31, tzinfo=UTC))
    assert len(challenge(engine, "anna", datetime(9998, 12, 31, tzinfo=UTC))["items"]) == 3


def test_what_is_excluded_is_never_in_it(engine: Engine) -> None:
    # Any coffee counts, so coffee stays the best category, by the shop's own brand.
    answer = challenge(engine, "anna", exclude=["milk-1", "coffee-1", "unknown"])
    assert shown(answer) == ["yogurt-1", "bread-1", "coffee-2"]


def test_what_is_in_the_basket_is_neither_shown_nor_its_type_or_stretch_category(engine: Engine) -> None:
    answer = challenge(engine, "anna", basket=["milk-2", "coffee-2"])
    assert shown(answer) == ["yogurt-1", "bread-1", "brie-1"]


def test_an_item_out_of_stock_is_not_shown(engine: Engine) -> None:
    answer = challenge(engine, "anna", exclude=["coffee-1", "coffee-2"])
    assert shown(answer)[2] == "brie-1"


def test_too_cheap_a_stretch_waits_for_a_worthy_one(build: Build) -> None:
    contents = tiny_contents()
    expensive = replace(contents.customers, usual_price=np.full(len(CUSTOMERS), 8.5, dtype="<f4"))
    # Above 8.50 there is only the brie; above 100 nothing is, and the rule gives way.
    assert shown(challenge(build(replace(contents, customers=expensive)), "anna"))[2] == "brie-1"
    dearer = replace(contents.customers, usual_price=np.full(len(CUSTOMERS), 100, dtype="<f4"))
    assert shown(challenge(build(replace(contents, customers=dearer)), "anna"))[2] == "coffee-1"


def test_where_every_category_is_known_a_product_that_is_new_is_the_stretch(build: Build) -> None:
    contents = tiny_contents()
    n = len(CATEGORIES)
    recent = replace(
        contents.recent,
        offsets=np.arange(0, n * len(CUSTOMERS) + 1, n, dtype=np.int64),
        category=np.tile(np.arange(n, dtype="<i4"), len(CUSTOMERS)),
    )
    item = challenge(build(replace(contents, recent=recent)), "anna")["items"][2]
    # Coffee: .05 x √3; brie .04 x √3.5; salad .03 x √1.5.
    assert (item["product_id"], item["counts"]) == ("coffee-1", {"level": "product", "id": "coffee-1"})
    assert item["reason"]["code"] == "discover_similar"
    # Of emil nothing is known that he never bought: what is popular, and worth more, has to do.
    popular = challenge(build(replace(contents, recent=recent)), "emil")["items"][2]
    assert popular["counts"]["level"] == "product"
    assert popular["reason"]["code"] == "popular_in_store"


def test_a_leaning_to_the_shops_own_brand_moves_the_product(build: Build) -> None:
    contents = tiny_contents()
    share = replace(contents.customers, private_label=np.full(len(CUSTOMERS), 1.0, dtype="<f4"))
    answer = challenge(build(replace(contents, customers=share)), "anna", exclude=["brie-1"])
    assert shown(answer)[2] == "coffee-2"


def test_a_leaning_to_what_is_healthy_moves_the_product_and_is_said(build: Build) -> None:
    contents = tiny_contents()
    flags = contents.products.flags.copy()
    flags[Rows().product("coffee-2")] = RECOMMENDABLE | HEALTHY
    share = np.full(len(CUSTOMERS), 0.9, dtype="<f4")
    engine = build(
        replace(
            contents,
            products=replace(contents.products, flags=flags),
            customers=replace(contents.customers, healthy=share, private_label=1 - share),
            stretch=replace(contents.stretch, source=np.zeros(len(contents.stretch.source), dtype="<i4")),
        )
    )
    item = challenge(engine, "anna", exclude=["brie-1"])["items"][2]
    assert item["product_id"] == "coffee-2"
    assert item["reason"]["code"] == "stretch_leaning"
    assert item["reason"]["text"].startswith("You often choose what is healthy")


def test_a_weak_link_is_not_claimed(build: Build) -> None:
    contents = tiny_contents()
    weak = replace(contents.stretch, lift=in_steps(np.full(len(contents.stretch.lift), 1.1), LIFT_STEPS))
    answer = challenge(build(replace(contents, stretch=weak)), "anna")
    assert answer["items"][2]["reason"]["code"] == "stretch_likely"
    assert "Bakery" not in answer["items"][2]["reason"]["text"]


def test_a_link_from_what_is_intimate_is_not_named(build: Build) -> None:
    contents = tiny_contents()
    hygiene = Rows().categories["Feminine Hygiene"]
    recent, stretch = contents.recent, contents.stretch
    owner = np.repeat(np.arange(len(CUSTOMERS)), np.diff(stretch.offsets))
    source = places_among(recent.offsets, recent.category, owner, np.full(len(owner), hygiene))
    linked = replace(stretch, source=source)
    text = challenge(build(replace(contents, stretch=linked)), "anna")["items"][2]["reason"]["text"]
    assert "Feminine" not in text


@pytest.mark.parametrize("customer", [*CUSTOMERS, "nobody"])
def test_restricted_and_intimate_products_are_in_no_challenge(engine: Engine, customer: str) -> None:
    answer = challenge(engine, customer)
    assert not {"wine-1", "wine-2", "tampons-1", "gone-1"} & set(shown(answer))
    assert not any(word in str(answer) for word in ("Wine", "Tampons", "Feminine", "Merlot"))


def test_too_few_habits_are_filled_with_what_is_popular_and_said_so(engine: Engine) -> None:
    answer = challenge(engine, "emil")
    assert answer["items"][0]["product_id"] == "bread-2"
    assert answer["items"][1]["reason"]["code"] == "popular_in_store"
    assert answer["personalized"]


def test_the_likeliest_habit_comes_first_whether_due_by_its_own_pace_or_not(build: Build) -> None:
    contents = tiny_contents()
    is_annas_milk = np.isclose(contents.habit.p7[:], 0.8, atol=1e-4)
    wait = contents.habit.wait + np.where(is_annas_milk, np.uint16(20 * DAY_STEPS), np.uint16(0))
    items = challenge(build(replace(contents, habit=replace(contents.habit, wait=wait))), "anna")["items"]
    told = [(item["product_id"], item["reason"]["code"]) for item in items[:2]]
    assert told == [("milk-1", "habit_regular"), ("bread-1", "habit_due")]
    assert [item["probability"] for item in items[:2]] == pytest.approx([0.8, 0.5], abs=STORED)


def test_habits_that_are_not_due_are_taken_before_popular_ones(engine: Engine) -> None:
    # After four days cleo's milk is just bought (gap 24); two weeks on it is not, and still not due.
    later = challenge(engine, "cleo", AS_OF + timedelta(days=14))
    assert later["items"][0]["product_id"] == "milk-2"


def test_what_was_just_bought_is_not_shown_as_popular_either(engine: Engine) -> None:
    assert not {"milk-1", "milk-2", "bread-1", "bread-2"} & set(shown(challenge(engine, "fay")))


def test_without_consent_or_history_the_popular_answer(engine: Engine) -> None:
    ben, nobody = challenge(engine, "ben"), challenge(engine, "nobody")
    assert not ben["personalized"]
    assert not ben["cold_start"]
    assert not nobody["personalized"]
    assert nobody["cold_start"]
    assert shown(nobody) == ["milk-1", "banana-1", "bread-2"]
    for answer in (ben, nobody):
        assert "last_bought_at" not in str(answer)
        assert len({item["category"] for item in answer["items"]}) == 3
        assert answer["items"][0]["probability"] == pytest.approx(0.2)
        assert answer["items"][2]["probability"] == pytest.approx(0.3)


def test_a_store_that_is_named_decides_what_is_popular(engine: Engine) -> None:
    in_store = challenge(engine, "nobody", store_id="s-ny")
    assert in_store["items"][0]["reason"]["code"] == "popular_in_store"
    assert shown(in_store) != shown(challenge(engine, "nobody"))
    assert shown(challenge(engine, "nobody", store_id="no such store")) == shown(challenge(engine, "nobody"))


def test_an_unknown_customer_with_a_basket_gets_what_goes_with_it(engine: Engine) -> None:
    answer = challenge(engine, "nobody", basket=["milk-1"])
    assert shown(answer) == ["bread-1", "coffee-1", "banana-1"]
    assert answer["items"][0]["reason"] == {
        "code": "bought_with_basket",
        "text": "In 40 baskets together with Whole Milk",
    }


def test_where_everything_is_excluded_the_shortfall_says_so(engine: Engine) -> None:
    answer = challenge(engine, "anna", exclude=list(PRODUCTS))
    assert answer["items"] == []
    assert answer["shortfall"]["code"] == "excluded"
    assert (answer["completion_probability"], answer["reward"]) == (0.0, None)


def test_one_category_is_too_few(engine: Engine) -> None:
    others = [each for each, row in PRODUCTS.items() if TYPES[row[1]] != "Dairy"]
    assert len(shown(challenge(engine, "anna", exclude=others))) == 1


def test_a_shop_without_types_and_categories_counts_products_and_says_so(build: Build) -> None:
    contents = tiny_contents()
    n = len(PRODUCTS)
    ids = list(contents.products.id)
    rows = np.arange(n, dtype="<i4")
    products = replace(
        contents.products, type=rows, category=rows, flags=contents.products.flags | OWN_TYPE | OWN_CATEGORY
    )
    types = replace(contents.types, name=StringTable.of(ids), category=rows, p7=contents.products.p7)
    categories = replace(
        contents.categories,
        name=StringTable.of(ids),
        department=StringTable.of([""] * n),
        p7=contents.products.p7,
        price=contents.products.price,
        flags=np.zeros(n, dtype="<u2"),
    )
    best = best_products(contents, slice(None))[:, 0].astype("<i4")
    novel = NamedProducts.of(rows, n, [best, contents.novelty.product])
    usual_rows = usual_products(contents, slice(None))
    usual = NamedProducts.of(rows, n, [usual_rows])
    named = np.column_stack([best, np.full((len(best), 2), -1)])
    found = contents.novelty.product[contents.discover.novelty]
    top = replace(contents.category_top, offsets=np.arange(n + 1), product=rows)
    has = replace(contents.meta.has, types=False, categories=False)
    engine = build(
        replace(
            contents,
            meta=replace(contents.meta, has=has),
            products=products,
            types=types,
            categories=categories,
            category_top=top,
            habit=replace(contents.habit, type=usual_rows.astype("<i4"), place=usual.places(usual_rows)),
            novelty=Novelties(novel.offsets, novel.product),
            usual=UsualProducts(usual.offsets, usual.product),
            discover=replace(contents.discover, novelty=novel.rows(found)),
            stretch=replace(contents.stretch, category=best, place=novel.places(named)),
        )
    )
    answer = challenge(engine, "anna")
    assert {item["counts"]["level"] for item in answer["items"]} == {"product"}
    assert all(item["counts"]["id"] == item["product_id"] for item in answer["items"])
    for each in (answer, recommend(engine, "anna")):
        assert {"own_category", "own_type"} <= {note["code"] for note in each["notes"]}
    assert answer["items"][0]["reason"]["text"] == "You buy this about every 9 days; the last time was 8 days ago"


def test_a_shop_without_prices_has_no_reward_and_says_so(build: Build) -> None:
    contents = tiny_contents()
    unknown = np.full(len(PRODUCTS), np.nan, dtype="<f4")
    nobody = np.full(len(CUSTOMERS), np.nan, dtype="<f4")
    engine = build(
        replace(
            contents,
            products=replace(contents.products, price=unknown, margin=unknown),
            customers=replace(contents.customers, usual_price=nobody),
        )
    )
    answer = challenge(engine, "anna")
    assert shown(answer) == ["milk-1", "bread-1", "coffee-1"]
    assert answer["reward"] is None
    assert [note["code"] for note in answer["notes"]] == ["no_prices"]


def test_prices_that_stand_in_for_costs_are_said(engine: Engine) -> None:
    assert "notes" not in challenge(engine, "anna")
    assert [note["code"] for note in challenge(engine, "emil")["notes"]] == ["prices_for_costs"]


def test_the_decision_carries_what_every_decision_does(engine: Engine, tiny_folder: Path) -> None:
    answer = challenge(engine, "anna")
    assert answer["decision_id"] == ID
    assert answer["model_version"] == tiny_folder.name
    assert answer["experiment"] is None
    assert answer["currency"] == "USD"
    assert answer["progress"] == {"done": 0, "of": 3, "completed_at": None, "reward_id": None}


def test_consent_that_is_assumed_is_the_policys(build: Build) -> None:
    engine = build(tiny_contents(policy={"consent.personalize": False}))
    assert not challenge(engine, "cleo")["personalized"]
    assert challenge(engine, "anna")["personalized"]


# Recommendations


def test_buy_again_is_what_they_bought_by_chance_without_what_they_just_bought(engine: Engine) -> None:
    answer = recommend(engine, "anna", intent="buy_again")
    assert shown(answer) == ["milk-1", "tampons-1", "yogurt-1", "bread-1", "crisps-1"]
    assert answer["shortfall"]["code"] == "no_more_candidates"


def test_intimate_things_are_not_named_in_reasons(engine: Engine) -> None:
    item = recommend(engine, "anna", intent="buy_again", level="product_type")["items"][1]
    assert item["product_id"] == "tampons-1"
    assert item["reason"]["text"] == "You buy this about every 28 days; the last time was 27 days ago"


def test_one_purchase_has_no_pace(engine: Engine) -> None:
    item = recommend(engine, "anna", intent="buy_again")["items"][-1]
    assert item["reason"] == {"code": "bought_before", "text": "You bought this 12 days ago"}
    assert item["due_at"] is None


def test_discover_is_what_they_never_bought(engine: Engine) -> None:
    answer = recommend(engine, "anna", intent="discover", k=2)
    assert shown(answer) == ["coffee-1", "brie-1"]
    assert not {"wine-1", "gone-1"} & set(shown(recommend(engine, "anna", intent="discover")))


def test_categories_combine_their_types(engine: Engine) -> None:
    answer = recommend(engine, "anna", intent="buy_again", level="category", k=1)
    assert answer["items"][0]["category"] == "Dairy"
    # Milk .8, yogurt .6: 1 - .2 x .4.
    assert answer["items"][0]["probability"] == pytest.approx(0.92, abs=STORED)


def test_an_excluded_usual_product_gives_way_to_another_of_its_type(build: Build) -> None:
    contents = tiny_contents()
    rows = Rows()
    product = contents.again.product.copy()
    start = contents.again.offsets[rows.customers.row_of("anna")]
    product[start + 2] = rows.product("milk-2")
    engine = build(replace(contents, again=replace(contents.again, product=product)))
    answer = recommend(engine, "anna", intent="buy_again", level="product_type", exclude=["milk-1"])
    assert answer["items"][0]["product_id"] == "milk-2"
    assert answer["items"][0]["probability"] == pytest.approx(0.8, abs=STORED)


def test_a_category_holds_only_its_products_and_fills_up_with_its_best_sellers(engine: Engine) -> None:
    answer = recommend(engine, "cleo", category="bakery")
    assert shown(answer) == ["bread-1", "bread-2"] or shown(answer) == ["bread-2", "bread-1"]
    assert answer["shortfall"]["code"] == "filters"


def test_mixed_fills_up_with_what_is_popular_but_not_with_what_was_just_bought(engine: Engine) -> None:
    # Fay has just bought milk and bread; the rest of their categories is open to a mixed answer.
    assert set(shown(recommend(engine, "fay", category="Bakery"))) == {"bread-2"}
    assert "bread-1" not in shown(recommend(engine, "fay", k=20))


def test_a_category_that_nobody_knows_is_a_shortfall(engine: Engine) -> None:
    answer = recommend(engine, "anna", category="Nothing")
    assert answer["items"] == []
    assert answer["shortfall"]["code"] == "unknown_category"


def test_a_highest_price_leaves_out_what_is_dearer_or_unpriced(engine: Engine) -> None:
    answer = recommend(engine, "nobody", max_price=2.0, k=20)
    assert set(shown(answer)) == {"milk-1", "yogurt-1", "banana-1"}


def test_at_most_so_many_of_a_category(engine: Engine) -> None:
    answer = recommend(engine, "nobody", max_per_category=1, k=20)
    categories = [item["category"] for item in answer["items"]]
    assert len(categories) == len(set(categories)) == 6


def test_mixed_keeps_a_share_for_what_is_new(build: Build) -> None:
    engine = build(tiny_contents(policy={"recommendations.discover_share": 0.5}))
    answer = recommend(engine, "anna", k=4)
    assert len(answer["items"]) == 4
    assert sum("last_bought_at" not in item for item in answer["items"]) == 2


def test_an_unknown_customers_basket_leads(engine: Engine) -> None:
    answer = recommend(engine, "nobody", basket=["bread-1"], k=3)
    assert shown(answer)[:2] == ["milk-1", "brie-1"]
    assert answer["cold_start"]


def test_a_basket_is_never_in_the_answer(engine: Engine) -> None:
    assert "milk-1" not in shown(recommend(engine, "anna", basket=["milk-1"], intent="buy_again"))
    types = recommend(engine, "anna", basket=["milk-2"], intent="buy_again", level="product_type")
    assert "Milk" not in [item["product_type"] for item in types["items"]]


# Also bought


def test_one_products_neighbours_by_score(engine: Engine) -> None:
    answer = also(engine, "bread-1")
    assert shown(answer) == ["milk-1", "brie-1", "coffee-1"]
    first = answer["items"][0]
    assert (first["score"], first["lift"], first["support"]) == (0.5, 2.0, 40)
    assert first["reason"]["text"] == "In 40 baskets together with Rye Bread"
    assert not answer["personalized"]


def test_a_baskets_scores_add_up_and_the_unknown_is_listed(engine: Engine) -> None:
    answer = also(engine, "milk-1", "x", "bread-1", k=1)
    assert shown(answer) == ["coffee-1"]
    assert answer["items"][0]["score"] == pytest.approx(0.4 + 0.1)
    assert answer["ignored"] == ["x"]
    assert "shortfall" not in answer


def test_one_unknown_product_is_an_error_and_several_are_not(engine: Engine) -> None:
    with pytest.raises(UnknownProduct, match="'x'"):
        also(engine, "x")
    with pytest.raises(UnknownProduct):
        also(engine, "x", "x")
    answer = also(engine, "x", "y")
    assert (answer["items"], answer["ignored"]) == ([], ["x", "y"])
    assert answer["shortfall"]["code"] == "unknown_products"


def test_an_empty_basket_and_a_loner_have_their_shortfall(engine: Engine) -> None:
    assert also(engine)["shortfall"]["code"] == "no_products"
    assert also(engine, "crisps-2")["shortfall"]["code"] == "never_together"
    assert also(engine, "bread-1", exclude=["milk-1"])["shortfall"]["code"] == "excluded"


def test_what_a_known_customer_just_bought_is_left_out(engine: Engine) -> None:
    assert "banana-1" in shown(also(engine, "milk-1"))
    answer = also(engine, "milk-1", customer_id="anna")
    assert "banana-1" not in shown(answer)
    assert answer["personalized"]
    assert answer["items"][0]["last_bought_at"] == "2017-12-26T05:00:00Z"


# Scores


def test_scores_come_in_the_order_asked_with_nulls_where_nothing_may_be_told(engine: Engine) -> None:
    request = ScoresRequest(customer_ids=["nobody", "anna", "ben", "anna"], k_categories=2)
    answer = engine.scores(request, AS_OF, ID)
    TypeAdapter(ScoresAnswer).validate_python(answer)
    nobody, anna, ben, again = answer["scores"]
    assert anna == again
    assert [len(each["categories"]) for each in answer["scores"]] == [0, 2, 0, 2]
    assert (nobody["cold_start"], ben["cold_start"]) == (True, False)
    assert nobody["churn_probability"] is ben["churn_probability"] is None
    assert anna["segment"] == "Regulars"
    assert anna["best_channel"] is None
    assert anna["features_at"] == "2018-01-01T05:00:00Z"


def test_the_next_purchase_is_never_in_the_past(engine: Engine) -> None:
    at = datetime(2019, 1, 1, tzinfo=UTC)
    score = engine.scores(ScoresRequest(customer_ids=["anna"]), at, ID)["scores"][0]
    assert score["next_purchase_at"] == "2019-01-01T00:00:00Z"


# Without rules


def test_without_rules_the_ranking_stands_alone(tiny_bundle: Bundle) -> None:
    engine = Engine(tiny_bundle, applies_rules=False)
    answer = recommend(engine, "fay", intent=Intent.BUY_AGAIN, level=Level.PRODUCT_TYPE)
    assert len(answer["items"]) == 2
    assert recommend(engine, "ben", intent=Intent.BUY_AGAIN)["personalized"]
    assert "wine-1" in shown(recommend(engine, "anna", intent=Intent.DISCOVER))
    assert "gone-1" in shown(also(engine, "bread-1"))
