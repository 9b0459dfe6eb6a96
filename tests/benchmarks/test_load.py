"""The clients and the peers, tiny: what is measured is what was sent, and each peer answers."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from serving import service
from serving.bundle import Bundle
from tests.benchmarks.big_bundle import Scale, big_contents
from tests.benchmarks.load import Ask, Load, measure
from tests.benchmarks.peers import bento_mount
from tests.benchmarks.servers import PEERS, PeerError, challenge_asks, peer, some_customers, wait
from tests.benchmarks.whole import Plan, in_turn, measure_whole

HAS_WRK = shutil.which("wrk") is not None
CLIENTS = [
    pytest.param("wrk", marks=pytest.mark.skipif(not HAS_WRK, reason="wrk is not installed")),
    "own",
]


class Echo(ThreadingHTTPServer):
    """A server that answers each request with a status, and keeps what it was told."""

    daemon_threads = True

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), EchoHandler)
        self.status = status
        self.bodies: list[bytes] = []
        self.paths: list[str] = []


class EchoHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Echo

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def echoing(status: int = 200) -> Iterator[tuple[str, Echo]]:
    """Run an `Echo` in a thread."""
    with Echo(status) as echo:
        thread = threading.Thread(target=echo.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{echo.server_port}", echo
        finally:
            echo.shutdown()
            thread.join()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_counts_the_answers_that_the_server_gave(client: str) -> None:
    with echoing() as (url, echo):
        found = measure(url, Load([Ask("/a", '{"x": 1}'), Ask("/b", "{}")], connections=2, seconds=1), client)
    assert 0 < found.n <= len(echo.bodies) <= found.n + 2
    assert found.n_failed == 0
    assert {*echo.paths} == {"/a", "/b"}
    assert {*echo.bodies} == {b'{"x": 1}', b"{}"}
    assert 0 < found.p50_us <= found.p99_us <= found.max_us


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_sends_each_number_once(client: str) -> None:
    with echoing() as (url, echo):
        measure(url, Load([Ask("/a", '{"id": "{n}"}')], connections=2, seconds=1), client)
    ids = [json.loads(body)["id"] for body in echo.bodies]
    assert len(ids) == len(set(ids)) > 0


@pytest.mark.parametrize("client", CLIENTS)
def test_refusals_count_as_failed(client: str) -> None:
    with echoing(status=503) as (url, _):
        found = measure(url, Load([Ask("/a", "{}")], connections=1, seconds=1), client)
    assert found.n_failed == found.n > 0


@pytest.mark.parametrize("client", CLIENTS)
def test_a_load_that_waits_is_slower(client: str) -> None:
    with echoing() as (url, _):
        found = measure(url, Load([Ask("/a", "{}")], connections=1, seconds=2, wait_ms=100), client)
    assert 5 <= found.n <= 200  # 50 ms on average: 20 a second


def test_each_round_begins_one_further() -> None:
    assert list(in_turn(3, 4)) == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]


def test_the_peer_on_our_mount_is_set_as_the_service_is() -> None:
    ours, peers = dict(service.Tercet.config), dict(bento_mount.Ready.config)
    assert ours.pop("workers") >= 1
    peers.pop("workers", None)
    ours.pop("http")  # where a Bento listens; the peer is told by its command
    assert peers == ours


@pytest.fixture(scope="module")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    from serving.bundle import open_bundle, write_bundle

    folder = tmp_path_factory.mktemp("bundles")
    return open_bundle(folder / write_bundle(big_contents(Scale(customers=300, products=600)), folder))


@pytest.mark.slow
def test_a_peer_that_ends_before_it_answers_is_not_waited_for(tmp_path: Path) -> None:
    with peer("fastapi", tmp_path, b"{}", tmp_path / "no-bundle") as target, pytest.raises(PeerError, match="ended"):
        wait(target)


@pytest.mark.slow
@pytest.mark.parametrize("name", PEERS)
def test_each_peer_answers_known_customers(name: str, tmp_path: Path, small_bundle: Bundle) -> None:
    ready: dict[str, Any] = {"customer_id": "anna", "items": []}
    with peer(name, tmp_path, orjson.dumps(ready), small_bundle.folder) as target:
        wait(target)
        assert target.workers()
        found = measure(target.url, Load(challenge_asks(some_customers(small_bundle, 20)), 2, 1), "own")
        assert target.cpu_seconds() > 0
    assert found.n > 0
    assert found.n_failed == 0


@pytest.mark.slow
@pytest.mark.long
def test_a_whole_measurement_has_rates_ratios_and_no_failed_request(small_bundle: Bundle) -> None:
    found = measure_whole(small_bundle, Plan(rounds=1, seconds=1, steady_seconds=1), lambda _: None, peers=("floor",))
    assert all(series.median == 0 for name, series in found.series.items() if name.endswith(" failed"))
    assert found.ratios["challenge ÷ floor"].median > 0
    assert found.series["events rate"].median > 0
    assert found.series["challenge, two workers CPU"].median > 0
    assert 0 <= found.series["challenge, two workers idle"].median < 1
    assert "pauses of the floor" in found.series
