"""The units for machines without containers: what systemd says of them, and the commands that they start."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from serving.launch import free_port
from tests.deploying.bentos import BIN, ROOT
from tests.serving.running import eventually, publish

UNITS = ROOT / "serving" / "deploying"
NAMES = ("tercet.service", "tercet-retrain.service", "tercet-retrain.timer")
EXPOSURE = 20  # tenths, of 100: what systemd calls OK


def setting(unit: str, name: str) -> str:
    """The value of a setting that a unit has once."""
    (value,) = re.findall(rf"^{name}=(.*)$", (UNITS / unit).read_text("utf-8"), flags=re.MULTILINE)
    return str(value)


class Here:
    """What stands for a machine's paths and its port: a folder of the test, and a free one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.home = folder / "var" / "lib" / "tercet"

    def text(self, text: str) -> str:
        text = text.replace("/opt/tercet/bin", str(BIN)).replace("3000", str(self.port))
        return text.replace("/var/lib/tercet", str(self.home)).replace("/srv/tables", f"{self.folder}/srv/tables")

    def command(self, unit: str) -> list[str]:
        return shlex.split(self.text(setting(unit, "ExecStart")))

    def environment(self, unit: str) -> dict[str, str]:
        pairs = (each.split("=", 1) for each in shlex.split(self.text(setting(unit, "Environment"))))
        return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **dict(pairs)}


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


@pytest.mark.slow
def test_systemd_finds_nothing_wrong_and_little_exposed(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        lacking = "systemd-analyze is not on this machine: the units are checked with Debian's package systemd"
        pytest.skip(lacking)
    for name in NAMES:  # it looks whether what they start is there
        (tmp_path / name).write_text((UNITS / name).read_text("utf-8").replace("/opt/tercet/bin", str(BIN)))
    exposed = [
        [analyze, "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", f"./{each}"]
        for each in NAMES[:2]
    ]
    for command in ([analyze, "verify", "--man=no", *(f"./{each}" for each in NAMES)], *exposed):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_bounds_and_a_graceful_stop_are_set() -> None:
    for unit in NAMES[:2]:
        assert setting(unit, "KillMode") == "mixed"
        assert all(setting(unit, each) for each in ("MemoryMax", "TasksMax", "TimeoutStopSec", "User"))
    assert setting("tercet-retrain.service", "SuccessExitStatus") == "3 4"
    assert setting("tercet-retrain.timer", "Persistent") == "true"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_their_commands_serve_stop_gracefully_and_leave_a_failed_retraining_without_a_trace(here: Here) -> None:
    version = publish(here.home)
    url = f"http://127.0.0.1:{here.port}"
    log = here.folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            here.command("tercet.service"),
            env=here.environment("tercet.service"),
            cwd="/",
            stdout=output,
            stderr=output,
        )
    try:
        assert eventually(lambda: _status(f"{url}/readyz") == 200, 120), log.read_text()
        assert httpx.post(f"{url}/v1/challenge", json={"customer_id": "anna"}, verify=False).status_code == 200
        retrained = subprocess.run(
            here.command("tercet-retrain.service"),
            env=here.environment("tercet-retrain.service"),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (retrained.returncode, retrained.stdout) == (1, "")
        assert "failed, everything is as it was" in retrained.stderr.splitlines()[-1]
        assert httpx.get(f"{url}/readyz", verify=False).json()["model_version"] == version
        assert [each.name for each in (here.home / "bundles").iterdir()] == [version]
        line = json.loads((here.home / "retrain.log").read_text())
        assert (line["outcome"], line["before"]) == ("failed", version)
        server.send_signal(signal.SIGTERM)
        assert server.wait(float(setting("tercet.service", "TimeoutStopSec"))) == 0
    finally:
        if server.poll() is None:
            server.kill()
        server.wait(20)


def _status(url: str) -> int:
    try:
        return httpx.get(url, verify=False).status_code
    except httpx.HTTPError:
        return 0
