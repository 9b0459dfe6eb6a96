"""What a killed writer of a bundle left behind goes; what somebody writes, or anything else, stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.bundle import write_bundle
from serving.bundle_drafts import held, sweep_drafts
from tests.serving.tiny import tiny_contents

DAY = 86_400.0


def draft(bundles: Path, name: str, *, age: float) -> Path:
    """A draft whose newest file is some seconds old."""
    folder = bundles / name
    (folder / "arrays").mkdir(parents=True)
    (folder / "arrays" / "a.npy").write_bytes(b"half")
    for path in (folder / "arrays" / "a.npy", folder / "arrays", folder):
        os.utime(path, (time.time() - age,) * 2)
    return folder


def test_an_old_draft_of_nobody_goes_with_the_next_bundle(tmp_path: Path) -> None:
    old = [draft(tmp_path, name, age=2 * DAY) for name in (".writing-7-0", ".damaged-7-0")]

    version = write_bundle(tiny_contents(), tmp_path)

    assert not any(path.exists() for path in old)
    assert [path.name for path in tmp_path.iterdir()] == [version]


def test_a_draft_of_today_and_whatever_else_there_is_stay(tmp_path: Path) -> None:
    stays = [draft(tmp_path, ".writing-7-0", age=DAY / 2), draft(tmp_path, "20180101-00000000", age=9 * DAY)]
    recently = draft(tmp_path, ".writing-7-1", age=9 * DAY)
    (recently / "arrays" / "b.npy").write_bytes(b"")

    assert sweep_drafts(tmp_path) == []
    assert all(path.exists() for path in (*stays, recently))


def test_a_draft_that_is_held_stays_until_its_writer_is_killed(tmp_path: Path) -> None:
    folder = draft(tmp_path, ".writing-7-0", age=2 * DAY)
    code = (
        "import sys, pathlib, serving.bundle_drafts as d\n"
        "with d.held(pathlib.Path(sys.argv[1])):\n print(flush=True); input()"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        assert sweep_drafts(tmp_path) == []
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()

    assert sweep_drafts(tmp_path) == [".writing-7-0"]


def test_a_draft_is_held_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[list[str]] = []

    def put_in_place(written: Path, target: Path) -> None:
        swept.append(sweep_drafts(tmp_path, time.time() + 2 * DAY))
        written.rename(target)

    monkeypatch.setattr("serving.bundle._put_in_place", put_in_place)

    assert (tmp_path / write_bundle(tiny_contents(), tmp_path)).is_dir()
    assert swept == [[]]


def test_a_folder_that_is_not_there_has_no_drafts(tmp_path: Path) -> None:
    assert sweep_drafts(tmp_path / "bundles") == []


def test_a_draft_may_be_held_by_several(tmp_path: Path) -> None:
    with held(tmp_path), held(tmp_path):
        assert tmp_path.is_dir()
