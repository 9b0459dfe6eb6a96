"""Starting and ending the server: `tercet serve` becomes it, the demo and the tests run it beside them."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import serving
from serving.api_keys import read_keys
from serving.champion import read_champion
from serving.decision_ids import shop_ids
from serving.errors import ServingError, SettingsError, StateUnavailable
from serving.settings import Settings
from serving.state.opening import open_store

SERVICE = "serving.service:Tercet"
STOP_SECONDS = 10.0
_KILL_SECONDS = 5.0
_GRACE_SECONDS = 7  # for answers that are being made when it is to end: longer than any may take
_POLL_SECONDS = 0.1
_FREE_PORTS = range(20_000, 30_000)  # below those that systems give to connections, so that none takes it meanwhile


class ServerError(ServingError):
    """The server did not start, or did not become ready in time; names its log."""


def run(settings: Settings) -> NoReturn:
    """Become the server: this process is replaced, so signals and exit status are the server's own.

    Raises SettingsError before that when the port is taken or the home can't be written. What BentoML says goes to
    standard error.
    """
    settings = _prepare(settings)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.execve(sys.executable, _command(settings), _environment(settings, os.environ))


def banner(settings: Settings) -> str:
    """Return what to tell the person who starts the server: where it is, what serves, and what the time is there."""
    champion = read_champion(settings.home)
    serves = f"bundle {champion}" if champion else "no bundle yet: decisions are 503 until one is the champion"
    clock = "" if settings.now is None else f"\n  clock    starts at {settings.now.isoformat()}"
    state = "".join(f"\n  state    {line}" for line in _state_lines(settings))
    return (
        f"tercet on {settings.url} ({settings.workers} workers, Ctrl-C ends it)\n"
        f"  serves   {serves}\n"
        f"  API page {settings.url}/\n"
        f"  keys     {_keys_line(settings)}{clock}{state}"
    )


def _keys_line(settings: Settings) -> str:
    """Return who gets in."""
    if settings.needs_keys:
        return "needed in every call: tercet keys"
    if settings.keys_nowhere:
        return "none needed, as TERCET_KEYS says: whoever reaches this port reads and changes everything"
    return "none needed: only this machine gets in"


def _state_lines(settings: Settings) -> list[str]:
    """Return where the state is, and what an operator should know of how safe it is there."""
    store = open_store(settings.state, settings.home)
    try:
        return [settings.state_name, *store.check()]
    except StateUnavailable as error:
        return [settings.state_name, str(error), "until that is mended, what is told is 503; decisions go on"]
    finally:
        store.close()


@dataclass(frozen=True)
class Server:
    """A server that runs beside this process; as a context it is ended at the end."""

    settings: Settings
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.settings.url

    def wait_until_live(self, seconds: float = 120.0) -> None:
        """Return as soon as it answers; ServerError when it ends before, or does not in time."""
        self._wait("/livez", seconds)

    def wait_until_ready(self, seconds: float = 120.0) -> None:
        """Return as soon as a worker serves a bundle; ServerError as above."""
        self._wait("/readyz", seconds)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End it: asked to at first, made to after `seconds`. Harmless when it has ended already."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(_KILL_SECONDS)

    def __enter__(self) -> Server:
        """Return the server itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the server."""
        self.stop()

    def _wait(self, path: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise ServerError(f"the server ended with status {self.process.returncode}; its log: {self.log}")
            if _answers(self.url + path):
                return
            time.sleep(_POLL_SECONDS)
        raise ServerError(f"{self.url}{path} did not answer 200 within {seconds:.0f} s; the server's log: {self.log}")


def start(settings: Settings) -> Server:
    """Return a server that runs beside this process and logs under the home; SettingsError as for `run`."""
    settings = _prepare(settings)
    log = settings.folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(settings),
            env=_environment(settings, os.environ),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    return Server(settings, process, log)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now, and that nobody gets who does not ask for it by number."""
    for port in secrets.SystemRandom().sample(_FREE_PORTS, len(_FREE_PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerError("every port of 127.0.0.1 that could be free is taken")


def check_keys(settings: Settings) -> None:
    """Raise SettingsError where calls must show a key and there is none yet; KeysError where the file is damaged."""
    if settings.needs_keys and not read_keys(settings.home).by_id:
        name = "TERCET_KEYS" if settings.keys_everywhere else f"TERCET_HOST {settings.host}"
        raise SettingsError(
            f"{name}: calls must show a key, and {settings.home} has none: "
            "make one first, such as `tercet keys add web-shop --scope storefront`"
        )


def _prepare(settings: Settings) -> Settings:
    """Return the settings with the moment of the start, once all that can fail with a clear line was checked."""
    check_port(settings.host, settings.port)
    check_keys(settings)
    shop_ids(settings.home)
    open_store(settings.state, settings.home).close()
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
        # Reports of workers that ended without a word, whose numbers others may have by now.
        shutil.rmtree(settings.ready_folder, ignore_errors=True)
    except OSError as error:
        raise SettingsError(f"TERCET_HOME: can't write {settings.folder}: {error.strerror}") from error
    return replace(settings, started_at=time.time())


def check_port(host: str, port: int) -> None:
    """Return when the port can be listened on; SettingsError when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"TERCET_PORT: can't listen on {host}:{port}: {error.strerror}; "
                "another server may run there, choose another port"
            ) from error


def _command(settings: Settings) -> list[str]:
    # The folder that holds this very package: another `serving` in the current folder must not be taken for it.
    root = Path(serving.__file__).resolve().parent.parent
    options = ["--host", settings.host, "--port", str(settings.port), "--api-workers", str(settings.workers)]
    options += ["--timeout-graceful-shutdown", str(_GRACE_SECONDS)]
    return [sys.executable, "-m", "bentoml", "serve", SERVICE, "--working-dir", str(root), *options]


def _environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the server's environment: nothing leaves the machine, and no two servers share BentoML's files."""
    own = {
        "BENTOML_HOME": str((settings.folder / "bentoml").absolute()),
        "BENTOML_DO_NOT_TRACK": "True",
        # One request is one thread's work; more of them would only fight over the cores.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    kept = {
        name: text for name, text in inherited.items() if not name.startswith(("BENTOML_", "TERCET_", "PROMETHEUS_"))
    }
    return kept | own | settings.environment()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
