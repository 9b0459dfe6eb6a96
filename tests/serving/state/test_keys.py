from __future__ import annotations

import pytest

from features.identities import normalised
from serving.state.keys import Hashes, log_key, person_key

HASHES = Hashes(b"k" * 32)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", "Ann@Example.com", " ann@example.COM "),
        ("Email", "ann@example.com", "ANN@EXAMPLE.COM"),
        ("phone", "+49 30 1234-567", "0049301234567"[2:]),
        ("loyalty_card", "A1 ", "A1"),
    ],
)
def test_the_same_value_in_another_form_has_the_same_name(kind: str, one: str, other: str) -> None:
    assert HASHES.identity_name(kind, one) == HASHES.identity_name(kind.casefold(), other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(("loyalty_card", "a1"), ("loyalty_card", "A1")), (("email", "a@b"), ("device", "a@b"))],
)
def test_another_value_or_kind_has_another_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert HASHES.identity_name(*one).split(":")[1] != HASHES.identity_name(*other).split(":")[1]


@pytest.mark.parametrize(("kind", "value"), [("phone", "none"), ("email", "  "), ("device", "")])
def test_an_empty_value_names_nobody(kind: str, value: str) -> None:
    assert normalised(kind, value) == ""
    assert HASHES.identity_name(kind, value) == ""


def test_a_hash_depends_on_key_and_purpose_and_tells_neither_id_nor_value() -> None:
    names = {HASHES.of("event", "e1"), HASHES.of("erased", "e1"), Hashes(b"j" * 32).of("event", "e1")}
    assert len(names) == 3
    assert "ann" not in HASHES.identity_name("email", "ann@example.com").replace("email", "")


def test_ids_with_separators_have_keys_of_their_own() -> None:
    assert log_key("a/b", "c") != log_key("a", "b/c")
    assert person_key("ü/ß") == "person/%C3%BC%2F%C3%9F"
