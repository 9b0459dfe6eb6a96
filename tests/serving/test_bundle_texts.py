"""A merchant's own texts in a bundle: kept as they are, checked when written and opened, part of its version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from serving.bundle import BundleContents, open_bundle, write_bundle, write_with_policy
from serving.bundle_erase import write_without
from serving.decisioning.policy import default_policy_text, with_values
from serving.decisioning.texts import shipped_texts
from serving.errors import BundleError
from tests.serving.tiny import tiny_contents

OWN = {"en": shipped_texts()["en"].replace("Your basket is still here", "Forgot something?")}


def contents(language: str = "en", **texts: str) -> BundleContents:
    return replace(tiny_contents({"actions.language": language}), texts=texts or OWN)


def test_texts_come_back_as_they_were_and_make_another_version(tmp_path: Path) -> None:
    version = write_bundle(contents(), tmp_path)
    assert open_bundle(tmp_path / version).texts == OWN
    assert write_bundle(contents(), tmp_path) == version != write_bundle(tiny_contents(), tmp_path)


def test_without_texts_there_is_no_folder_for_them(tmp_path: Path) -> None:
    folder = tmp_path / write_bundle(tiny_contents(), tmp_path)
    assert not (folder / "texts").exists()
    assert open_bundle(folder).texts == {}


def test_texts_with_mistakes_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"texts/fr.toml: .*form: this section is missing"):
        write_bundle(contents(fr="[messages]\n"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_language_without_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"policy.toml: actions.language: there are no texts in 'fr', only in de, en"):
        write_bundle(contents("fr"), tmp_path)
    folder = tmp_path / write_bundle(contents("fr", fr=OWN["en"]), tmp_path)
    assert open_bundle(folder).policy.actions.language == "fr"


def test_texts_that_were_changed_in_place_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / write_bundle(contents(), tmp_path)
    path = folder / "texts" / "en.toml"
    path.write_text(path.read_text().replace("Forgot something?", "Forgot nothing at"))
    with pytest.raises(BundleError, match=r"texts/en.toml (is damaged|has \d+ bytes)"):
        open_bundle(folder)


def test_another_policy_keeps_the_texts_unless_it_brings_others(tmp_path: Path) -> None:
    folder = tmp_path / write_bundle(contents(), tmp_path)
    text = with_values(default_policy_text(), {"reward.kind": "points"})
    assert open_bundle(tmp_path / write_with_policy(folder, text, tmp_path)).texts == OWN
    assert open_bundle(tmp_path / write_with_policy(folder, text, tmp_path, {})).texts == {}


def test_an_erasure_keeps_the_texts(tmp_path: Path) -> None:
    folder = tmp_path / write_bundle(contents(), tmp_path)
    assert open_bundle(tmp_path / write_without(folder, ["anna"], tmp_path)).texts == OWN
