"""A serving-only installation, from the built wheel and the serving lock: it serves and batches, and cannot train."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from serving.bundle import write_bundle
from serving.champion import write_champion
from serving.launch import free_port
from tests.serving.tiny import tiny_contents

ROOT = Path(__file__).parent.parent
TRAINING_LIBRARIES = ("pandas", "mlflow", "lightgbm", "duckdb", "sklearn", "implicit", "scipy", "matplotlib", "pyspark")
UV = Path(sys.executable).with_name("uv")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(*command: object, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with what serves and nothing else."""
    folder = tmp_path_factory.mktemp("serving-only")
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    run(UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", folder, ROOT)
    wheel = next(folder.glob("tercet-*.whl"))
    lock = ROOT / "requirements" / "serving.lock"
    run(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", "--require-hashes", "-r", lock)
    run(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", "--offline", wheel)
    return python.parent


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_champion(tmp_path, write_bundle(tiny_contents(), tmp_path / "bundles"))
    return tmp_path


def test_no_training_library_is_there(installed: Path) -> None:
    code = f"from importlib.util import find_spec; print([n for n in {TRAINING_LIBRARIES} if find_spec(n)])"
    assert run(installed / "python", "-c", code).strip() == "[]"


def test_batch_answers_for_everyone(installed: Path, home: Path) -> None:
    out = home / "challenge.parquet"
    said = run(installed / "tercet", "batch", "challenge", "--out", out, "--home", home)
    assert said.startswith(f"{out}: ")
    assert pq.read_metadata(out).num_rows > 0


def test_a_customer_is_erased_from_bundle_and_outputs(installed: Path, home: Path) -> None:
    out = home / "challenge.parquet"
    run(installed / "tercet", "batch", "challenge", "--out", out, "--home", home)
    receipt = run(installed / "tercet", "erase", "anna", "--home", home)
    assert "bundles written anew" in receipt
    assert "anna" not in pq.read_table(out)["customer_id"].to_pylist()


def test_train_says_what_is_missing_in_one_line(installed: Path, home: Path) -> None:
    done = subprocess.run(
        [installed / "tercet", "train", "synthetic", "--home", home], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "tercet[train]" in done.stderr


def test_the_server_answers_a_challenge(installed: Path, home: Path) -> None:
    port = free_port()
    log = (home / "server.log").open("wb")
    command = [
        installed / "tercet",
        "serve",
        "--port",
        str(port),
        "--workers",
        "1",
        "--home",
        home,
        "--now",
        "2030-01-01T00:00:00Z",
    ]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        assert "items" in first_answer(f"http://127.0.0.1:{port}/v1/challenge", server)
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def first_answer(url: str, server: subprocess.Popen[bytes]) -> dict[str, object]:
    """The first answer that is given, once the server is up."""
    request = urllib.request.Request(url, b'{"customer_id": "somebody"}', {"Content-Type": "application/json"})
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                answer: dict[str, object] = json.load(response)
                return answer
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"no answer; the server's status is {server.poll()}")
