"""API keys: made, kept as hashes, found again, and taken up while a server runs."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.api_keys import FILE_NAME, ApiKeys, KeysFile, Scope, change_keys, new_key, read_keys, write_keys
from serving.errors import KeysError

STOREFRONT = frozenset({Scope.STOREFRONT})


def test_a_key_is_found_by_what_its_owner_shows_and_by_nothing_else(tmp_path: Path) -> None:
    token, key = new_key("web", STOREFRONT, 5)
    other, _ = new_key("app", STOREFRONT)
    write_keys(tmp_path, ApiKeys().with_key(key))

    keys = read_keys(tmp_path)

    assert keys.find(token) == key
    assert keys.find(other) is None
    assert keys.find(token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    assert keys.find(key.sha256) is None


@given(st.text())
def test_no_text_opens_a_shop_by_chance(text: str) -> None:
    _, key = new_key("web", STOREFRONT)

    assert ApiKeys().with_key(key).find(text) is None
    assert ApiKeys().find(text) is None


def test_the_file_holds_no_key_and_is_for_its_owner_only(tmp_path: Path) -> None:
    token, key = new_key("web", STOREFRONT)
    write_keys(tmp_path, ApiKeys().with_key(key))
    path = tmp_path / FILE_NAME

    assert token not in path.read_text("utf-8")
    secret = token.removeprefix(f"tercet_{key.id}_")  # may hold the separator itself
    assert len(secret) > 40
    assert secret not in path.read_text("utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [FILE_NAME]


def test_names_are_unique_and_revoking_needs_one_that_is_there() -> None:
    keys = ApiKeys().with_key(new_key("web", STOREFRONT)[1])

    with pytest.raises(KeysError, match="there is a key named 'web'"):
        keys.with_key(new_key("web", STOREFRONT)[1])
    with pytest.raises(KeysError, match="no key named 'app'.*tercet keys list"):
        keys.without("app")
    assert keys.without("web") == ApiKeys()


@pytest.mark.parametrize("name", ["", "-web", "a" * 65, "web shop", "web\nshop", "../web", "w/b"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(KeysError, match="a key's name"):
        new_key(name, STOREFRONT)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_limits_are_above_nothing(limit: float) -> None:
    with pytest.raises(KeysError, match="above 0"):
        new_key("web", STOREFRONT, limit)


def test_a_key_opens_something() -> None:
    with pytest.raises(KeysError, match="needs a scope: storefront, analyst, admin"):
        new_key("web", ())


def put_in_place(home: Path, text: str) -> None:
    """Put another file there: one that is written to at once again may keep its time where clocks tick slowly."""
    draft = home / "draft"
    draft.write_text(text, encoding="utf-8")
    draft.replace(home / FILE_NAME)


def kept(**changes: object) -> str:
    row = {"id": "0a1b2c3d", "name": "web", "sha256": "0" * 64, "scopes": ["storefront"], "per_second": None}
    return json.dumps({"keys": [{**row, **changes}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"keys": 3}',
        '{"keys": [null]}',
        '{"keys":' + "[" * 6000,
        kept(id="xyz"),
        kept(name="web shop"),
        kept(sha256=""),
        kept(scopes=[]),
        kept(scopes=["root"]),
        kept(per_second=-1),
        kept(per_second="many"),
        json.dumps({"keys": 2 * json.loads(kept())["keys"]}),
    ],
)
def test_a_damaged_file_is_refused_with_its_name_and_what_is_in_force_stands(tmp_path: Path, text: str) -> None:
    token, key = new_key("web", STOREFRONT)
    write_keys(tmp_path, ApiKeys().with_key(key))
    file = KeysFile(tmp_path)
    file.take_up()
    put_in_place(tmp_path, text)

    with pytest.raises(KeysError, match=FILE_NAME):
        read_keys(tmp_path)
    assert file.has_news()
    file.take_up()
    assert file.current.find(token) == key
    assert not file.has_news()


def test_nobody_gets_in_by_a_file_that_was_damaged_from_the_start(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("{", encoding="utf-8")
    file = KeysFile(tmp_path)

    file.take_up()

    assert file.current == ApiKeys()


def test_what_is_sound_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(kept(per_second=2), encoding="utf-8")

    assert read_keys(tmp_path).by_id["0a1b2c3d"].per_second == 2.0


def test_a_file_that_goes_away_takes_its_keys_along(tmp_path: Path) -> None:
    token, key = new_key("web", STOREFRONT)
    write_keys(tmp_path, ApiKeys().with_key(key))
    file = KeysFile(tmp_path)
    file.take_up()
    (tmp_path / FILE_NAME).unlink()

    assert file.has_news()
    file.take_up()

    assert file.current.find(token) is None


def test_of_many_who_add_keys_at_once_nobody_loses_theirs(tmp_path: Path) -> None:
    made = [new_key(f"key-{n}", STOREFRONT)[1] for n in range(24)]

    def add(n: int) -> None:
        change_keys(tmp_path, lambda keys: keys.with_key(made[n]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(len(made))))

    assert {key.name for key in read_keys(tmp_path).by_id.values()} == {key.name for key in made}


def test_a_change_that_is_refused_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="no key named"):
        change_keys(tmp_path, lambda keys: keys.without("web"))

    assert not (tmp_path / FILE_NAME).exists()
