"""Many customers' scores, a column at a time, are what each alone is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bundle import Bundle
from serving.desk import Desk
from serving.errors import InvalidRequest
from serving.score_desk import ScoreDesk, Scores, labels, rounded
from serving.state.known import NOTHING_KNOWN, Known, Live
from tests.serving.state.builders import event

AT = timedelta(hours=30, microseconds=700_001)


@pytest.fixture
def desk(tiny_bundle: Bundle) -> Desk:
    return Desk(tiny_bundle, applies_rules=True)


def one_by_one(desk: Desk, ids: list[str], at: datetime, known: Mapping[str, Known], k: int) -> Scores:
    """The obvious way: a shopper, a tier and a score for each."""
    scores, are_personal = [], []
    for customer_id in ids:
        here = known.get(customer_id, NOTHING_KNOWN)
        shopper = desk.shopper(customer_id, None, at, here)
        tier = desk.contacts.tier(customer_id, here.live)
        scores.append(desk.answers.score(customer_id, at, shopper=shopper, tier=tier, k=k))
        are_personal.append(shopper.is_personal)
    return Scores(scores, any(are_personal))


def lives(bundle: Bundle) -> dict[str, Known]:
    """Customers who refused, were merged, forgotten, written to, and some of whom nobody knew."""
    us = int(bundle.manifest.as_of.timestamp() * 1e6) + 1
    sent = tuple(event(f"s{n}", None, type="send", at=us + n, channel="email") for n in range(4))
    seen = tuple(event(f"v{n}", at=us + n, type="view") for n in range(9))
    found = [
        Live("anna", consent={"personalize": False}),
        Live("anna", events=sent),
        Live("anna", also=("ben",)),
        Live("ben", consent={"personalize": True}),
        Live("anna", is_erased=True, erased_us=us),
        Live("nobody", events=seen),
        Live("nobody"),
    ]
    return {f"{place}": Known(live) for place, live in enumerate(found)}


@pytest.mark.parametrize("k", [0, 1, 10])
def test_the_scores_of_many_are_those_of_each(desk: Desk, tiny_bundle: Bundle, k: int) -> None:
    known = lives(tiny_bundle)
    ids = [*tiny_bundle.customers.id, "nobody", *known, tiny_bundle.customers.id[0]]
    at = tiny_bundle.manifest.as_of + AT

    assert ScoreDesk(desk).scores(ids, at, known, k=k) == one_by_one(desk, ids, at, known, k)
    for each in ids:
        for asked in ([each], [each] * 2, [each] * 3):
            assert ScoreDesk(desk).scores(asked, at, known, k=k) == one_by_one(desk, asked, at, known, k)


def test_of_whom_nothing_is_known_is_told_the_same_as_of_whom_nothing_is_said(desk: Desk, tiny_bundle: Bundle) -> None:
    at, ids = tiny_bundle.manifest.as_of + AT, [*tiny_bundle.customers.id, "nobody"]
    known = {each: Known(Live(each)) for each in ids}

    assert not any(known[each].live.says_more_than(each) for each in ids)
    assert ScoreDesk(desk).scores(ids, at, known, k=3) == ScoreDesk(desk).scores(ids, at, {}, k=3)


@pytest.mark.parametrize("k", [0, 1, 10])
def test_the_text_of_scores_is_what_orjson_writes(desk: Desk, tiny_bundle: Bundle, k: int) -> None:
    known = lives(tiny_bundle)
    ids = [*tiny_bundle.customers.id, "nobody", *known, 'a "quoted" %s, {name}', "Zoë\n"]
    at = tiny_bundle.manifest.as_of + AT

    for asked in (ids, ["nobody"], ["nobody"] * 3, ids[:1], ids[:3]):
        told, text = (tell(asked, at, known, k=k) for tell in (ScoreDesk(desk).scores, ScoreDesk(desk).text))
        assert orjson.dumps(text.scores) == orjson.dumps(told.scores)
        assert text.is_personal == told.is_personal


def test_a_moment_before_the_bundle_is_refused(desk: Desk, tiny_bundle: Bundle) -> None:
    with pytest.raises(InvalidRequest):
        ScoreDesk(desk).scores(["anna"], tiny_bundle.manifest.as_of - timedelta(seconds=1), {}, k=1)


@given(st.lists(st.floats(0.0, 1e6, width=32)), st.sampled_from([4, 6]))
def test_a_column_is_rounded_as_each_number_is(numbers: list[float], places: int) -> None:
    assert rounded(np.array(numbers, dtype=np.float32), places) == [round(each, places) for each in numbers]


def test_a_row_that_is_not_known_has_no_label() -> None:
    assert labels(["a", "b"], np.array([1, -1, 0])) == ["b", None, "a"]
