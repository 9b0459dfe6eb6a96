"""What each type of event changes: docs/events.md, row by row."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, ScoresRequest
from serving.api_answers import ChallengeAnswer, RecommendationsAnswer
from serving.bundle import Bundle, BundleContents, open_bundle, write_bundle
from serving.engine import Engine
from serving.state.events import EventType
from serving.state.known import Known, Trace
from tests.serving.happenings import after, event, known
from tests.serving.tiny import AS_OF, tiny_contents

ID = "0123456789abcdef" * 2
EVENTS_PAGE = Path(__file__).parents[2] / "docs" / "events.md"
TOMORROW = after(24)
Build = Callable[[BundleContents], Engine]


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    return Engine(tiny_bundle)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return a function from contents to an engine over them."""
    return lambda contents: Engine(open_bundle(tmp_path / write_bundle(contents, tmp_path)))


def challenge(
    engine: Engine, told: Known, customer: str = "anna", at: datetime = TOMORROW, **fields: Any
) -> ChallengeAnswer:
    answer = engine.challenge(ChallengeRequest(customer_id=customer, **fields), at, ID, told)
    TypeAdapter(ChallengeAnswer).validate_python(answer)
    return answer


def recommend(
    engine: Engine, told: Known, customer: str = "anna", at: datetime = TOMORROW, **fields: Any
) -> RecommendationsAnswer:
    answer = engine.recommendations(RecommendationsRequest(customer_id=customer, **fields), at, ID, told)
    TypeAdapter(RecommendationsAnswer).validate_python(answer)
    return answer


def shown(answer: Any) -> list[str]:
    return [item["product_id"] for item in answer["items"]]


def item_of(answer: Any, product_id: str) -> dict[str, Any]:
    return next(item for item in answer["items"] if item["product_id"] == product_id)


def chance(engine: Engine, told: Known, product_id: str, **fields: Any) -> float:
    found: float = item_of(recommend(engine, told, k=20, **fields), product_id)["probability"]
    return found


NOTHING = known()


# Which events count


def test_what_the_bundle_holds_already_does_not_count_twice(build: Build) -> None:
    contents = tiny_contents()
    meta = contents.meta.__class__(**{**vars(contents.meta), "log_until_us": event("view", hours=-1).at_us})
    engine = build(BundleContents(**{**vars(contents), "meta": meta}))
    held = known(event("dismiss", "milk-1", hours=-30))
    told_late = known(event("dismiss", "milk-1", hours=-30, accepted=2))
    just_before = known(event("dismiss", "milk-1", hours=-30, accepted=-1 - 30 / 3600))
    assert "milk-1" in shown(challenge(engine, held))
    assert "milk-1" not in shown(challenge(engine, told_late))
    assert "milk-1" not in shown(challenge(engine, just_before))


def test_events_of_products_that_the_bundle_does_not_know_change_nothing(engine: Engine) -> None:
    told = known(event("purchase", "new-1"), event("view", "new-1"), event("view"), event("search", value="new"))
    assert challenge(engine, told) == challenge(engine, NOTHING)


# Each type


def test_purchase_drops_what_was_bought_from_due_and_moves_its_date_on(engine: Engine) -> None:
    told = known(event("purchase", "milk-1"))
    assert shown(challenge(engine, NOTHING)) == ["milk-1", "banana-1", "coffee-1"]
    assert shown(challenge(engine, told)) == ["banana-1", "yogurt-1", "coffee-1"]
    assert not {"milk-1"} & set(shown(recommend(engine, told, intent="buy_again")))
    # Anna's milk has a gap of 9 days: after 2 it may be shown again, and is due on the 10th.
    later = item_of(recommend(engine, told, at=after(24 * 4), intent="buy_again"), "milk-1")
    assert later["last_bought_at"] == "2018-01-01T05:00:00Z"
    assert later["due_at"] == "2018-01-10T05:00:00Z"
    assert later["reason"]["text"] == "You buy this about every 9 days; the last time was 4 days ago"
    assert later["probability"] == item_of(recommend(engine, NOTHING, at=after(24 * 4)), "milk-1")["probability"]


def test_purchase_of_another_product_closes_its_type(engine: Engine) -> None:
    types = recommend(engine, known(event("purchase", "milk-2")), intent="buy_again", level="product_type")
    assert "Milk" not in [item["product_type"] for item in types["items"]]
    assert "milk-1" not in shown(challenge(engine, known(event("purchase", "milk-2"))))


def test_purchase_makes_its_category_known_and_its_product_bought(engine: Engine) -> None:
    told = known(event("purchase", "coffee-1"))
    answer = challenge(engine, told)
    assert "Coffee and Tea" not in [item["category"] for item in answer["items"]]
    assert "coffee-1" in shown(recommend(engine, NOTHING, intent="discover", k=3))
    assert "coffee-1" not in shown(recommend(engine, told, intent="discover", k=20))
    by_category = {"intent": "discover", "level": "category", "k": 3}
    assert "coffee-1" in shown(recommend(engine, NOTHING, **by_category))
    assert "Coffee and Tea" not in [item["category"] for item in recommend(engine, told, **by_category)["items"]]
    # Three days later what was bought once may be shown again, as something bought before.
    item = item_of(recommend(engine, told, at=after(24 * 4), intent="buy_again", k=20), "coffee-1")
    assert item["reason"] == {"code": "bought_before", "text": "You bought this 4 days ago"}
    assert item["due_at"] is None


def test_purchase_shows_as_last_bought_in_also_bought(engine: Engine) -> None:
    request = AlsoBoughtRequest(product_ids=["bread-1"], customer_id="anna")
    told = known(event("purchase", "coffee-1", hours=1))
    answer = engine.also_bought(request, after(24 * 5), ID, told)
    assert item_of(answer, "coffee-1")["last_bought_at"] == "2018-01-01T05:00:00Z"
    assert "coffee-1" not in shown(engine.also_bought(request, after(24), ID, told))


def test_purchase_that_is_returned_never_was(engine: Engine) -> None:
    bought = event("purchase", "milk-1", hours=1, order_id="a", quantity=2)
    half = event("purchase", "milk-1", hours=2, order_id="a", quantity=-1)
    rest = event("purchase", "milk-1", hours=3, order_id="b", quantity=-1)
    assert "milk-1" not in shown(challenge(engine, known(bought, half)))
    assert challenge(engine, known(bought, half, rest)) == challenge(engine, NOTHING)
    assert challenge(engine, known(rest)) == challenge(engine, NOTHING)


def test_a_return_takes_back_its_own_orders_line_else_the_latest(engine: Engine) -> None:
    first = event("purchase", "coffee-1", hours=1, order_id="a")
    second = event("purchase", "coffee-1", hours=49, order_id="b")
    of_first = event("purchase", "coffee-1", hours=50, order_id="a", quantity=-1)
    of_none = event("purchase", "coffee-1", hours=50, order_id="c", quantity=-1)
    days = {}
    for name, back in (("a", of_first), ("c", of_none)):
        answer = recommend(engine, known(first, second, back), at=after(24 * 7), intent="buy_again", k=20)
        days[name] = item_of(answer, "coffee-1")["last_bought_at"]
    assert days == {"a": "2018-01-03T05:00:00Z", "c": "2018-01-01T05:00:00Z"}


def test_purchase_that_comes_late_does_not_move_a_habit_back(engine: Engine) -> None:
    late = known(event("purchase", "milk-1", hours=-24 * 20, accepted=1))
    item = item_of(challenge(engine, late), "milk-1")
    assert item["last_bought_at"] == item_of(challenge(engine, NOTHING), "milk-1")["last_bought_at"]


@pytest.mark.parametrize("kind", ["view", "click", "scan", "wishlist", "search"])
def test_interest_moves_what_is_shown_next(engine: Engine, kind: str) -> None:
    # Brie is anna's second discovery; odds of weight w are times 8 ** w.
    weight = getattr(engine.bundle.policy.events, f"{kind}_weight")
    told = known(event(kind, "brie-1", hours=24))
    before = chance(engine, NOTHING, "brie-1", intent="discover")
    # Its type has two fifths of the weight as well.
    odds = before / (1 - before) * 8 ** (weight * 1.4)
    assert chance(engine, told, "brie-1", intent="discover") == pytest.approx(odds / (1 + odds), abs=1e-4)
    assert shown(recommend(engine, NOTHING, intent="discover"))[0] == "coffee-1"
    assert shown(recommend(engine, told, intent="discover"))[0] == "brie-1"


def test_interest_fades_by_half_each_half_life(engine: Engine) -> None:
    half_life = engine.bundle.policy.events.half_life_days
    told = known(event("wishlist", "brie-1", hours=0))
    fresh = chance(engine, known(event("view", "brie-1", hours=24)), "brie-1", intent="discover")
    # .7 after one half-life is .35: a little more than a view (.3).
    faded = chance(engine, told, "brie-1", intent="discover", at=AS_OF + timedelta(days=half_life))
    assert fresh < faded < 1.2 * fresh


def test_view_brings_what_goes_with_it(engine: Engine) -> None:
    # The bundle has no discoveries for emil; milk is bought with bread, which he buys, with coffee and with bananas.
    told = known(event("view", "milk-1"))
    answer = recommend(engine, told, "emil", intent="discover", k=3)
    assert set(shown(answer)) == {"milk-1", "bread-1", "banana-1"}
    assert item_of(answer, "banana-1")["reason"] == {
        "code": "bought_with_viewed",
        "text": "In 60 baskets together with Whole Milk, which you looked at lately",
    }


def test_wishlist_is_said(engine: Engine) -> None:
    item = item_of(recommend(engine, known(event("wishlist", "brie-1")), intent="discover"), "brie-1")
    assert item["reason"] == {"code": "wished", "text": "You put this on your wish list yesterday"}


def test_scan_is_said(engine: Engine) -> None:
    item = item_of(recommend(engine, known(event("scan", "brie-1", 24)), intent="discover"), "brie-1")
    assert item["reason"] == {"code": "viewed", "text": "You scanned this today"}


def test_view_of_a_habit_raises_it(engine: Engine) -> None:
    told = known(event("view", "crisps-1", hours=23))
    assert chance(engine, told, "crisps-1", intent="buy_again") > chance(
        engine, NOTHING, "crisps-1", intent="buy_again"
    )
    by_type = {"intent": "buy_again", "level": "product_type"}
    assert chance(engine, told, "crisps-1", **by_type) > chance(engine, NOTHING, "crisps-1", **by_type)


def test_view_of_a_stretch_category_moves_the_stretch(engine: Engine) -> None:
    told = known(event("wishlist", "brie-1", hours=23), event("view", "brie-1", hours=23.5))
    assert shown(challenge(engine, told))[2] == "brie-1"


def test_search_for_a_type_or_a_category_by_name(engine: Engine) -> None:
    before = chance(engine, NOTHING, "brie-1", intent="discover")
    by_type = chance(engine, known(event("search", value=" brie ")), "brie-1", intent="discover")
    assert by_type > before
    told = known(*[event("search", value="Cheese Counter") for _ in range(4)])
    assert shown(challenge(engine, told))[2] == "brie-1"


def test_cart_is_in_the_basket(engine: Engine) -> None:
    told = known(event("cart", "milk-2"))
    assert not {"milk-1", "milk-2"} & set(shown(challenge(engine, told)))
    assert "milk-2" not in shown(recommend(engine, told, k=20))
    item = item_of(recommend(engine, known(event("cart", "milk-1")), "emil", intent="discover", k=20), "coffee-1")
    assert item["reason"]["code"] == "bought_with_basket"


def test_cart_ends_with_uncart_purchase_or_time(engine: Engine) -> None:
    carted = event("cart", "crisps-2", hours=1)
    assert "crisps-2" not in shown(recommend(engine, known(carted), category="Snacks"))
    for ended in (known(carted, event("uncart", "crisps-2", hours=2)), known(event("cart", "crisps-2", hours=-71))):
        assert "crisps-2" in shown(recommend(engine, ended, category="Snacks"))
    bought = known(carted, event("purchase", "crisps-2", hours=2))
    assert "crisps-2" in shown(recommend(engine, bought, category="Snacks", at=after(24 * 5)))


def test_uncart_takes_the_interest_of_the_cart_back(engine: Engine) -> None:
    told = known(event("cart", "brie-1", hours=1), event("uncart", "brie-1", hours=2))
    assert challenge(engine, told) == challenge(engine, NOTHING)


def test_dismiss_withholds_the_product_for_its_days(engine: Engine) -> None:
    told = known(event("dismiss", "milk-1", hours=0))
    days = engine.bundle.policy.events.dismiss_days
    assert "milk-1" not in shown(challenge(engine, told))
    assert "milk-1" not in shown(recommend(engine, told, intent="buy_again"))
    assert "milk-1" in shown(recommend(engine, told, intent="buy_again", at=AS_OF + timedelta(days=days)))


def test_dismiss_counts_against_its_like(engine: Engine) -> None:
    told = known(event("dismiss", "coffee-2", hours=23))
    before = chance(engine, NOTHING, "coffee-1", intent="discover")
    after_it = chance(engine, told, "coffee-1", intent="discover")
    assert after_it < 0.6 * before
    assert shown(challenge(engine, told))[2] == "brie-1"
    assert "coffee-1" in shown(recommend(engine, told, intent="discover"))


def test_dismiss_ends_an_earlier_interest_and_a_purchase_ends_it(engine: Engine) -> None:
    told = known(event("wishlist", "brie-1", hours=1), event("dismiss", "brie-1", hours=2))
    assert "brie-1" not in shown(recommend(engine, told, intent="discover"))
    back = known(event("dismiss", "milk-1", hours=1), event("purchase", "milk-1", hours=2))
    assert "milk-1" in shown(recommend(engine, back, intent="buy_again", at=after(24 * 6)))


def test_impression_without_response_tires(engine: Engine) -> None:
    seen = [event("impression", "coffee-1", hours=20 + hour) for hour in range(3)]
    before, tired = (chance(engine, known(*told), "coffee-1", intent="discover") for told in ([], seen))
    weight = 3 * engine.bundle.policy.events.impression_weight
    odds = before / (1 - before) / 8**weight
    assert tired == pytest.approx(odds / (1 + odds), rel=0.02)
    assert tired < before
    clicked = chance(engine, known(*seen, event("click", "coffee-1", hours=23)), "coffee-1", intent="discover")
    assert clicked == chance(engine, known(event("click", "coffee-1", hours=23)), "coffee-1", intent="discover")


@pytest.mark.parametrize("kind", ["send", "open", "redeem", "visit", "unsubscribe", "notification_block"])
def test_other_types_do_not_move_products(engine: Engine, kind: str) -> None:
    told = known(event(kind, "brie-1", channel="email"))
    assert recommend(engine, told, intent="discover") == recommend(engine, NOTHING, intent="discover")


def test_the_page_about_events_has_every_type() -> None:
    rows = re.findall(r"^\| `(\w+)`", EVENTS_PAGE.read_text(), flags=re.MULTILINE)
    assert set(rows) == {each.value for each in EventType}
    assert len(rows) == len(set(rows))


# One whom no bundle knows


def test_the_first_event_makes_answers_personal(engine: Engine) -> None:
    for kind in ("visit", "impression", "send", "open"):
        assert not recommend(engine, known(event(kind, "milk-1")), "guest")["personalized"]
    answer = recommend(engine, known(event("view", "milk-1")), "guest", k=5)
    assert answer["personalized"]
    assert answer["cold_start"]
    # What they looked at, what lies in baskets with it, then what those alike buy.
    assert set(shown(answer)[:4]) >= {"milk-1", "bread-1", "banana-1"}
    assert answer["items"][0]["reason"]["text"] == "You looked at this yesterday"
    codes = {item["product_id"]: item["reason"]["code"] for item in answer["items"]}
    assert codes["bread-1"] == codes["banana-1"] == "bought_with_viewed"


def test_a_guests_search_moves_what_is_likely(engine: Engine) -> None:
    told = known(event("search", value="brie"), event("search", value="Brie", hours=2))
    answer = recommend(engine, told, "guest", k=20)
    assert answer["personalized"]
    before = item_of(recommend(engine, NOTHING, "guest", k=20), "brie-1")["probability"]
    assert item_of(answer, "brie-1")["probability"] > 1.5 * before
    assert not recommend(engine, known(event("search", value="bicycles")), "guest")["personalized"]


def test_one_who_joined_and_bought_nothing_is_served_as_a_guest_is(engine: Engine) -> None:
    answer = recommend(engine, known(event("purchase", "salad-1")), "dora", k=2)
    assert set(shown(answer)) == {"brie-1", "coffee-1"}
    assert not answer["cold_start"]


def test_those_alike_fill_up_by_the_factors(engine: Engine) -> None:
    answer = recommend(engine, known(event("purchase", "salad-1")), "guest", k=2)
    # Salad has no neighbours; brie and coffee share its factor.
    assert set(shown(answer)) == {"brie-1", "coffee-1"}
    assert {item["reason"]["code"] for item in answer["items"]} == {"like_lately"}


def test_a_guests_challenge_has_their_purchases_then_what_goes_with_them(engine: Engine) -> None:
    told = known(event("purchase", "bread-1", hours=1), event("purchase", "salad-1", hours=1.5))
    answer = challenge(engine, told, "guest", at=after(24 * 5))
    assert answer["personalized"]
    assert answer["cold_start"]
    assert [item["role"] for item in answer["items"]] == ["habit", "habit", "stretch"]
    assert set(shown(answer)[:2]) == {"bread-1", "salad-1"}
    assert answer["items"][2]["category"] not in {"Bakery", "Produce"}
    assert 0 < answer["completion_probability"] <= min(item["probability"] for item in answer["items"])
    # Of what was just bought, nothing: what goes with it instead.
    fresh = challenge(engine, told, "guest", at=after(2))
    assert fresh["items"][0]["product_id"] == "milk-1"
    assert fresh["items"][0]["reason"]["code"] == "bought_with_bought"
    assert not {"bread-1", "salad-1"} & set(shown(fresh))


def test_a_guest_who_agrees_to_nothing_gets_what_everybody_gets(engine: Engine) -> None:
    told = known(event("view", "milk-1"), consent={"personalize": False})
    answer = recommend(engine, told, "guest")
    assert not answer["personalized"]
    assert shown(answer) == shown(recommend(engine, NOTHING, "guest"))


def test_what_says_nothing_of_a_product_leaves_it_popular(engine: Engine) -> None:
    answer = recommend(engine, known(event("purchase", "salad-1")), "guest", k=4)
    codes = {item["product_id"]: item["reason"]["code"] for item in answer["items"]}
    assert codes["milk-1"] == "popular_now"


def test_a_guests_stock_is_that_of_their_latest_store(engine: Engine) -> None:
    stock = {("milk-1", "s-ny"): 0.0}
    in_store = known(event("view", "salad-1", store_id="s-ny"), stock=stock)
    assert "milk-1" not in shown(recommend(engine, in_store, "guest"))
    assert "milk-1" in shown(recommend(engine, known(event("view", "salad-1"), stock=stock), "guest"))


def test_scores_of_a_guest_are_not_known(engine: Engine) -> None:
    told = {"guest": known(event("purchase", "milk-1"))}
    score = engine.scores(ScoresRequest(customer_ids=["guest"]), after(24), ID, told)["scores"][0]
    assert (score["cold_start"], score["churn_probability"], score["categories"]) == (True, None, [])


# Consent, forgetting, merging


def test_what_was_said_over_the_api_goes_before_the_bundle(engine: Engine) -> None:
    assert not challenge(engine, known(consent={"personalize": False}))["personalized"]
    assert challenge(engine, known(consent={"personalize": True}), "ben")["personalized"]
    assert not challenge(engine, known(consent={"email": True}), "ben")["personalized"]


def test_one_who_is_forgotten_is_nobody_until_they_come_again(engine: Engine) -> None:
    gone = {"is_erased": True, "erased_us": event("visit", hours=2).at_us}
    answer = challenge(engine, known(event("purchase", "salad-1", hours=1), **gone))
    assert (answer["personalized"], answer["cold_start"]) == (False, True)
    back = recommend(engine, known(event("purchase", "salad-1", hours=3), **gone), k=2)
    assert (back["personalized"], back["cold_start"]) == (True, True)
    assert set(shown(back)) == {"brie-1", "coffee-1"}


def test_merged_ids_have_both_histories(engine: Engine) -> None:
    both = known(customer_id="cleo", also=("emil",))
    ten_days = {"intent": "buy_again", "at": after(24 * 10)}
    for asked in ("cleo", "emil"):
        assert set(shown(recommend(engine, both, asked, **ten_days))) == {"wine-1", "bread-2", "milk-2"}
    assert set(shown(recommend(engine, NOTHING, "emil", **ten_days))) == {"wine-1", "bread-2"}


def test_merged_ids_have_one_consent_and_events_of_all(engine: Engine) -> None:
    told = known(event("dismiss", "wine-1"), customer_id="cleo", also=("emil",))
    assert "wine-1" not in shown(recommend(engine, told, "cleo", intent="buy_again", at=after(24 * 10)))


# Trace


def test_the_trace_says_what_was_withheld_and_why(engine: Engine) -> None:
    trace = Trace()
    bought = event("purchase", "banana-1")
    told = known(event("dismiss", "brie-1"), bought, stock={("coffee-1", None): 0}, trace=trace)
    recommend(engine, told, exclude=["yogurt-1"], k=20)
    found = {each.product_id: each.reason for each in trace.withheld}
    assert found["yogurt-1"] == "excluded"
    assert found["banana-1"] == "just_bought"
    assert found["brie-1"] == "dismissed"
    assert found["coffee-1"] == "out_of_stock"
    trace = Trace(limit=1)
    challenge(engine, known(bought, trace=trace))
    assert [(each.product_id, each.reason) for each in trace.withheld] == [("banana-1", "just_bought")]
