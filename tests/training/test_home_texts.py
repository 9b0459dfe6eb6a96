"""The texts of a home: what the next bundle takes along, and how their mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.bundle import open_bundle
from serving.decisioning.policy import default_policy_text, parse_policy, with_values
from serving.decisioning.texts import shipped_texts
from serving.errors import PolicyError, TextsError
from tests.training.test_gate import AHEAD, with_bundle
from training.challenge_judging import in_a_language_that_ships
from training.gate import promote
from training.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def with_texts(home: Home, name: str, content: bytes) -> None:
    home.texts_folder.mkdir(exist_ok=True)
    (home.texts_folder / name).write_bytes(content)


def test_a_home_without_texts_has_none(home: Home) -> None:
    assert home.texts() == {}


def test_texts_are_told_by_language_and_other_files_are_left_alone(home: Home) -> None:
    english = shipped_texts()["en"].encode()
    with_texts(home, "en.toml", english)
    with_texts(home, "pirate.toml", english)
    with_texts(home, "notes.txt", b"later")
    assert home.texts() == {"en": english.decode(), "pirate": english.decode()}


@pytest.mark.parametrize("content", [b"[form]\n", b"not toml [", b"\xff\xfe"])
def test_mistakes_name_the_file_in_one_line(home: Home, content: bytes) -> None:
    with_texts(home, "en.toml", content)
    with pytest.raises(TextsError, match=r"texts/en.toml") as caught:
        home.texts()
    assert "\n" not in str(caught.value)


def test_a_language_that_has_no_texts_is_told_before_the_training(home: Home) -> None:
    home.policy_text()
    home.policy_path.write_text(with_values(home.policy_text(), {"actions.language": "fr"}))
    with pytest.raises(PolicyError, match=r"actions.language: there are no texts in 'fr'"):
        home.checked_texts()
    with_texts(home, "fr.toml", shipped_texts()["en"].encode())
    assert set(home.checked_texts()) == {"fr"}


def test_judging_challenges_needs_no_texts_of_ones_own() -> None:
    text = with_values(default_policy_text(), {"actions.language": "fr", "actions.max_items": 2})
    judged = parse_policy(in_a_language_that_ships(text))
    assert (judged.actions.language, judged.actions.max_items) == ("en", 2)
    german = with_values(default_policy_text(), {"actions.language": "de"})
    assert in_a_language_that_ships(german) == german


def test_a_new_policy_takes_the_texts_along(home: Home) -> None:
    version = with_bundle(home, AHEAD)
    promote(home.folder)
    with_texts(
        home, "en.toml", shipped_texts()["en"].replace("Your basket is still here", "Forgot something?").encode()
    )
    home.policy_text()
    promotion = promote(home.folder, policy=home.policy_path)
    assert promotion.version != version
    assert open_bundle(home.bundle(promotion.version)).texts == home.texts()


def test_texts_with_mistakes_are_not_promoted(home: Home) -> None:
    version = with_bundle(home, AHEAD)
    promote(home.folder)
    home.policy_text()
    with_texts(home, "en.toml", b"[form]\n")
    with pytest.raises(TextsError, match=r"texts/en.toml"):
        promote(home.folder, policy=home.policy_path)
    assert home.champion() == version
