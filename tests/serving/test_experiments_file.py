"""The home's `experiments.toml`: written, taken up, and refused when it has mistakes."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from serving.errors import ExperimentsError
from serving.experiments_file import ExperimentsFile, read_experiments
from serving.experiments_toml import default_experiments, default_experiments_text


def write(home: Path, share: str) -> None:
    home.mkdir(exist_ok=True)
    draft = home / "draft"
    draft.write_text(default_experiments_text().replace("share = 0.0 ", f"share = {share} "))
    draft.replace(home / "experiments.toml")


def test_the_file_is_written_with_the_defaults_where_it_is_missing(tmp_path: Path) -> None:
    assert read_experiments(tmp_path / "home") == default_experiments()
    assert (tmp_path / "home" / "experiments.toml").read_text() == default_experiments_text()


def test_a_file_with_mistakes_is_named_with_them(tmp_path: Path) -> None:
    write(tmp_path, "0.9")
    with pytest.raises(ExperimentsError, match=r"experiments.toml: holdout.share: must lie in 0 to 0.5, found 0.9"):
        read_experiments(tmp_path)


def test_a_change_is_taken_up_once(tmp_path: Path) -> None:
    file = ExperimentsFile(tmp_path)
    assert file.has_news()
    assert not file.take_up()
    assert not file.has_news()
    write(tmp_path, "0.1")
    assert file.has_news()
    assert file.take_up()
    assert file.current.holdout.share == 0.1
    assert not file.has_news()


def test_a_broken_file_is_refused_in_the_log_and_the_old_one_stands(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "0.1")
    file = ExperimentsFile(tmp_path)
    file.take_up()
    write(tmp_path, "0.9")
    with caplog.at_level(logging.ERROR):
        assert not file.take_up()
    assert "experiments refused, what was in force stands" in caplog.text
    assert "holdout.share: must lie in 0 to 0.5" in caplog.text
    assert file.current.holdout.share == 0.1
    assert not file.has_news()
    write(tmp_path, "0.2")
    assert file.take_up()
    assert file.current.holdout.share == 0.2


def test_a_worker_that_starts_on_a_broken_file_goes_by_the_last_sound_one(tmp_path: Path) -> None:
    write(tmp_path, "0.1")
    ExperimentsFile(tmp_path).take_up()
    write(tmp_path, "0.9")
    file = ExperimentsFile(tmp_path)
    assert file.take_up()
    assert file.current.holdout.share == 0.1


def test_without_any_sound_file_nobody_is_held_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "x")
    file = ExperimentsFile(tmp_path)
    with caplog.at_level(logging.ERROR):
        assert not file.take_up()
    assert "nobody is held out and nothing runs" in caplog.text
    assert file.current == default_experiments()


def test_a_file_that_is_taken_away_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, "0.1")
    file = ExperimentsFile(tmp_path)
    file.take_up()
    (tmp_path / "experiments.toml").unlink()
    assert not file.has_news()
    assert file.current.holdout.share == 0.1
