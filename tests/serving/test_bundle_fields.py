"""Walking the columns of a bundle: which grow with customers, and which are stored narrower."""

from __future__ import annotations

import numpy as np

from serving.bundle import Bundle
from serving.bundle_fields import all_columns, assemble, flatten, grown_by_customers, is_narrowed
from serving.bundle_format import BundleArrays


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
