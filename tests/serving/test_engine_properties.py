"""What holds for every request and every bundle: the promises of the contract, on shops drawn at random."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from serving.api import AlsoBoughtRequest, ChallengeRequest, RecommendationsRequest, SubstitutesRequest
from serving.api_answers import AlsoBoughtAnswer, ChallengeAnswer, RecommendationsAnswer, SubstitutesAnswer
from serving.api_codes import Intent, Level
from serving.bundle import Bundle, BundleContents, open_bundle, write_bundle
from serving.bundle_format import INTIMATE, OUT_OF_STOCK, RECOMMENDABLE, RESTRICTED, Novelties, UsualProducts
from serving.customer_view import CustomerView
from serving.engine import Engine
from serving.named_products import NamedProducts
from serving.shares import DAY_STEPS, Shares, from_steps, in_steps
from serving.state.events import Event, EventType
from serving.state.known import Known, Trace
from tests.serving.happenings import event, known
from tests.serving.tiny import AS_OF, AS_OF_DAY, CATEGORIES, CUSTOMERS, PRODUCTS, TYPES, tiny_contents

N_SHOPS = 12
N = len(PRODUCTS)
ID = "0" * 32

shops = st.integers(0, N_SHOPS - 1)
customers = st.sampled_from([*CUSTOMERS, "nobody"])
products = st.lists(st.sampled_from([*PRODUCTS, "unknown"]), max_size=6)
moments = st.floats(0, 20).map(lambda days: AS_OF + timedelta(days=days))


def _mixed(rng: np.random.Generator, group: Any) -> Any:
    """Return the habits with other days and chances, the chances falling within each customer."""
    n = len(group.n)
    owner = np.searchsorted(group.offsets, np.arange(n), side="right")
    chance = rng.random(n)
    return replace(
        group,
        p7=Shares.of(chance[np.lexsort((-chance, owner))]),
        wait=in_steps(rng.uniform(0, 80, n), DAY_STEPS, is_floor=True),
        last_day=(AS_OF_DAY - rng.integers(1, 60, n)).astype("<i4"),
        gap=in_steps(np.where(rng.random(n) < 0.2, np.nan, rng.uniform(0.5, 40, n)), DAY_STEPS),
        n=rng.integers(1, 9, n).astype("<i4"),
    )


def _distinct(rng: np.random.Generator, offsets: Any, n: int) -> list[int]:
    """Return draws from 0 to n - 1 that don't repeat within a customer."""
    return [int(each) for size in np.diff(offsets) for each in rng.permutation(n)[:size]]


def _one_of(rng: np.random.Generator, owners: Any, wanted: int) -> int:
    return int(rng.choice(np.flatnonzero(owners == wanted)))


def _shuffled_contents(rng: np.random.Generator, *, explores: bool) -> BundleContents:
    """Return the tiny shop with other products, chances, days, prices and flags in its places."""
    contents = tiny_contents({"exploration.stretch_share": 1.0, "exploration.caution": 0.0} if explores else {})
    goods, stretch = contents.products, contents.stretch
    types = _distinct(rng, contents.habit.offsets, len(TYPES))
    usual_rows = np.array([_one_of(rng, goods.type, each) for each in types])
    usual = NamedProducts.of(goods.type, len(TYPES), [usual_rows])
    habit = replace(_mixed(rng, contents.habit), type=np.array(types, dtype="<i4"), place=usual.places(usual_rows))
    again = np.array(_distinct(rng, contents.again.offsets, N), dtype="<i4")
    categories = _distinct(rng, stretch.offsets, len(CATEGORIES))
    best = [[_one_of(rng, goods.category, each) if rng.random() < 0.8 else -1 for _ in range(3)] for each in categories]
    named, found = np.array(best, dtype="<i4").reshape(-1, 3), contents.novelty.product[contents.discover.novelty]
    novel = NamedProducts.of(goods.category, len(CATEGORIES), [named, found])
    n_recent = np.repeat(np.diff(contents.recent.offsets), np.diff(stretch.offsets))
    flags = np.full(N, RECOMMENDABLE, dtype="<u2")
    for bit, share in ((RESTRICTED, 0.1), (INTIMATE, 0.1), (OUT_OF_STOCK, 0.1), (RECOMMENDABLE, 0.1)):
        flags ^= np.where(rng.random(N) < share, np.uint16(bit), np.uint16(0))
    price = np.where(rng.random(N) < 0.2, np.nan, rng.uniform(0.1, 20, N)).astype("<f4")
    return replace(
        contents,
        usual=UsualProducts(usual.offsets, usual.product),
        habit=habit,
        again=replace(_mixed(rng, contents.again), product=again),
        stretch=replace(
            stretch,
            category=np.array(categories, dtype="<i4"),
            source=rng.integers(0, n_recent, endpoint=True).astype("<i4"),
            place=novel.places(named),
        ),
        novelty=Novelties(novel.offsets, novel.product),
        discover=replace(contents.discover, novelty=novel.rows(found)),
        products=replace(goods, flags=flags, price=price, p7=rng.random(N).astype("<f4")),
        also=replace(contents.also, product=np.array(_distinct(rng, contents.also.offsets, N), dtype="<i4")),
        popular=replace(contents.popular, product=rng.permutation(N).astype("<i4")),
        substitute=replace(
            contents.substitute, product=np.array(_distinct(rng, contents.substitute.offsets, N), dtype="<i4")
        ),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shops")


@cache
def shop(seed: int, folder: Path) -> tuple[Bundle, Engine]:
    """Return a shop; every other one draws the stretch."""
    contents = _shuffled_contents(np.random.default_rng(seed), explores=seed % 2 == 1)
    bundle = open_bundle(folder / write_bundle(contents, folder))
    return bundle, Engine(bundle)


def flags_of(bundle: Bundle, item: Any) -> int:
    return int(bundle.products.flags[list(bundle.products.id).index(item["product_id"])])


def check_items(bundle: Bundle, items: list[Any], banned: list[str], forbidden: int) -> None:
    shown = [item["product_id"] for item in items]
    assert len(shown) == len(set(shown))
    assert not set(shown) & set(banned)
    for item in items:
        assert flags_of(bundle, item) & RECOMMENDABLE
        assert not flags_of(bundle, item) & forbidden
        assert item["reason"]["text"]


def check_pace(bundle: Bundle, customer: str, item: Any, today: int) -> None:
    """The numbers of a habit's reason are those of the bundle, on the day that it speaks of."""
    row = list(bundle.customers.id).index(customer)
    product = list(bundle.products.id).index(item["product_id"])
    paces = set()
    for group, types in ((bundle.habit, bundle.habit.type), (bundle.again, bundle.products.type[bundle.again.product])):
        gaps = np.nan_to_num(from_steps(group.gap, DAY_STEPS))
        for e in range(group.offsets[row], group.offsets[row + 1]):
            if types[e] == bundle.products.type[product]:
                paces.add((round(float(gaps[e])), today - int(group.last_day[e])))
    text = item["reason"]["text"]
    pace = re.search(r"about every (?:(\d+) days|day);", text)
    ago = re.search(r"(\d+) days ago|yesterday|today", text)
    assert ago, text
    since = int(ago[1]) if ago[1] else {"yesterday": 1, "today": 0}[ago[0]]
    if pace:
        gap = int(pace[1] or 1)
        assert any(abs(gap - known) <= 1 and since == last for known, last in paces), text
    else:
        assert since in {last for _, last in paces}, text


@settings(max_examples=80, deadline=None)
@given(seed=shops, customer=customers, exclude=products, basket=products, at=moments, decision=st.integers(0, 9))
def test_challenges_keep_their_promises_also_where_they_explore(
    folder: Path, seed: int, customer: str, exclude: list[str], basket: list[str], at: Any, decision: int
) -> None:
    bundle, engine = shop(seed, folder)
    request, trace = ChallengeRequest(customer_id=customer, exclude=exclude, basket=basket), Trace()
    answer = engine.challenge(request, at, f"{decision:032}", Known(trace=trace))
    TypeAdapter(ChallengeAnswer).validate_python(answer)
    items = answer["items"]
    for draw in trace.draws:
        assert draw.chosen == items[2]["product_id"]
        assert sum(each.probability for each in draw.among) == pytest.approx(1.0)
        assert (draw.chosen, draw.probability) in [each[:2] for each in draw.among]
    check_items(bundle, items, exclude + basket, RESTRICTED | INTIMATE | OUT_OF_STOCK)
    assert len({item["category"] for item in items}) == len(items)
    assert (len(items) == 3) != ("shortfall" in answer)
    assert [item["role"].value for item in items] == ["habit", "habit", "stretch"][: len(items)]
    if items:
        assert 0 < answer["completion_probability"] <= min(item["probability"] for item in items)
    if answer["reward"]:
        assert answer["completion_probability"] * answer["reward"]["cost"] <= answer["expected_value"] + 1e-5
    today = AS_OF_DAY + (at - AS_OF) // timedelta(days=1)
    for item in items:
        if item["reason"]["code"] in {"habit_due", "habit_regular", "bought_before"}:
            assert answer["personalized"]
            check_pace(bundle, customer, item, today)


@settings(max_examples=80, deadline=None)
@given(
    seed=shops,
    customer=customers,
    exclude=products,
    basket=products,
    intent=st.sampled_from(list(Intent)),
    level=st.sampled_from(list(Level)),
    k=st.integers(1, 30),
    cap=st.none() | st.integers(1, 3),
    max_price=st.none() | st.floats(0.5, 20),
    category=st.none() | st.sampled_from(CATEGORIES),
)
def test_recommendations_keep_their_promises(
    folder: Path,
    seed: int,
    customer: str,
    exclude: list[str],
    basket: list[str],
    intent: Intent,
    level: Level,
    k: int,
    cap: int | None,
    max_price: float | None,
    category: str | None,
) -> None:
    bundle, engine = shop(seed, folder)
    request = RecommendationsRequest(
        customer_id=customer,
        exclude=exclude,
        basket=basket,
        intent=intent,
        level=level,
        k=k,
        max_per_category=cap,
        max_price=max_price,
        category=category,
    )
    answer = engine.recommendations(request, AS_OF, ID)
    TypeAdapter(RecommendationsAnswer).validate_python(answer)
    items = answer["items"]
    check_items(bundle, items, exclude + basket, OUT_OF_STOCK)
    assert (len(items) == k) != ("shortfall" in answer)
    assert len(items) <= k
    if level is not Level.PRODUCT:
        keys = [item["product_type" if level is Level.PRODUCT_TYPE else "category"] for item in items]
        assert len(keys) == len(set(keys))
    if cap is not None:
        counts = [item["category"] for item in items]
        assert max((counts.count(each) for each in counts), default=0) <= cap
    if max_price is not None:
        assert all(item["price"] is not None and item["price"] <= max_price for item in items)
    if category is not None:
        assert {item["category"] for item in items} <= {category}
    if answer["personalized"]:
        chances = [item["probability"] for item in items]
        assert chances == sorted(chances, reverse=True)


@settings(max_examples=60, deadline=None)
@given(
    seed=shops,
    asked=st.lists(st.sampled_from(list(PRODUCTS)), min_size=1, max_size=5),
    exclude=products,
    k=st.integers(1, 10),
)
def test_also_bought_keeps_its_promises(folder: Path, seed: int, asked: list[str], exclude: list[str], k: int) -> None:
    bundle, engine = shop(seed, folder)
    answer = engine.also_bought(AlsoBoughtRequest(product_ids=asked, exclude=exclude, k=k), AS_OF, ID)
    TypeAdapter(AlsoBoughtAnswer).validate_python(answer)
    check_items(bundle, answer["items"], exclude + asked, OUT_OF_STOCK)
    assert (len(answer["items"]) == k) != ("shortfall" in answer)
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)


happenings = st.lists(
    st.builds(
        event,
        st.sampled_from([each.value for each in EventType]),
        st.sampled_from([*PRODUCTS, "unknown", None]),
        st.floats(-100, 500),
        quantity=st.sampled_from([-2.0, -1.0, 1.0, 3.0]),
        store_id=st.sampled_from([None, "s-ny", "nowhere"]),
        value=st.sampled_from([None, "Brie", "dairy", "nothing"]),
    ),
    max_size=25,
)
stocks = st.dictionaries(
    st.tuples(st.sampled_from([*PRODUCTS, "unknown"]), st.sampled_from([None, "s-ny"])),
    st.sampled_from([0.0, 5.0, np.inf]),
    max_size=8,
)
others = st.sampled_from([(), ("emil",), ("fay", "nobody"), ("anna", "ben", "cleo")])


def is_out(stock: dict[tuple[str, str | None], float], bundle: Bundle, item: Any, store_id: str | None) -> bool:
    """Return what the words say of a product, in the slow and obvious way."""
    for store in (store_id, None):
        if (item["product_id"], store) in stock:
            return stock[item["product_id"], store] == 0.0
    return bool(flags_of(bundle, item) & OUT_OF_STOCK)


@settings(max_examples=120, deadline=None)
@given(
    seed=shops,
    customer=customers,
    also=others,
    events=happenings,
    stock=stocks,
    exclude=products,
    at=moments,
    level=st.sampled_from(list(Level)),
    intent=st.sampled_from(list(Intent)),
)
def test_promises_hold_whatever_happens(
    folder: Path,
    seed: int,
    customer: str,
    also: tuple[str, ...],
    events: list[Event],
    stock: dict[tuple[str, str | None], float],
    exclude: list[str],
    at: Any,
    level: Level,
    intent: Intent,
) -> None:
    bundle, engine = shop(seed, folder)
    trace = Trace()
    told = known(*events, stock=stock, customer_id=customer, also=also, trace=trace)
    request = ChallengeRequest(customer_id=customer, exclude=exclude)
    made = engine.challenge(request, at, ID, told)
    TypeAdapter(ChallengeAnswer).validate_python(made)
    ask = RecommendationsRequest(customer_id=customer, exclude=exclude, level=level, intent=intent)
    ranked = engine.recommendations(ask, at, ID, told)
    TypeAdapter(RecommendationsAnswer).validate_python(ranked)
    asked = AlsoBoughtRequest(product_ids=["milk-1"], customer_id=customer, exclude=exclude)
    together = engine.also_bought(asked, at, ID, told)
    TypeAdapter(AlsoBoughtAnswer).validate_python(together)
    check_items(bundle, made["items"], exclude, RESTRICTED | INTIMATE)
    check_items(bundle, ranked["items"], exclude, 0)
    check_items(bundle, together["items"], exclude, 0)
    assert len({item["category"] for item in made["items"]}) == len(made["items"])
    store_id = engine._desk.shoppers.place(customer, None, told.live).store_id
    shown = [*made["items"], *ranked["items"], *together["items"]]
    assert not any(is_out(stock, bundle, item, store_id) for item in shown)
    assert not {each.product_id for each in trace.withheld if each.reason == "dismissed"} & {
        item["product_id"] for item in shown
    }
    if ranked["personalized"]:
        chances = [item["probability"] for item in ranked["items"]]
        assert chances == sorted(chances, reverse=True)
    replaced = engine.replacement(made, request, at, told)
    assert replaced is None
    gone = stock | {(item["product_id"], None): 0.0 for item in made["items"][:2]}
    told_more = known(*events, stock=gone, customer_id=customer, also=also)
    replaced = engine.replacement(made, request, at, told_more)
    if replaced is not None:
        TypeAdapter(ChallengeAnswer).validate_python(replaced)
        assert [item["role"] for item in replaced["items"]] == [item["role"] for item in made["items"]]
        assert len({item["category"] for item in replaced["items"]}) == len(made["items"])
        assert replaced["items"][2:] == made["items"][2:]
    TypeAdapter(CustomerView).validate_python(engine.customer_view(customer, at, told))


@settings(max_examples=100, deadline=None)
@given(
    seed=shops,
    asked=st.sampled_from(list(PRODUCTS)),
    customer=customers,
    events=happenings,
    stock=stocks,
    store_id=st.sampled_from([None, "s-ny", "nowhere"]),
    k=st.integers(1, 4),
)
def test_substitutes_keep_their_promises_whatever_happens(
    folder: Path,
    seed: int,
    asked: str,
    customer: str,
    events: list[Event],
    stock: dict[tuple[str, str | None], float],
    store_id: str | None,
    k: int,
) -> None:
    bundle, engine = shop(seed, folder)
    trace = Trace()
    told = known(*events, stock=stock, customer_id=customer, trace=trace)
    request = SubstitutesRequest(product_id=asked, customer_id=customer, store_id=store_id, k=k)
    answer = engine.substitutes(request, AS_OF + timedelta(days=1), ID, told)
    TypeAdapter(SubstitutesAnswer).validate_python(answer)
    items = answer["items"]
    check_items(bundle, items, [asked], (RESTRICTED | INTIMATE) & ~flags_of(bundle, {"product_id": asked}))
    assert (len(items) == k) != ("shortfall" in answer)
    place = store_id or engine._desk.shoppers.place(customer, None, told.live).store_id
    assert not any(is_out(stock, bundle, item, place) for item in items)
    assert not {each.product_id for each in trace.withheld} & {item["product_id"] for item in items}
    scores = [item["score"] for item in items]
    assert scores == sorted(scores, reverse=True)
