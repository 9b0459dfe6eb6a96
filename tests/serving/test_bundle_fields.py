"""Walking the columns of a bundle: which grow with customers, and which are stored narrower."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from serving.api import ChallengeRequest, RecommendationsRequest, ScoresRequest
from serving.api_codes import Intent
from serving.api_offers import OffersRequest
from serving.bundle import Bundle
from serving.bundle_fields import Values, all_columns, assemble, flatten, grown_by_customers, is_narrowed
from serving.bundle_format import BundleArrays
from serving.channels import Channel
from serving.engine import Engine
from serving.shares import Shares
from tests.serving.tiny import AS_OF, CUSTOMERS


def test_what_grows_with_customers_is_theirs_and_their_lists() -> None:
    grown = grown_by_customers()
    assert {"customers.id", "customers.hash", "habit.p7", "habit.offsets", "discover.top", "sends.at_us"} <= grown
    assert not {"products.type", "usual.product", "novelty.offsets", "also.product", "segments"} & grown


def test_whole_numbers_of_customers_are_narrowed_but_hashes() -> None:
    whole, wide, real = np.dtype("<i4"), np.dtype("<u8"), np.dtype("<f4")
    assert is_narrowed("habit.type", whole)
    assert not is_narrowed("customers.hash", wide)
    assert not is_narrowed("customers.value", real)
    assert not is_narrowed("products.type", whole)


def test_a_bundle_is_put_together_from_its_columns(tiny_bundle: Bundle) -> None:
    columns = dict(flatten(tiny_bundle))
    assert list(columns) == list(all_columns())
    assert dict(flatten(BundleArrays(**assemble(columns)))) == columns


def test_a_bundle_holds_what_it_must_and_no_wider(tiny_bundle: Bundle) -> None:
    assert tiny_bundle.habit.offsets.dtype == np.int8
    assert tiny_bundle.customers.channel.dtype == np.int8  # -1: not known
    assert tiny_bundle.again.last_day.dtype == np.int16
    assert tiny_bundle.products.type.dtype == np.int32


def as_wide_as_can_be(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    dtype = all_columns()[name].dtype
    return values.astype("<u2" if dtype == "share" else dtype)


def without_a_sign(_name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.astype(f"<u{values.itemsize}") if values.size and values.min() >= 0 else values


def answers(bundle: Bundle) -> Iterator[object]:
    engine, at = Engine(bundle), AS_OF + timedelta(hours=12)
    yield engine.scores(ScoresRequest(customer_ids=[*CUSTOMERS]), at, "")
    for each in CUSTOMERS:
        yield engine.challenge(ChallengeRequest(customer_id=each), at, "")
        yield engine.offers(OffersRequest(customer_id=each, channel=Channel.WEB), at, "")
        for intent in Intent:
            yield engine.recommendations(RecommendationsRequest(customer_id=each, intent=intent, k=20), at, "")


@pytest.mark.parametrize("stored", [as_wide_as_can_be, without_a_sign])
def test_answers_are_the_same_however_wide_numbers_are_stored(
    tiny_bundle: Bundle, stored: Callable[[str, npt.NDArray[Any]], npt.NDArray[Any]]
) -> None:
    columns: dict[str, Values] = dict(flatten(tiny_bundle))
    for name, values in columns.items():
        if isinstance(values, Shares):
            columns[name] = Shares(stored(name, values.codes))
        elif isinstance(values, np.ndarray) and is_narrowed(name, np.dtype(all_columns()[name].dtype)):
            columns[name] = stored(name, values)
    assert list(answers(replace(tiny_bundle, **assemble(columns)))) == list(answers(tiny_bundle))
