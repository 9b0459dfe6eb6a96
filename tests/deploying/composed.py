"""The compose file without containers: its services as processes of this machine, by the commands that it names.

What a container would be given stands in for it here: names of hosts become 127.0.0.1, fixed ports free ones, paths
folders of the test (`Places`). Nothing else of a command or of the environment is changed.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.launch import free_port
from tests.deploying.bentos import BIN, ROOT

DEPLOYING = ROOT / "serving" / "deploying"
COMPOSE = DEPLOYING / "compose.yaml"
PORTS = ("3000", "5000", "5432", "6379")


def read_compose() -> dict[str, Any]:
    """Return the compose file as plain values; anchors and merges are resolved."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))
    return found


def program(name: str, package: str) -> str:
    """Return where a program is; without it the test is skipped by its name."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    path = str(found[0]) if found else shutil.which(name)
    if path is None:
        lacking = f"{name} is not on this machine: Debian's package {package} brings it"
        pytest.skip(lacking)
    return path


@dataclass(frozen=True)
class Places:
    """What stands here for what a container is given: `folder` for its paths, and a free port for each fixed one.

    `cluster` stands for PostgreSQL's folder: it runs as another user, whom pytest keeps out of its own folders.
    """

    folder: Path
    cluster: Path
    ports: Mapping[str, int] = field(default_factory=lambda: {each: free_port() for each in PORTS})

    def here(self, text: str) -> str:
        """Return a part of a command, or a value of the environment, as it is here."""
        text = text.replace("$$", "$").replace("/var/lib/postgresql/data", str(self.cluster))
        for path in ("/srv/tercet", "/srv/mlflow", "/srv/tables", "/run/secrets"):
            text = text.replace(path, f"{self.folder}{path}")
        text = re.sub(r"^/data$", f"{self.folder}/data", text)
        text = re.sub(r"\b(redis|postgres|mlflow|tercet):(?=\d)", "127.0.0.1:", text).replace("0.0.0.0", "127.0.0.1")
        for port, ours in self.ports.items():
            text = re.sub(rf"(?<![\w.]){port}\b", str(ours), text)
        return text

    def secret(self, name: str, text: str) -> None:
        """Write what a secret holds."""
        place = self.folder / "run" / "secrets" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


@dataclass
class Composed:
    """Services that run; as a context they are ended at the end, the last one first."""

    places: Places
    services: Mapping[str, Any] = field(default_factory=lambda: read_compose()["services"])
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Composed:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.running):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(20)

    def command(self, service: str) -> list[str]:
        return [self.places.here(str(each)) for each in self.services[service]["command"]]

    def environment(self, service: str) -> dict[str, str]:
        given = self.services[service].get("environment", {})
        own = {name: self.places.here(str(value)) for name, value in given.items()}
        return {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(self.places.folder), "LANG": "C.UTF-8", **own}

    def log(self, service: str) -> Path:
        return self.places.folder / f"{service}.log"

    def up(self, service: str, *, run_as: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a service by its command."""
        with self.log(service).open("ab") as log:
            process = subprocess.Popen(
                [*run_as, *self.command(service)],
                env=self.environment(service),
                cwd="/",
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self.running.append(process)
        return process

    def run(self, service: str) -> str:
        """Return what a service says that comes to its end, as `docker compose run` has it."""
        done = subprocess.run(
            self.command(service), env=self.environment(service), cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def is_healthy(self, service: str) -> bool:
        """Say what the service's own check says."""
        kind, *test = [self.places.here(str(each)) for each in self.services[service]["healthcheck"]["test"]]
        command = ["sh", "-c", test[0]] if kind == "CMD-SHELL" else test
        done = subprocess.run(command, env=self.environment(service), cwd="/", capture_output=True, check=False)
        return done.returncode == 0
