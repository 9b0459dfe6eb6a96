"""The compose file and the container file: what linters and the schema say, and its own commands, all the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.sources.synthetic import make_shop
from serving.launch import free_port
from tests.conftest import SHOP
from tests.deploying.bentos import BIN, ROOT
from tests.deploying.composed import COMPOSE, DEPLOYING, PORTS, Composed, Places, program, read_compose
from tests.serving.running import eventually, publish

PASSWORD = "0123456789abcdef"  # of this test's own servers
NOT_PUBLISHED = ("keys", "redis", "postgres", "mlflow", "retrain")


def services() -> dict[str, Any]:
    found: dict[str, Any] = read_compose()["services"]
    return found


def lint(*command: object) -> None:
    done = subprocess.run([str(each) for each in command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_linters_and_the_schema_pass_both_files() -> None:
    lint(BIN / "hadolint", "--config", DEPLOYING / "hadolint.yaml", DEPLOYING / "Dockerfile")
    config = DEPLOYING / ".compose-lint.yml"
    lint(BIN / "compose-lint", "check", "--strict-config", "--config", config, "--fail-on", "low", COMPOSE)
    lint(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_only_the_server_is_published_and_only_on_this_machine() -> None:
    found = services()
    assert found["tercet"]["ports"] == ["127.0.0.1:3000:3000"]
    assert not any("ports" in found[each] for each in NOT_PUBLISHED)
    assert set(found) == {"tercet", *NOT_PUBLISHED}
    assert read_compose()["networks"]["inside"] == {"internal": True}
    assert all(found[each].get("networks", ["inside"]) == ["inside"] for each in NOT_PUBLISHED)


@pytest.mark.parametrize("name", ["tercet", "keys", "redis", "postgres", "mlflow", "retrain"])
def test_every_service_is_bounded_and_may_do_no_more_than_it_must(name: str) -> None:
    service = services()[name]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert not service["user"].startswith("0")
    if name not in ("keys", "retrain"):
        assert {"test", "interval", "timeout", "retries", "start_period"} == set(service["healthcheck"])
        assert service["stop_grace_period"].endswith("s")


def test_secrets_come_from_files_alone() -> None:
    found = read_compose()
    text = COMPOSE.read_text("utf-8")
    assert all(set(each) == {"file"} for each in found["secrets"].values())
    assert re.findall(r"(?i)\w*password\w*: (?!/run/secrets/)\S+", re.sub(r"postgres_password: \{file", "", text)) == []
    assert "://:" not in text


def test_what_starts_in_a_container_is_what_a_shell_would_start() -> None:
    file = (DEPLOYING / "Dockerfile").read_text("utf-8")
    assert file.count("\nUSER 10001:10001\n") == 2
    assert 'CMD ["tercet", "serve"]' in file
    assert services()["tercet"]["command"] == ["tercet", "serve"]
    health = services()["tercet"]["healthcheck"]["test"]
    assert json.dumps(health[1:]) in file
    assert re.findall(r"ARG PYTHON_IMAGE=\S+@sha256:[0-9a-f]{64}\n", file)
    copied = re.findall(r"^COPY (?!--from)(\S+)", file, re.MULTILINE)
    ignored = (DEPLOYING / "Dockerfile.dockerignore").read_text("utf-8")
    lines = [line for line in ignored.split("\n") if line and line[0] != "#"]
    assert copied == ["requirements/", "dist/tercet-*.whl"]
    assert lines == ["*", "!requirements", "!dist/tercet-*.whl"]


def test_the_version_of_the_images_is_that_of_tercet() -> None:
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    assert version is not None
    own = {each["image"] for each in services().values() if each["image"].startswith("tercet-")}
    assert own == {f"tercet-serving:{version[1]}", f"tercet-training:{version[1]}"}


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    """What the secrets hold, and where the tables lie."""
    cluster = Path(tempfile.mkdtemp(prefix="tercet-postgres-"))
    found = Places(tmp_path, cluster)
    found.secret("redis_conf", f"requirepass {PASSWORD}\n")
    found.secret("state_url", f"redis://:{PASSWORD}@127.0.0.1:{found.ports['6379']}/0\n")
    found.secret("postgres_password", PASSWORD)
    (tmp_path / "data").mkdir()
    yield found
    shutil.rmtree(cluster, ignore_errors=True)


@pytest.fixture
def as_postgres(places: Places) -> list[str]:
    """How to run what must not be root: the image's own user. Its cluster is made as the image makes it."""
    user = [str(shutil.which("runuser")), "-u", "postgres", "--"] if os.geteuid() == 0 else []
    data = Composed(places).environment("postgres")["PGDATA"]
    initdb = program("initdb", "postgresql")
    password = places.cluster / "password"
    password.write_text(PASSWORD)
    if user:
        for each in (places.cluster, password):
            shutil.chown(each, "postgres")
    arguments = services()["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split()
    made = [*user, initdb, "-D", data, "-U", "mlflow", f"--pwfile={password}", *arguments, "--no-sync"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=90)
    return [*user, "env", f"PATH={Path(initdb).parent}:/usr/bin:/bin"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_servers_commands_go_all_the_way_to_a_challenge_with_its_state_in_redis(places: Places) -> None:
    program("redis-server", "redis-server")
    home = places.folder / "srv" / "tercet"
    version = publish(home)
    with Composed(places) as shop:
        shop.up("redis")
        assert eventually(lambda: shop.is_healthy("redis")), shop.log("redis").read_text()
        key = shop.run("keys").strip()
        server = shop.up("tercet")
        url = f"http://127.0.0.1:{places.ports['3000']}"
        assert eventually(lambda: shop.is_healthy("tercet"), 120), shop.log("tercet").read_text()
        told = {"headers": {"Authorization": f"Bearer {key}"}, "timeout": 10, "verify": False}
        assert httpx.get(f"{url}/readyz", verify=False).json() == {
            "ready": True,
            "model_version": version,
            "state": "available",
        }
        assert httpx.post(f"{url}/v1/challenge", json={"customer_id": "anna"}, verify=False).status_code == 401
        first = httpx.post(f"{url}/v1/challenge", json={"customer_id": "anna"}, **told).json()
        assert [item["role"] for item in first["items"]] == ["habit", "habit", "stretch"]
        assert httpx.post(f"{url}/v1/challenge", json={"customer_id": "anna"}, **told).json() == first
        assert _is_in_redis(places, first["decision_id"])
        server.send_signal(signal.SIGTERM)
        assert server.wait(_seconds(services()["tercet"]["stop_grace_period"])) == 0
        assert not (home / "state" / "state.db").exists()


def _is_in_redis(places: Places, text: str) -> bool:
    import redis

    client = redis.Redis(port=int(places.ports["6379"]), password=PASSWORD)
    try:
        return any(text in str(each) for each in client.scan_iter("tercet:*"))
    finally:
        client.close()


def _seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_mlflows_command_keeps_runs_in_postgresql(places: Places, as_postgres: list[str]) -> None:
    program("initdb", "postgresql")
    with Composed(places) as shop:
        shop.up("postgres", run_as=as_postgres)
        program("pg_isready", "postgresql")
        assert eventually(lambda: shop.is_healthy("postgres"), 60), shop.log("postgres").read_text()
        made = shop.environment("postgres") | {"PGPASSWORD": PASSWORD}
        subprocess.run(
            [program("createdb", "postgresql"), "-h", "127.0.0.1", "-U", "mlflow", "mlflow"], env=made, check=True
        )
        shop.up("mlflow")
        assert eventually(lambda: shop.is_healthy("mlflow"), 180), shop.log("mlflow").read_text()
        tracking = shop.environment("retrain")["MLFLOW_TRACKING_URI"]
        api = f"{tracking}/api/2.0/mlflow"
        experiment = httpx.post(f"{api}/experiments/create", json={"name": "tercet/habit"}, verify=False).json()
        run = httpx.post(f"{api}/runs/create", json=experiment, verify=False).json()["run"]["info"]
        artifact = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        note = f"{tracking}/api/2.0/mlflow-artifacts/artifacts/{artifact}/note.txt"
        assert httpx.put(note, content=b"a note", verify=False).status_code == 200
        assert [each.read_text() for each in (places.folder / "srv" / "mlflow").rglob("note.txt")] == ["a note"]
        query = "SELECT experiments.name FROM runs JOIN experiments USING (experiment_id)"
        asked = [program("psql", "postgresql"), "-h", "127.0.0.1", "-U", "mlflow", "-d", "mlflow", "-Atc"]
        kept = subprocess.run([*asked, query], env=made, capture_output=True, check=True, text=True)
        assert kept.stdout.strip() == "tercet/habit"
        search = f"{tracking}/ajax-api/2.0/mlflow/experiments/search?max_results=1"
        assert httpx.get(search, verify=False).status_code == 200
        assert httpx.get(search, headers={"Host": "elsewhere.example"}, verify=False).status_code == 403


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(2400)
def test_all_of_it_together_goes_from_tables_to_a_challenge(places: Places, as_postgres: list[str]) -> None:
    """Nothing serves until `retrain` is run as it stands in the file, against MLflow on PostgreSQL."""
    tables = places.folder / "srv" / "tables"
    tables.mkdir(parents=True)
    for name, rows in make_shop(SHOP).tables.items():
        rows.to_parquet(tables / f"{name}.parquet")
    with Composed(places) as shop:
        shop.up("redis")
        shop.up("postgres", run_as=as_postgres)
        assert eventually(lambda: shop.is_healthy("redis") and shop.is_healthy("postgres"), 60)
        made = shop.environment("postgres") | {"PGPASSWORD": PASSWORD}
        create = [program("createdb", "postgresql"), "-h", "127.0.0.1", "-U", "mlflow", "mlflow"]
        subprocess.run(create, env=made, check=True)
        shop.up("mlflow")
        key = shop.run("keys").strip()
        shop.up("tercet")
        assert eventually(lambda: shop.is_healthy("mlflow"), 240), shop.log("mlflow").read_text()
        assert not shop.is_healthy("tercet")

        said = shop.run("retrain")

        assert "is the champion, in place of none" in said.splitlines()[-1]
        assert shop.is_healthy("tercet")
        url = f"http://127.0.0.1:{places.ports['3000']}"
        ready = httpx.get(f"{url}/readyz", verify=False).json()
        assert said.splitlines()[-1].startswith(ready["model_version"])
        customer = make_shop(SHOP).tables["transactions"]["customer_id"].iloc[0]
        told = {"Authorization": f"Bearer {key}"}
        answer = httpx.post(f"{url}/v1/challenge", json={"customer_id": customer}, headers=told, verify=False)
        assert len(answer.json()["items"]) == 3
        tracking = shop.environment("retrain")["MLFLOW_TRACKING_URI"]
        found = httpx.get(f"{tracking}/api/2.0/mlflow/registered-models/search", verify=False).json()
        aliases = [{alias["alias"] for alias in model["aliases"]} for model in found["registered_models"]]
        assert len(aliases) > 10
        assert all(each == {"challenger", "champion"} for each in aliases)


def test_ports_are_replaced_whole_and_nothing_else(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path, dict.fromkeys(PORTS, 1))
    assert places.here("http://mlflow:5000") == "http://127.0.0.1:1"
    assert places.here("15000") == "15000"
    assert places.here("redis-cli -p 6379 ping") == "redis-cli -p 1 ping"
    assert places.here("http://tercet:3000") == "http://127.0.0.1:1"
    assert places.here("tercet") == "tercet"
    assert free_port() != 0
