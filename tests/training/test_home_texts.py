"""The texts of a home: what the next bundle takes along, and how their mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.decisioning.texts import shipped_texts
from serving.errors import TextsError
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
