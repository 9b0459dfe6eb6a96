from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.errors import SettingsError
from serving.settings import Settings, read_settings

REDIS = "redis://shop:secret@cache.example:6380/2"


def test_without_variables_the_defaults_of_the_contract_hold() -> None:
    settings = read_settings({})

    assert (settings.home, settings.host, settings.port, settings.workers) == (Path(".tercet"), "127.0.0.1", 3000, 2)
    assert settings.now is None


def test_an_empty_variable_is_an_absent_one() -> None:
    assert read_settings({"TERCET_PORT": "", "TERCET_NOW": ""}).port == 3000


def test_settings_survive_the_way_through_the_environment(tmp_path: Path) -> None:
    settings = Settings(
        tmp_path, "::1", 3001, 4, datetime(2018, 1, 1, tzinfo=UTC), 1700000000.125, log_requests=True, traces=True
    )

    assert read_settings(settings.environment()) == settings
    assert read_settings(replace(settings, state=REDIS).environment()).state == REDIS


def test_what_keeps_the_state_is_named_without_its_password(tmp_path: Path) -> None:
    settings = Settings(tmp_path, state=REDIS)

    assert settings.state_name == "redis://cache.example:6380/2"
    assert "secret" not in repr(settings)
    assert Settings(tmp_path).state_name == str(tmp_path / "state" / "state.db")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost", "[::1]"])
def test_this_machine_may_be_named_in_all_its_ways(host: str) -> None:
    assert read_settings({"TERCET_HOST": host}).host in ("127.0.0.1", "127.0.0.2", "::1")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "8.8.8.8"])
def test_other_machines_are_let_in_by_their_keys_only(host: str) -> None:
    settings = read_settings({"TERCET_HOST": host})

    assert settings.needs_keys
    assert read_settings(settings.environment()).needs_keys


def test_keys_are_off_elsewhere_only_where_that_is_said() -> None:
    settings = read_settings({"TERCET_HOST": "0.0.0.0", "TERCET_KEYS": "off"})

    assert not settings.needs_keys
    assert settings.keys_nowhere
    assert read_settings(settings.environment()).keys_nowhere


def test_keys_may_be_asked_for_on_this_machine_as_well() -> None:
    assert not read_settings({}).needs_keys
    assert read_settings({"TERCET_KEYS": "required"}).needs_keys
    assert read_settings(read_settings({"TERCET_KEYS": "required"}).environment()).needs_keys
    with pytest.raises(SettingsError, match="TERCET_KEYS: 'never' is none of auto, required, off"):
        read_settings({"TERCET_KEYS": "never"})


def test_a_server_that_listens_everywhere_is_found_on_this_machine(tmp_path: Path) -> None:
    assert Settings(tmp_path, host="0.0.0.0", port=3001).url == "http://127.0.0.1:3001"
    assert Settings(tmp_path, host="::", port=3001).url == "http://[::1]:3001"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TERCET_HOST", "my-shop.example"),
        ("TERCET_PORT", "0"),
        ("TERCET_PORT", "65536"),
        ("TERCET_PORT", "three thousand"),
        ("TERCET_PORT", "-1"),
        ("TERCET_PORT", "٣٠٠٠"),
        ("TERCET_WORKERS", "0"),
        ("TERCET_WORKERS", "1.5"),
        ("TERCET_NOW", "noon"),
        ("TERCET_NOW", "2018-01-01T00:00:00"),
        ("TERCET_NOW", "0001-01-01T00:00:00+14:00"),
        ("TERCET_STARTED_AT", "early"),
        ("TERCET_LOG", "everything"),
        ("TERCET_TRACES", "yes"),
    ],
)
def test_a_wrong_option_is_named_in_one_line(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: [^\n]+$"):
        read_settings({name: text})


def test_an_address_of_version_6_is_written_as_browsers_want_it(tmp_path: Path) -> None:
    assert Settings(tmp_path, host="::1").url == "http://[::1]:3000"


def test_two_servers_of_one_home_share_no_folder(tmp_path: Path) -> None:
    assert Settings(tmp_path, port=3000).folder != Settings(tmp_path, port=3001).folder


def test_the_state_may_be_named_in_a_file(tmp_path: Path) -> None:
    named = tmp_path / "state_url"
    named.write_text("redis://:secret@redis:6379/0\n")
    assert read_settings({"TERCET_STATE_FILE": str(named)}).state == "redis://:secret@redis:6379/0"
    assert read_settings({"TERCET_STATE_FILE": str(named), "TERCET_STATE": "file"}).state == "file"
    assert read_settings({"TERCET_STATE_FILE": ""}).state == "file"


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_file_without_a_state_is_named(tmp_path: Path, content: str | None) -> None:
    named = tmp_path / "state_url"
    if content is not None:
        named.write_text(content)
    with pytest.raises(SettingsError, match=f"TERCET_STATE_FILE: {named}"):
        read_settings({"TERCET_STATE_FILE": str(named)})
