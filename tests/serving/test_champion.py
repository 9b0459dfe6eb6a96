from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from serving.champion import AGAIN_SECONDS, Champion, bundle_folder, read_champion, write_champion
from serving.errors import BundleError

FIRST, SECOND = "20180101-aaaaaaaa", "20180108-bbbbbbbb"


def open_engine(folder: Path) -> str:
    """Stand in for the engine: its folder's name, or a refusal where the folder is called bad."""
    if folder.name.startswith("bad"):
        raise BundleError("manifest.json: not ours")
    return folder.name


@pytest.fixture
def champion(tmp_path: Path) -> Champion[str]:
    return Champion(tmp_path, open_engine)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_champion(tmp_path / "new", FIRST)

    assert read_champion(tmp_path / "new") == FIRST
    assert (tmp_path / "new" / "champion").read_text() == FIRST + "\n"


@pytest.mark.parametrize("text", ["", "\n", "../../etc", "two\nlines", "a/b", ".hidden", "x" * 101])
def test_a_pointer_that_names_no_version_names_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "champion").write_text(text)

    assert read_champion(tmp_path) is None


def test_a_pointer_that_is_no_text_names_nothing(tmp_path: Path) -> None:
    (tmp_path / "champion").write_bytes(b"\xff\xfe")

    assert read_champion(tmp_path) is None


def test_only_a_version_can_be_made_champion(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a bundle's version"):
        write_champion(tmp_path, "../elsewhere")


def test_without_a_pointer_nothing_serves(champion: Champion[str]) -> None:
    assert not champion.has_news()
    assert not champion.take_up()
    assert champion.current is None


def test_the_first_champion_and_the_next_are_taken_up(champion: Champion[str], tmp_path: Path) -> None:
    for version in (FIRST, SECOND):
        write_champion(tmp_path, version)

        assert champion.has_news()
        assert champion.take_up()
        assert champion.current is not None
        assert (champion.current.version, champion.current.engine) == (version, bundle_folder(tmp_path, version).name)


def test_what_serves_already_is_no_news(champion: Champion[str], tmp_path: Path) -> None:
    write_champion(tmp_path, FIRST)
    champion.take_up()

    assert not champion.has_news()
    assert not champion.take_up()


def test_the_same_version_named_again_is_not_opened_again(champion: Champion[str], tmp_path: Path) -> None:
    write_champion(tmp_path, FIRST)
    champion.take_up()
    serving = champion.current
    write_champion(tmp_path, FIRST)

    assert not champion.take_up()
    assert champion.current is serving


def test_a_bad_bundle_is_refused_in_a_line_and_the_old_one_serves_on(
    champion: Champion[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_champion(tmp_path, FIRST)
    champion.take_up()
    write_champion(tmp_path, "bad-one")

    with caplog.at_level(logging.ERROR):
        assert not champion.take_up()

    assert champion.current is not None
    assert champion.current.version == FIRST
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        f"bundle bad-one refused, {FIRST} serves on: manifest.json: not ours"
    ]
    assert not champion.has_news()


def test_a_refused_bundle_is_tried_again_when_it_is_named_again(champion: Champion[str], tmp_path: Path) -> None:
    write_champion(tmp_path, "bad-one")
    champion.take_up()
    write_champion(tmp_path, "bad-one")

    assert champion.has_news()


def test_a_pointer_that_goes_away_leaves_what_serves(champion: Champion[str], tmp_path: Path) -> None:
    write_champion(tmp_path, FIRST)
    champion.take_up()
    (tmp_path / "champion").unlink()

    assert not champion.take_up()
    assert champion.current is not None


def test_a_process_that_begins_while_a_bad_one_is_named_serves_what_served_last(
    champion: Champion[str], tmp_path: Path
) -> None:
    write_champion(tmp_path, FIRST)
    champion.take_up()
    write_champion(tmp_path, "bad-one")
    begun: Champion[str] = Champion(tmp_path, open_engine)

    assert begun.take_up()
    assert begun.current is not None
    assert begun.current.version == FIRST


def test_a_process_that_begins_with_a_bad_one_and_nothing_before_serves_nothing(
    champion: Champion[str], tmp_path: Path
) -> None:
    write_champion(tmp_path, "bad-one")

    assert not champion.take_up()
    assert champion.current is None


def test_what_is_refused_is_named_until_what_serves_is_named_again(champion: Champion[str], tmp_path: Path) -> None:
    refused = []
    for version in (FIRST, "bad-one", FIRST, "bad-two", SECOND):
        write_champion(tmp_path, version)
        champion.take_up()
        refused.append(champion.refused)

    assert refused == [None, "bad-one", None, "bad-two", None]


@pytest.mark.parametrize("wanting", [OSError(errno.EMFILE, "too many open files"), MemoryError()])
def test_what_fails_for_want_of_something_is_tried_again_soon(tmp_path: Path, wanting: Exception) -> None:
    now, fails = [0.0], [True]

    def open_when_it_can(folder: Path) -> str:
        if fails[0]:
            raise BundleError("can't be read") from wanting
        return folder.name

    champion: Champion[str] = Champion(tmp_path, open_when_it_can, clock=lambda: now[0])
    write_champion(tmp_path, FIRST)
    assert champion.has_news()
    assert not champion.take_up()
    assert (champion.refused, champion.has_news()) == (FIRST, False)

    fails[0], now[0] = False, AGAIN_SECONDS
    assert champion.has_news()
    assert champion.take_up()
    assert champion.refused is None


def test_a_pointer_that_can_not_be_read_for_want_of_descriptors_is_read_later(
    champion: Champion[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_champion(tmp_path, FIRST)
    with monkeypatch.context() as patch:
        patch.setattr("serving.champion.read_champion", _no_descriptors)
        assert not champion.take_up()

    assert champion.take_up()


def _no_descriptors(_home: Path) -> str:
    raise OSError(errno.EMFILE, "Too many open files")
