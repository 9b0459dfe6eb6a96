"""A bundle without a customer: their rows are gone from every array, everybody else's are what they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serving.api import ChallengeRequest
from serving.bundle import Bundle, open_bundle, write_bundle
from serving.bundle_erase import holds_any, write_without
from serving.engine import Engine
from tests.serving.tiny import AS_OF, CUSTOMERS, tiny_contents


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bundles = tmp_path / "bundles"
    return bundles / write_bundle(tiny_contents(), bundles)


def without(folder: Path, *customer_ids: str) -> Bundle:
    return open_bundle(folder.parent / write_without(folder, customer_ids, folder.parent))


def test_the_others_get_the_very_answers_that_they_got_before(folder: Path) -> None:
    before, after = Engine(open_bundle(folder)), Engine(without(folder, "cleo", "emil"))
    for customer_id in set(CUSTOMERS) - {"cleo", "emil"}:
        request = ChallengeRequest(customer_id=customer_id)
        answers = [engine.challenge(request, AS_OF, "d") for engine in (before, after)]
        versions = [answer.pop("model_version") for answer in answers]  # type: ignore[misc] # the only thing that may differ
        assert answers[0] == answers[1]
        assert versions[0] != versions[1]


def test_nothing_of_the_customer_is_in_any_file(folder: Path) -> None:
    made = without(folder, "anna")
    assert "anna" not in list(made.customers.id)
    assert len(made.customers.churn) == len(CUSTOMERS) - 1 == len(made.habit.offsets) - 1
    assert not any(b"anna" in path.read_bytes() for path in made.folder.rglob("*") if path.is_file())
    assert any(b"anna" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_what_is_no_customers_stays(folder: Path) -> None:
    before, after = open_bundle(folder), without(folder, "anna")
    np.testing.assert_array_equal(before.also.score, after.also.score)
    np.testing.assert_array_equal(before.popular.product, after.popular.product)
    assert list(before.segments) == list(after.segments)
    assert before.manifest.as_of == after.manifest.as_of
    assert before.numbers == after.numbers


def test_a_customer_whom_it_does_not_know_changes_nothing(folder: Path) -> None:
    assert write_without(folder, ["nobody"], folder.parent) == folder.name
    assert not holds_any(folder, ["nobody"])
    assert holds_any(folder, ["nobody", "anna"])


def test_a_bundle_of_one_customer_becomes_one_of_none(folder: Path) -> None:
    made = without(folder, *CUSTOMERS)
    assert list(made.customers.id) == []
    assert Engine(made).challenge(ChallengeRequest(customer_id="anna"), AS_OF, "d")["cold_start"]


def test_it_keeps_its_place_among_the_bundles(folder: Path) -> None:
    made = without(folder, "anna").folder / "manifest.json"
    assert made.stat().st_mtime_ns == (folder / "manifest.json").stat().st_mtime_ns
