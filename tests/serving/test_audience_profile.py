from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving import bundle_format as fmt
from serving.audience_likeness import Likeness
from serving.audience_profile import Profiles
from serving.strings import StringTable
from tests.serving.tiny import CATEGORIES, CUSTOMERS, tiny_contents

N = len(CUSTOMERS)


def contents() -> fmt.BundleArrays:
    """Six customers of which the first two score 90, are in segment B, and may buy wine; the others 30, A, nothing."""
    tiny = tiny_contents()
    customers = replace(
        tiny.customers,
        score=np.array([90, 90, 30, 30, 30, 30], dtype="<f4"),
        value=np.full(N, 12.0, dtype="<f4"),
        segment=np.array([1, 1, 0, 0, 0, -1], dtype="<i2"),
    )
    propensity = fmt.Propensities.of(
        np.array([0, 1, 2, 2, 2, 2, 2], dtype=np.int64),
        np.full(2, CATEGORIES.index("Wine"), dtype="<i4"),
        np.array([0.5, 0.3], dtype="<f4"),
    )
    return replace(tiny, customers=customers, propensity=propensity, segments=StringTable.of(["A", "B"]))


def profiles(among: list[bool] | None = None) -> Profiles:
    mask = np.array(among or [True] * N)
    arrays = contents()
    return Profiles(arrays, mask, Likeness(arrays, mask))


def test_means_stand_beside_those_of_everyone() -> None:
    first = profiles().profile(np.array([0, 1]))["scores"][0]
    assert first["score"] == "customer_score"
    assert (first["mean"], first["everyone"]) == (90.0, 50.0)
    assert first["difference"] == pytest.approx(40 / np.sqrt(800), abs=1e-4)


def test_a_score_that_is_the_same_for_all_differs_by_nothing() -> None:
    scores = {each["score"]: each for each in profiles().profile(np.array([0, 1]))["scores"]}
    assert scores["lifetime_value"]["difference"] == 0.0


def test_shares_count_those_without_a_label_too() -> None:
    shares = [each for each in profiles().profile(np.array([0, 5]))["shares"] if each["score"] == "segment"]
    assert shares == [
        {"score": "segment", "value": "A", "share": 0.0, "everyone": 0.5},
        {"score": "segment", "value": "B", "share": 0.5, "everyone": round(2 / 6, 6)},
    ]


def test_categories_come_by_lift() -> None:
    found = profiles().profile(np.array([0, 1]))["categories"]
    assert found[0]["category"] == "Wine"
    assert found[0]["probability"] == pytest.approx(0.4, abs=1e-5)
    assert found[0]["lift"] == pytest.approx((0.4 + 0.01) / (0.8 / 6 + 0.01), abs=1e-4)
    assert {each["lift"] for each in found[1:]} == {1.0}


def test_everyone_are_those_who_may_be_used() -> None:
    found = profiles([True, True, False, False, False, False]).profile(np.array([0]))
    assert {each["score"]: each["everyone"] for each in found["scores"]}["customer_score"] == 90.0


def test_nobody_has_no_profile() -> None:
    assert profiles().profile(np.zeros(0, dtype=np.int64)) == {"scores": [], "shares": [], "categories": []}


def test_where_nobody_may_be_used_there_is_no_division() -> None:
    assert profiles([False] * N).profile(np.zeros(0, dtype=np.int64))["categories"] == []
