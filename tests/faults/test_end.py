"""The server is told to end while clients keep asking: what it has begun to answer it answers, and it ends in time."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from serving.launch import Server
from serving.state_home import open_state
from tests.faults.shop import EVENTS, Load, n_ready, publish_named
from tests.serving.running import RECOMMENDATIONS, eventually, is_running, running, worker_pids

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(180)]

HEAD = b"POST /v1/challenge HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n"


def numbered(turn: int) -> dict[str, object]:
    said = {"customer_id": "anna", "type": "view", "at": "2018-01-01T13:00:00Z", "product_id": "milk-1"}
    return {"events": [{**said, "event_id": f"end-{time.monotonic_ns()}-{turn}"}]}


def n_kept(home: Path) -> int:
    opened = open_state("file", home)
    try:
        n_found, page = 0, opened.store.scan("log/")
        while page:
            n_found += len(page)
            page = opened.store.scan("log/", after=page[-1][0])
        return n_found
    finally:
        opened.close()


def test_sigterm_under_load_loses_no_answer_that_was_begun_and_no_event_that_was_confirmed(tmp_path: Path) -> None:
    publish_named(tmp_path, "first")
    with running(tmp_path) as server:
        server.wait_until_ready()
        assert eventually(lambda: n_ready(server) == 2, seconds=60)
        pids = worker_pids(server)
        with (
            Load(server, n=3, pause=0.002) as asking,
            Load(server, n=2, path=EVENTS, body=numbered) as telling,
        ):
            assert eventually(lambda: len(asking.replies) > 100 and len(telling.replies) > 50)
            # Only now, as a body may not take long; once the second was answered, the first has been taken on as well.
            with begun(server) as late, silent(server):
                ended_at = time.monotonic()
                server.process.terminate()
                time.sleep(0.3)
                late.sendall(b'{"customer_id": "anna"}'[10:])
                answer = late.recv(65536)
            server.process.wait(20)
            seconds = time.monotonic() - ended_at
            assert eventually(lambda: len(asking.after(ended_at)) > 20)

    # A connection that was in use ends with an answer; a new one may come too late, before anything was begun.
    for replies in (asking.replies, telling.replies):
        assert all(reply.status in (200, 202) for reply in replies if not reply.is_first)
        assert all(reply.status in (200, 202) for reply in replies if reply.began + reply.seconds < ended_at)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert server.process.returncode == 0
    assert seconds < 10
    assert not any(is_running(pid) for pid in pids)
    assert n_kept(tmp_path) >= telling.statuses()[202]
    assert "Traceback" not in server.log.read_text()


def begun(server: Server) -> socket.socket:
    """Return a connection on which the half of a request was sent."""
    connection = socket.create_connection((server.settings.host, server.settings.port), timeout=10)
    connection.sendall(HEAD + b'{"customer_id": "anna"}'[:10])
    return connection


def silent(server: Server) -> socket.socket:
    """Return a connection on which a request was answered that asks for nothing more."""
    connection = socket.create_connection((server.settings.host, server.settings.port), timeout=10)
    connection.sendall(f"GET {RECOMMENDATIONS} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    connection.recv(65536)
    return connection
