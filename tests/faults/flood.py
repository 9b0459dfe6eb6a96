"""Many clients at once that ask again as soon as they are answered, from one thread of this process."""

from __future__ import annotations

import selectors
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from serving.launch import Server

_LOOK_SECONDS = 0.05


@dataclass
class Flood:
    """As a context, `n` connections that each send `request` (bytes of HTTP) again and again.

    `statuses` counts the answers; `n_answers` has how many each connection got; `n_bare` counts refusals without
    Retry-After, `n_lost` connections that ended.
    """

    server: Server
    request: bytes
    n: int
    statuses: Counter[int] = field(default_factory=Counter)
    n_answers: list[int] = field(default_factory=list)
    n_bare: int = 0
    n_lost: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.n_answers = [0] * self.n
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        settings = self.server.settings
        with selectors.DefaultSelector() as selector:
            for number in range(self.n):
                connection = socket.create_connection((settings.host, settings.port), timeout=20)
                selector.register(connection, selectors.EVENT_READ, number)
                connection.sendall(self.request)
            while not self._over.is_set() and selector.get_map():
                for key, _events in selector.select(_LOOK_SECONDS):
                    self._hear(selector, key)
            for key in list(selector.get_map().values()):
                _socket_of(key).close()

    def _hear(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        """Take in an answer, which comes in one piece as it is small, and ask again."""
        connection = _socket_of(key)
        try:
            answer = connection.recv(1 << 16)
            if answer:
                connection.sendall(self.request)
        except OSError:
            answer = b""
        if not answer:
            self.n_lost += 1
            selector.unregister(connection)
            connection.close()
            return
        status = int(answer[9:12])
        self.n_answers[key.data] += 1
        self.statuses[status] += 1
        self.n_bare += status in (429, 503) and b"retry-after" not in answer.partition(b"\r\n\r\n")[0].lower()


def _socket_of(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj
