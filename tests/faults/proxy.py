"""An address that goes on when what is behind it fails over: as a load balancer or a floating address does."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Self


class Proxy:
    """Hands connections on to a port of this machine, which may be changed; `delay` seconds before each answer."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A thread that waits for a connection is not woken by closing the socket.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        self.cut()

    def fail_over(self, target: int) -> None:
        """Hand new connections on to another port, and end those that there are."""
        self.target = target
        self.cut()

    def cut(self) -> None:
        """End all connections."""
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=1)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._open |= {client, server}
            for one, other, is_answer in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._carry, args=(one, other, is_answer), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while part := one.recv(65536):
                if is_answer and self.delay:
                    time.sleep(self.delay)
                other.sendall(part)
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.discard(one)
        one.close()
