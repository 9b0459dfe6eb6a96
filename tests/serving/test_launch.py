from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving import launch
from serving.champion import write_champion
from serving.errors import SettingsError
from serving.launch import Server, ServerError, banner, free_port, run, start
from serving.settings import Settings, read_settings


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = Settings(tmp_path, port=other.getsockname()[1])

        for begin in (start, run):
            with pytest.raises(SettingsError, match=r"^TERCET_PORT: can't listen on 127\.0\.0\.1:\d+: [^\n]+$"):
                begin(settings)


def test_a_home_that_can_t_be_written_is_said_before_anything_starts(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("")

    with pytest.raises(SettingsError, match="TERCET_HOME"):
        start(Settings(home, port=free_port()))


def test_the_server_s_environment_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BENTOML_CONFIG", "BENTOML_CONTAINERIZED", "TERCET_NOW", "PROMETHEUS_MULTIPROC_DIR"):
        monkeypatch.setenv(name, "from outside")
    settings = Settings(tmp_path, port=3456, workers=3, started_at=1.5)

    made = launch._environment(settings, os.environ)

    assert made["BENTOML_HOME"].startswith(str(settings.folder))
    assert made["BENTOML_DO_NOT_TRACK"] == "True"
    assert "from outside" not in made.values()
    assert read_settings(made) == settings


def test_the_banner_says_where_what_and_when(tmp_path: Path) -> None:
    settings = Settings(tmp_path, port=3456, now=datetime(2018, 1, 1, tzinfo=UTC))
    assert "no bundle yet" in banner(settings)

    write_champion(tmp_path, "20180101-aaaaaaaa")
    text = banner(settings)

    assert "http://127.0.0.1:3456/" in text
    assert "20180101-aaaaaaaa" in text
    assert "2018-01-01T00:00:00+00:00" in text


def test_the_banner_says_where_the_state_is_and_what_it_lacks_without_a_password(tmp_path: Path) -> None:
    assert str(tmp_path / "state" / "state.db") in banner(Settings(tmp_path))

    text = banner(Settings(tmp_path, state="redis://:secret@127.0.0.1:1/0"))

    assert "redis://127.0.0.1:1/0" in text
    assert "what is told is 503" in text
    assert "secret" not in text


def test_a_state_that_is_none_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="TERCET_STATE"):
        start(Settings(tmp_path, port=free_port(), state="mysql://:secret@here"))


def test_reports_of_workers_that_have_gone_are_cleared_before_a_start(tmp_path: Path) -> None:
    settings = Settings(tmp_path, port=free_port())
    settings.ready_folder.mkdir(parents=True)
    (settings.ready_folder / "1").write_text("")

    launch._prepare(settings)

    assert not settings.ready_folder.exists()


def test_a_server_that_ends_at_once_is_told_with_its_status_and_log(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    server = Server(Settings(tmp_path, port=free_port()), process, tmp_path / "server.log")

    with pytest.raises(ServerError, match="status 3.*server.log"):
        server.wait_until_live()
    server.stop()


def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with (
        Server(Settings(tmp_path, port=free_port()), process, tmp_path / "server.log") as server,
        pytest.raises(ServerError, match="did not answer 200"),
    ):
        server.wait_until_ready(seconds=0.3)

    assert process.returncode is not None


def test_one_that_does_not_listen_to_reason_is_made_to_end(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()

    Server(Settings(tmp_path), process, tmp_path / "server.log").stop(seconds=0.2)

    assert process.returncode == -9
