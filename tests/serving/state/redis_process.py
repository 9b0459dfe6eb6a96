"""A Redis server of our own, on a free port and in its own folder, ended by its process."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from serving.launch import free_port

DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


def redis_binary() -> str:
    """Return the program; skips the test where there is none."""
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("Redis is not installed: apt-get install redis-server")
    return found


@dataclass
class RedisProcess:
    """The server; it can be ended and started again on the same folder."""

    folder: Path
    options: tuple[str, ...] = DURABLE
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisProcess:
        """Return the server once it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [redis_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen([*command, *self.options], stdout=log, stderr=log)
        until = time.monotonic() + 60
        while not self._answers():
            if time.monotonic() > until or self.process.poll() is not None:
                self.stop(signal.SIGKILL)
                raise RuntimeError((self.folder / "server.log").read_text())
            time.sleep(0.01)
        return self

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=30)

    def send(self, sign: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(sign)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(sign)
        self.process.wait(60)
        self.process = None

    def _answers(self) -> bool:
        client = self.client()
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError):
            return False
        finally:
            client.close()
