from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from features.errors import DataContractError
from training import cli


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.run(list(arguments))
    out, err = capsys.readouterr()
    return status, out, err


VERBS = sorted(command.callback.__name__ for command in cli.app.registered_commands if command.callback)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example_in_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = call(capsys, verb, "--help")
    assert (status, err) == (0, "")
    assert f"Example: tercet {verb}" in out


def test_without_a_verb_the_verbs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys)
    assert status == 0
    assert all(verb in out for verb in VERBS)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("chekc", "x"), "chekc"),
        (("train",), "SOURCE"),
        (("train", "x", "--engine", "pandas"), "pandas"),
        (("train", "x", "--as-of", "yesterday"), "yesterday"),
        (("train", "x", "--as-of", "2017-12-04T05:00:00"), "zone"),
        (("batch", "challenge"), "--out"),
        (("batch", "horoscope", "--out", "x"), "horoscope"),
        (("batch", "scores", "--out", "x", "--k", "0"), "--k"),
        (("batch", "scores", "--out", "x", "--customers", "nowhere.csv"), "nowhere.csv"),
        (("serve", "--port", "70000"), "TERCET_PORT"),
        (("serve", "--now", "soon"), "TERCET_NOW"),
    ],
)
def test_a_wrong_call_is_two_and_one_line(
    arguments: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = call(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("tercet: ")
    assert err.count("\n") == 1
    assert named in err


def test_a_source_that_is_not_there_is_one_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = call(capsys, "check", str(tmp_path / "nowhere"), "--home", str(tmp_path / "home"))
    assert (status, out) == (1, "")
    assert err.startswith("tercet: ")
    assert err.count("\n") == 1


def test_check_prints_the_report_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "check", "synthetic:customers=30,weeks=10", "--home", str(tmp_path))
    assert status == 0
    assert "transactions" in out
    assert not out.startswith("tercet")


def test_train_hands_over_what_was_asked_and_prints_the_version_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    fake = types.ModuleType("training.pipeline")

    def train(*arguments: object, state: str) -> str:
        asked.extend((*arguments[:-1], state))
        return "20250629-0a1b2c3d"

    fake.train = train  # type: ignore[attr-defined] # a fake module
    monkeypatch.setitem(sys.modules, "training.pipeline", fake)
    monkeypatch.setattr("training.pipeline", fake, raising=False)
    status, out, _ = call(capsys, "train", "shop", "--quick", "--engine", "spark", "--home", str(tmp_path))
    assert (status, out) == (0, "20250629-0a1b2c3d\n")
    assert asked == ["shop", tmp_path, None, "spark", True, "file"]


def test_the_home_comes_from_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERCET_HOME", str(tmp_path / "there"))
    call(capsys, "check", "synthetic:customers=30,weeks=10")
    assert (tmp_path / "there" / "features").is_dir()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DataContractError("lines.csv: no column order_id"), "tercet: lines.csv: no column order_id\n"),
        (
            ModuleNotFoundError("No module named 'duckdb'", name="duckdb.experimental"),
            "tercet: this needs duckdb, which a serving-only installation does not have: "
            "install tercet[train] for it\n",
        ),
        (PermissionError(13, "Permission denied", "/shop"), "tercet: /shop: Permission denied\n"),
    ],
)
def test_what_we_raise_is_told_in_one_line(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("training.opening.prepare", fail)
    assert call(capsys, "check", "shop") == (1, "", said)
