"""What a bundle holds of offers and messages: refused when it contradicts itself, and without who was erased."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import bundle_checks
from serving.bundle import BundleContents, open_bundle, write_bundle
from serving.bundle_erase import write_without
from serving.bundle_offers import NO_CHANNEL
from serving.errors import BundleError
from tests.serving.tiny import CUSTOMERS, Rows, tiny_contents
from tests.serving.tiny_offers import no_offers


def changed(contents: BundleContents, group: str, field: str, place: int, value: Any) -> BundleContents:
    part = getattr(contents, group)
    values = getattr(part, field).copy()
    values[place] = value
    return replace(contents, **{group: replace(part, **{field: values})})


def refused(contents: BundleContents, folder: Path, told: str) -> None:
    with pytest.raises(BundleError, match=told) as caught:
        write_bundle(contents, folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("chunk", [1, 2, 1 << 20])
@pytest.mark.parametrize(
    ("group", "field", "place", "value", "told"),
    [
        ("response", "offer", 1, 0, "response.offer doesn't rise"),
        ("response", "offer", -1, 99, "response.offer has a value above"),
        ("offer_products", "product", 0, 15, "offer_products.product"),
        ("sends", "at_us", -1, 0, "sends.at_us is not in order of time"),
        ("sends", "channel", 0, NO_CHANNEL - 1, "sends.channel has a value below -1"),
        ("offers", "value", 0, -1.0, "offers.value has a value below 0"),
        ("contacts", "left", 0, -1, "contacts.left has a value below 0"),
    ],
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chunk: int,
    group: str,
    field: str,
    place: int,
    value: Any,
    told: str,
) -> None:
    monkeypatch.setattr(bundle_checks, "_CHUNK", chunk)
    refused(changed(tiny_contents(), group, field, place, value), tmp_path, told)


@pytest.mark.parametrize("chunk", [1, 3])
def test_the_sound_one_is_open_however_much_is_checked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(bundle_checks, "_CHUNK", chunk)
    bundle = open_bundle(tmp_path / write_bundle(tiny_contents(), tmp_path))
    assert len(bundle.offers.id) == 10


def test_offers_by_product_are_those_by_offer(tmp_path: Path) -> None:
    contents = tiny_contents()
    offer = contents.product_offers.offer.copy()
    offer[0] = (offer[0] + 1) % len(contents.offers.id)
    refused(
        replace(contents, product_offers=replace(contents.product_offers, offer=offer)),
        tmp_path,
        "product_offers.offer",
    )


def test_a_shop_without_offers_is_a_bundle(tmp_path: Path) -> None:
    bundle = open_bundle(tmp_path / write_bundle(tiny_contents(**no_offers(Rows())), tmp_path))
    assert len(bundle.offers.id) == len(bundle.response.offer) == 0


def test_an_erased_customer_leaves_no_row_in_any_group(tmp_path: Path) -> None:
    before = open_bundle(tmp_path / write_bundle(tiny_contents(), tmp_path))
    after = open_bundle(tmp_path / write_without(before.folder, ["cleo"], tmp_path))
    gone = list(before.customers.id).index("cleo")
    stays = np.arange(len(CUSTOMERS)) != gone
    for group in ("response", "redeemed", "sends"):
        old, new = getattr(before, group).offsets, getattr(after, group).offsets
        assert np.diff(new).tolist() == np.diff(old)[stays].tolist()
    assert after.contacts.n_sent.tolist() == before.contacts.n_sent[stays].tolist()
    assert after.sends.at_us.tolist() == [
        at_us
        for row in np.flatnonzero(stays)
        for at_us in before.sends.at_us[before.sends.offsets[row] : before.sends.offsets[row + 1]]
    ]
