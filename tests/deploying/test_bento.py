"""The Bento: our code and nothing else, served from a clean environment of its own requirements."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from serving.launch import free_port
from tests.deploying.bentos import BIN, ROOT, build_bento, clean_environment, run
from tests.serving.running import NOW, eventually, publish

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LOCK = "requirements/serving.lock"
TRAINING_LIBRARIES = ("pandas", "mlflow", "lightgbm", "duckdb", "sklearn", "implicit", "scipy", "matplotlib", "pyspark")


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bento(tmp_path_factory.mktemp("bentos"))


@pytest.fixture(scope="module")
def installed(bento: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clean_environment(tmp_path_factory.mktemp("clean"), bento / "src" / LOCK)


def test_it_holds_our_code_and_no_data_no_bundle_and_no_path_of_this_machine(bento: Path) -> None:
    source = bento / "src"
    assert {each.name for each in source.iterdir()} == {
        *("features", "serving", "docs", "requirements", "LICENSE", "bentofile.yaml")
    }
    for package in ("features", "serving"):
        ours = {str(each.relative_to(ROOT)) for each in (ROOT / package).rglob("*.py")}
        assert {str(each.relative_to(source)) for each in (source / package).rglob("*.py")} == ours
    files = [each for each in bento.rglob("*") if each.is_file()]
    assert {each.suffix for each in files} <= {
        *(".py", ".sql", ".toml", ".md", ".html", ".css", ".js", ".svg", ".yml", ".yaml", ".json", ".lock", ".txt"),
        *(".in", ".sh", ""),
    }
    assert sum(each.stat().st_size for each in files) < 5e6
    machine = [str(ROOT), str(Path.home()), sys.prefix, "file://"]
    assert [each.name for each in files if any(sign in each.read_text("utf-8") for sign in machine)] == []


def test_its_requirements_are_the_serving_lock_with_its_hashes(bento: Path) -> None:
    lock = (ROOT / LOCK).read_text("utf-8").strip()
    assert (bento / "src" / LOCK).read_text("utf-8").strip() == lock
    installs = (bento / "env" / "python" / "requirements.txt").read_text("utf-8")
    own = [line for line in lock.split("\n") if line.startswith("bentoml==")]
    # BentoML adds itself once more; uv takes the two for one, and holds it to the hashes of the first.
    assert [line for line in installs.split("\n") if line.startswith("bentoml==")] == [own[0], own[0].split(" ")[0]]
    assert installs.count("--hash=sha256:") == lock.count("--hash=sha256:")


@contextmanager
def served(installed: Path, bento: Path, home: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run `bentoml serve` on a Bento, by nothing but the environment that a container gives it."""
    port = free_port()
    environment = {
        "PATH": f"{installed}:/usr/bin:/bin",
        "BENTOML_HOME": str(home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "TERCET_HOME": str(home),
        "TERCET_PORT": str(port),
        "TERCET_WORKERS": "2",
        "TERCET_NOW": NOW.isoformat(),
    }
    with log.open("wb") as output:
        command = [str(installed / "bentoml"), "serve", str(bento), "--timeout-graceful-shutdown", "5"]
        process = subprocess.Popen(command, env=environment, cwd="/", stdout=output, stderr=output)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)


def test_it_serves_from_a_clean_environment_and_stops_when_it_is_told_to(
    bento: Path, installed: Path, tmp_path: Path
) -> None:
    code = f"from importlib.util import find_spec; print([n for n in {TRAINING_LIBRARIES} if find_spec(n)])"
    assert run(installed / "python", "-c", code).strip() == "[]"
    version, log = publish(tmp_path), tmp_path / "server.log"
    with served(installed, bento, tmp_path, log) as (process, url), httpx.Client(verify=False, timeout=10) as client:
        ready = eventually(lambda: process.poll() is not None or _status(client, f"{url}/readyz") == 200, 120)
        assert ready, log.read_text()
        assert process.poll() is None, log.read_text()
        assert client.get(f"{url}/readyz").json()["model_version"] == version
        answer = client.post(f"{url}/v1/challenge", json={"customer_id": "anna"}).json()
        assert [item["role"] for item in answer["items"]] == ["habit", "habit", "stretch"]
        assert "<h1" in client.get(f"{url}/guides/guide-marketing").text
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert "Traceback" not in log.read_text()


def _status(client: httpx.Client, url: str) -> int:
    try:
        return client.get(url).status_code
    except httpx.HTTPError:
        return 0


def test_make_builds_it_as_here() -> None:
    venv = os.path.relpath(BIN.parent, ROOT)
    recipe = run("make", "--dry-run", "--silent", "-o", f"{venv}/.installed", "bento", cwd=ROOT, VENV=venv)
    assert "bentoml build --output tag" in recipe
    assert "BENTOML_DO_NOT_TRACK=True" in recipe
