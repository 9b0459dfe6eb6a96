"""The server as it runs: two workers, from no bundle to a swap under load."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.champion import write_champion
from serving.launch import Server
from tests.serving.running import (
    CHALLENGE,
    RECOMMENDATIONS,
    ask,
    asked_of_all,
    eventually,
    is_running,
    publish,
    running,
    send,
    serving_version,
    worker_of,
    worker_pids,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SHED = "too many requests at once"  # what a server answers whose machine others keep busy


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def bare(home: Path) -> Iterator[Server]:
    """A server without a bundle; the tests below go on from there in their order."""
    with running(home) as server:
        yield server


@pytest.fixture(scope="module")
def server(bare: Server, home: Path) -> Server:
    """The same server, as soon as both workers serve the first bundle."""
    assert eventually(lambda: len(workers_that_answer(bare)) == 2)
    publish(home)
    bare.wait_until_ready()
    # Ready means every worker: from here on none answers 503.
    assert {ask(bare).status_code for _ in range(40)} == {200}
    return bare


def workers_that_answer(server: Server) -> set[str]:
    return {worker_of(send("GET", server.url + "/livez")) for _ in range(20)}


def test_without_a_bundle_it_lives_and_answers_503(bare: Server) -> None:
    assert send("GET", bare.url + "/livez").json() == {"alive": True}
    for reply in (send("GET", bare.url + "/readyz"), ask(bare)):
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) > 0
        assert reply.headers["content-type"] == "application/problem+json"


def test_the_first_champion_is_taken_up(server: Server, home: Path) -> None:
    version = (home / "champion").read_text().strip()

    assert send("GET", server.url + "/readyz").json() == {"ready": True, "model_version": version, "state": "available"}
    assert serving_version(server) == version


def test_every_worker_gives_the_same_answer(server: Server) -> None:
    replies = asked_of_all(server)

    assert len({reply.content for reply in replies}) == 1


def test_the_clock_is_the_one_it_was_given_and_runs_on(server: Server) -> None:
    # The bundle's as-of is 2018-01-01T05:00Z: the clock says 12:00Z of that day, whatever the machine says.
    answer = ask(server).json()

    assert answer["valid_to"] == "2018-01-08T05:00:00Z"


def test_a_moment_before_the_bundle_is_refused_and_named(server: Server) -> None:
    reply = send("POST", server.url + CHALLENGE, json={"customer_id": "anna", "at": "2017-12-31T23:00:00Z"})

    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"] == "at"
    assert "2018-01-01" in reply.json()["detail"]


def swapped_under_load(server: Server, home: Path, recipe: str) -> tuple[str, set[str]]:
    """Return what serves after a swap, and all versions and statuses that clients met meanwhile."""
    done = threading.Event()
    met: list[str] = []

    def load() -> None:
        with httpx.Client(timeout=30) as session:
            while not done.is_set():
                reply = session.post(server.url + RECOMMENDATIONS, json={"customer_id": "anna"})
                met.append(reply.json()["model_version"] if reply.status_code == 200 else reply.json()["detail"])

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    version = publish(home, recipe)
    swapped = eventually(lambda: met[-40:] == [version] * 40)
    done.set()
    for thread in threads:
        thread.join()
    assert swapped
    return version, set(met)


def test_a_swap_under_load_loses_nothing(server: Server, home: Path) -> None:
    for turn in range(3):  # where others keep the machine busy the load alone may be too much, and is a 503 then
        before = (home / "champion").read_text().strip()
        after, met = swapped_under_load(server, home, f"second-{turn}")
        assert met - {SHED} == {before, after}
        if SHED not in met:
            return
    pytest.fail("in none of three swaps was every request answered")


def test_a_damaged_bundle_is_refused_in_a_line_and_the_old_one_serves_on(server: Server, home: Path) -> None:
    good = (home / "champion").read_text().strip()
    bad = "20180102-bad00000"
    shutil.copytree(home / "bundles" / good, home / "bundles" / bad)
    (home / "bundles" / bad / "numbers.json").write_text("{}")
    write_champion(home, bad)

    assert eventually(lambda: server.log.read_text().count(f"bundle {bad} refused, {good} serves on") == 2)
    assert serving_version(server) == good
    assert "Traceback" not in server.log.read_text()


def test_nothing_of_training_is_in_the_process(server: Server) -> None:
    mapped = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in worker_pids(server))

    assert "site-packages/numpy" in mapped
    for name in ("pandas", "lightgbm", "sklearn", "scipy", "duckdb", "pyarrow"):
        assert f"site-packages/{name}/" not in mapped


def test_counters_are_summed_over_the_workers(server: Server) -> None:
    def served() -> float:
        text = send("GET", server.url + "/metrics").text
        line = next(
            line
            for line in text.splitlines()
            if line.startswith('tercet_requests_total{path="/v1/challenge",status="200"')
        )
        return float(line.split()[-1])

    before = served()
    for _ in range(20):
        ask(server)

    # Each worker carries its counts over once a second.
    assert eventually(lambda: served() >= before + 20)


@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
def test_too_large_a_body_is_a_413_that_the_client_gets_to_read(server: Server, announced: bool) -> None:
    body = b'{"customer_id": "' + b"a" * 3_000_000 + b'"}'
    content = body if announced else iter([body[:1_500_000], body[1_500_000:]])

    reply = httpx.post(
        server.url + CHALLENGE, content=content, headers={"content-type": "application/json"}, timeout=30
    )

    assert reply.status_code == 413


def test_a_body_that_never_comes_is_a_503_and_no_hang(server: Server) -> None:
    started = time.monotonic()
    with _connection(server) as sock:
        sock.sendall(_head(server, length=100) + b'{"customer_id"')
        answer = sock.recv(65536)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"application/problem+json" in answer
    assert time.monotonic() - started < 8


def test_a_connection_is_of_use_after_an_error(server: Server) -> None:
    with httpx.Client(timeout=30) as session:
        refused = session.post(server.url + CHALLENGE, content=b"{", headers={"content-type": "application/json"})
        answered = session.post(server.url + CHALLENGE, json={"customer_id": "anna"})

    assert (refused.status_code, answered.status_code) == (400, 200)


def test_a_websocket_is_turned_away(server: Server) -> None:
    with _connection(server) as sock:
        sock.sendall(
            f"GET {CHALLENGE} HTTP/1.1\r\nHost: {server.settings.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        status = int(sock.recv(65536).split()[1])

    assert status in (403, 405)


def test_no_customer_is_in_the_log(server: Server) -> None:
    ask(server, "somebody-special")
    send("POST", server.url + CHALLENGE, json={"customer_id": ["somebody-special"]})

    assert "somebody-special" not in server.log.read_text()


def test_a_killed_worker_comes_back(server: Server) -> None:
    before = set(worker_pids(server))
    victim = min(before)
    os.kill(victim, signal.SIGKILL)

    assert eventually(lambda: len(set(worker_pids(server)) - {victim}) == 2, seconds=60)
    # It takes requests only once it serves: nobody meets a worker that is not ready.
    assert eventually(lambda: len(workers_that_answer(server)) == 2, seconds=60)
    assert {ask(server).status_code for _ in range(40)} == {200}


def test_it_ends_with_all_its_workers_when_told_to(server: Server) -> None:
    pids = worker_pids(server)
    server.stop(60)  # made to after that: on a machine that is busy with much else it takes its time

    assert server.process.returncode == 0
    assert eventually(lambda: not any(is_running(pid) for pid in pids))


def test_importing_the_service_takes_nothing_of_training_along() -> None:
    unwanted = ("pandas", "mlflow", "lightgbm", "sklearn", "duckdb", "implicit", "matplotlib", "scipy")
    code = f"import sys, json, serving.service; print(json.dumps([n for n in {unwanted!r} if n in sys.modules]))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=120)

    assert json.loads(done.stdout) == []


def _connection(server: Server) -> socket.socket:
    return socket.create_connection((server.settings.host, server.settings.port), timeout=10)


def _head(server: Server, length: int) -> bytes:
    return (
        f"POST {CHALLENGE} HTTP/1.1\r\nHost: {server.settings.host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()
