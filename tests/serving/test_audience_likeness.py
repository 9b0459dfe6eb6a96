from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from serving import bundle_format as fmt
from serving.audience_likeness import _SCORES, _SHRINKING, Likeness, _shrunk
from serving.strings import StringTable
from tests.serving.tiny import tiny_contents

N, N_CATEGORIES = 400, 12
RNG = np.random.default_rng(5)


def crowd() -> fmt.BundleArrays:
    """400 customers whose scores and chances are noise, but for the first 100, who love category 3 and spend more."""
    tiny = tiny_contents()
    noise: dict[str, Any] = {name: RNG.random(N).astype(np.float32) for name in _SCORES if name != "n_baskets"}
    noise["value"][:100] += 2.0
    noise["usual_price"][7] = np.nan
    customers = replace(
        tiny.customers,
        id=StringTable.of(map(str, range(N))),
        **noise,
        n_baskets=RNG.integers(1, 40, N).astype(np.int32),
    )
    chance = (RNG.random((N, N_CATEGORIES)) * 0.2).astype(np.float32)
    chance[:100, 3] += 0.5
    is_listed = RNG.random((N, N_CATEGORIES)) < 0.7
    is_listed[5] = False  # a customer of whom no category is known
    is_listed[N - 1] = False
    owner, category = np.nonzero(is_listed)
    offsets = np.zeros(N + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner, minlength=N), out=offsets[1:])
    categories = replace(tiny.categories, name=StringTable.of(map(str, range(N_CATEGORIES))))
    propensity = fmt.Propensities.of(offsets, category.astype(np.int32), chance[is_listed])
    return replace(tiny, customers=customers, categories=categories, propensity=propensity)


@pytest.fixture(scope="module")
def arrays() -> fmt.BundleArrays:
    return crowd()


@pytest.fixture(scope="module")
def likeness(arrays: fmt.BundleArrays) -> Likeness:
    return Likeness(arrays, np.ones(N, dtype=np.bool_))


def slow_similarity(arrays: fmt.BundleArrays, seeds: list[int]) -> npt.NDArray[np.float64]:
    """The same by the definition: whole vectors, one customer at a time."""
    customers, propensity = arrays.customers, arrays.propensity
    churn = np.clip(customers.churn.astype(np.float64), 1e-4, 1 - 1e-4)
    scores = [
        np.log(churn / (1 - churn)),
        *(np.log1p(getattr(customers, name).astype(np.float64)) for name in ("next_days", "value")),
        customers.score.astype(np.float64),
        np.log1p(customers.usual_price.astype(np.float64)),
        customers.private_label.astype(np.float64),
        np.log1p(customers.n_baskets),
    ]
    dense = np.stack([np.nan_to_num((each - np.nanmean(each)) / np.nanstd(each)) for each in scores], axis=1)
    chances, owners = np.zeros((N, N_CATEGORIES)), np.repeat(np.arange(N), np.diff(propensity.offsets))
    p28 = propensity.p28.read(owners, slice(None))
    for customer in range(N):
        for e in range(propensity.offsets[customer], propensity.offsets[customer + 1]):
            chances[customer, propensity.category[e]] = p28[e]
    vectors = np.hstack([dense, (chances - chances.mean(axis=0)) / np.maximum(chances.std(axis=0), 0.02)])
    weights = np.zeros(vectors.shape[1])
    for j, column in enumerate(vectors[seeds].T):
        t_squared = len(seeds) * column.mean() ** 2 / max(column.var(), 0.05)
        weights[j] = column.mean() * max(0.0, 1 - _SHRINKING / t_squared)
    cosine = [each @ weights / (np.linalg.norm(each) * np.linalg.norm(weights)) for each in vectors]
    return np.array([min(max(each, 0.0), 1.0) for each in cosine])


def test_similarity_is_the_weighted_cosine(arrays: fmt.BundleArrays, likeness: Likeness) -> None:
    seeds = list(range(0, 60, 2))
    assert likeness.similarity(np.array(seeds)) == pytest.approx(slow_similarity(arrays, seeds), abs=1e-4)


def test_the_like_of_the_seeds_come_first(likeness: Likeness) -> None:
    seeds = np.arange(0, 60, 2)
    similarity = likeness.similarity(seeds)
    similarity[seeds] = 0.0
    first = np.argsort(-similarity)[:50]
    assert (first < 100).mean() >= 0.9


def test_seeds_that_are_like_anybody_have_no_like(arrays: fmt.BundleArrays) -> None:
    everybody = Likeness(arrays, np.ones(N, dtype=np.bool_)).similarity(np.arange(N))
    assert everybody.tolist() == [0.0] * N


def test_one_seed_is_most_like_itself(likeness: Likeness) -> None:
    assert int(np.argmax(likeness.similarity(np.array([17])))) == 17


def test_distances_count_from_those_who_may_be_used(arrays: fmt.BundleArrays) -> None:
    among = np.arange(N) >= 100
    means = Likeness(arrays, among).category_means
    assert means[3] == pytest.approx(Likeness(arrays, among).category_means_of(np.flatnonzero(among))[3])
    assert means[3] < 0.2


def test_what_the_seeds_share_by_chance_weighs_nothing() -> None:
    # t is 2 in the first column and 6 in the second: 9 is drawn off its square.
    weights = _shrunk(np.array([0.5, 1.5, -1.5]), np.ones(3), 16)
    assert weights == pytest.approx([0.0, 1.5 * (1 - 9 / 36), -1.5 * (1 - 9 / 36)])


def test_a_shop_without_customers_is_no_error() -> None:
    tiny = tiny_contents()
    nobody = {name: getattr(tiny.customers, name)[:0] for name in _SCORES}
    customers = replace(tiny.customers, id=StringTable.of([]), **nobody)
    none = fmt.Propensities.of(np.zeros(1, dtype=np.int64), np.empty(0, "<i4"), np.empty(0, "<f4"))
    likeness = Likeness(replace(tiny, customers=customers, propensity=none), np.zeros(0, dtype=np.bool_))
    assert likeness.n_customers == 0
    assert likeness.category_means.tolist() == [0.0] * len(tiny.categories.name)
