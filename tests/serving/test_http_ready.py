from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.http_ready import ReadyBoard


@pytest.fixture
def board(tmp_path: Path) -> ReadyBoard:
    return ReadyBoard(tmp_path / "ready")


def report(folder: Path, pid: int, version: str) -> None:
    (folder / str(pid)).unlink(missing_ok=True)
    (folder / f"{pid}{'.serves' if version else ''}").touch()


def test_a_worker_that_serves_nothing_holds_ready_back(board: ReadyBoard) -> None:
    board.report(None)
    assert not board.are_all()

    board.report("20180101-aaaaaaaa")
    assert board.are_all()


def test_another_worker_that_serves_nothing_holds_it_back_too(board: ReadyBoard, tmp_path: Path) -> None:
    board.report("20180101-aaaaaaaa")
    report(tmp_path / "ready", os.getppid(), "")
    assert not board.are_all()

    report(tmp_path / "ready", os.getppid(), "20180101-aaaaaaaa")
    assert board.are_all()


def test_a_worker_that_has_gone_does_not_count(board: ReadyBoard, tmp_path: Path) -> None:
    board.report("20180101-aaaaaaaa")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    report(tmp_path / "ready", gone.pid, "")

    assert board.are_all()
    assert [each.name for each in (tmp_path / "ready").iterdir()] == [f"{os.getpid()}.serves"]


def test_a_worker_that_ends_leaves_nothing_behind(board: ReadyBoard, tmp_path: Path) -> None:
    board.report("20180101-aaaaaaaa")
    board.leave()

    assert list((tmp_path / "ready").iterdir()) == []


def test_a_worker_of_its_own_needs_no_board() -> None:
    alone = ReadyBoard()
    alone.report(None)

    assert alone.are_all()


def test_a_board_that_can_not_be_written_is_no_reason_to_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    board = ReadyBoard(tmp_path / "file" / "ready")
    board.report(None)
    board.report("20180101-aaaaaaaa")
    board.leave()

    assert board.are_all()
    assert "can't note" in caplog.text
