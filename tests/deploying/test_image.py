"""The container file without a container: its own commands make both environments, and the server's starts one."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from serving.launch import free_port
from tests.deploying.bentos import BIN, ROOT, run
from tests.serving.running import eventually, publish

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1800)]

FILE = ROOT / "serving" / "deploying" / "Dockerfile"


def stage(name: str) -> str:
    """The instructions of a stage, with continued lines put together."""
    text = FILE.read_text("utf-8").replace("\\\n", " ")
    (found,) = re.findall(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def instruction(name: str, word: str) -> str:
    (found,) = re.findall(rf"^ *{word} +(.*)$", stage(name), flags=re.MULTILINE)
    return re.sub(r" +", " ", str(found))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is copied into the images."""
    folder = tmp_path_factory.mktemp("context")
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    build = ("build", "--quiet", "--wheel", "--no-build-isolation", "--python", BIN / "python")
    run(BIN / "uv", *build, "-o", folder / "dist", ROOT)
    return folder


@pytest.mark.parametrize(
    ("name", "imports"), [("serving", "serving.service"), ("training", "training.retrain, psycopg, mlflow")]
)
def test_its_commands_make_an_environment_that_does_what_the_image_is_for(
    context: Path, tmp_path: Path, name: str, imports: str
) -> None:
    made = instruction(f"build-{name}", "RUN").replace("/opt/tercet", str(tmp_path / "tercet"))
    run("sh", "-c", made, cwd=context, PATH=f"{BIN}:/usr/bin:/bin", PIP_DISABLE_PIP_VERSION_CHECK="1")
    run(tmp_path / "tercet" / "bin" / "python", "-c", f"import {imports}")
    assert "retrain" in run(tmp_path / "tercet" / "bin" / "tercet", "--help")
    if name == "serving":
        serve_and_stop(tmp_path)


def serve_and_stop(folder: Path) -> None:
    """Start what the image starts, ask its own health check, and stop it as a container is stopped."""
    publish(folder / "home")
    port = str(free_port())
    path = f"{folder / 'tercet' / 'bin'}:/usr/bin:/bin"
    environment = {"PATH": path, "TERCET_HOME": str(folder / "home"), "TERCET_PORT": port, "HOME": str(folder)}
    check = json.loads(instruction("serving", "HEALTHCHECK").partition("CMD ")[2].replace(":3000", f":{port}"))
    with (folder / "server.log").open("wb") as log:
        command = json.loads(instruction("serving", "CMD"))
        process = subprocess.Popen(command, env=environment, cwd="/", stdout=log, stderr=log)
    try:
        assert eventually(lambda: subprocess.run(check, env=environment, capture_output=True).returncode == 0, 120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(20)
