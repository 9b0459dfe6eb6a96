from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from serving.metric_files import FILE_BYTES, FOLDER_VARIABLE, reserve


def n_bytes_there(path: Path) -> int:
    return 512 * path.stat().st_blocks


def test_without_a_folder_a_process_counts_for_itself() -> None:
    assert reserve(None) is None


def test_every_file_has_its_room_before_anything_is_counted(tmp_path: Path) -> None:
    assert reserve(str(tmp_path)) == str(tmp_path)

    files = list(tmp_path.iterdir())
    assert len(files) == 4
    assert all(n_bytes_there(each) >= FILE_BYTES for each in files)


def test_on_a_full_disk_a_worker_counts_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    allocate = os.posix_fallocate
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))

    def full(descriptor: int, offset: int, length: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(tmp_path):
            raise OSError(errno.ENOSPC, "No space left on device")
        allocate(descriptor, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", full)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = Path(f"/dev/shm/tercet-counters-{gone.pid}-left")
    left.mkdir()
    folder = reserve(str(tmp_path))

    assert folder is not None
    assert folder.startswith("/dev/shm/")
    assert os.environ[FOLDER_VARIABLE] == folder
    assert list(tmp_path.iterdir()) == []
    assert "counts in memory" in caplog.text
    assert not left.exists()
    shutil.rmtree(folder)


def test_what_a_dead_worker_said_of_the_present_goes_and_what_it_counted_stays(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for kind in ("gauge_livemax", "counter"):
        (tmp_path / f"{kind}_{gone.pid}.db").touch()
    (tmp_path / f"gauge_livemax_{os.getppid()}.db").touch()

    reserve(str(tmp_path))

    assert not (tmp_path / f"gauge_livemax_{gone.pid}.db").exists()
    assert (tmp_path / f"counter_{gone.pid}.db").exists()
    assert (tmp_path / f"gauge_livemax_{os.getppid()}.db").exists()
