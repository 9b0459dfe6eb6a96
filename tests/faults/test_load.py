"""More than the server can do, and clients that are slow: it answers what it can, and says so of the rest at once."""

from __future__ import annotations

import itertools
import json
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from serving.api_writes import MAX_EVENTS
from serving.http_connection import HEAD_SECONDS, WRITE_SECONDS
from tests.faults.conftest import Shop
from tests.faults.flood import Flood
from tests.faults.shop import (
    ANNA,
    EVENTS,
    SCORES,
    Load,
    everywhere,
    n_descriptors,
    post,
    publish_named,
    resident_mb,
    slowest,
    tell,
    untouched,
)
from tests.serving.running import CHALLENGE, RECOMMENDATIONS, eventually, worker_pids

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

HEAD = b"POST /v1/challenge HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
CUT_OFF = ("RemoteDisconnected", "ConnectionResetError", "BrokenPipeError")
N_FLOOD = 480
MANY = {"customer_ids": [f"customer-{number}" for number in range(1000)]}


@contextmanager
def connections(shop: Shop, n: int) -> Iterator[list[socket.socket]]:
    settings = shop.server.settings
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection((settings.host, settings.port), timeout=10)) for _ in range(n)
        ]


def is_closed(connection: socket.socket) -> bool:
    """Say whether the other side has ended a connection; what it said until then is dropped."""
    connection.setblocking(False)
    try:
        while connection.recv(1 << 20):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def usual(shop: Shop, seconds: float = 2.0) -> float:
    """Return how long an answer takes at most when nothing else is asked."""
    with Load(shop.server, n=1, pause=0.01) as load:
        time.sleep(seconds)
    return slowest(load.replies)


@pytest.mark.faults
def test_beyond_what_it_can_do_small_calls_go_on_and_the_rest_is_refused_at_once(shop: Shop) -> None:
    alone = usual(shop)
    with untouched(shop.server), Load(shop.server, n=1, pause=0.01) as small:
        with Load(shop.server, n=24, path=SCORES, body=lambda _turn: MANY, pause=0.0) as large:
            assert eventually(lambda: len(large.replies) > 150, seconds=60)
            memory = {pid: resident_mb(pid) for pid in worker_pids(shop.server)}
            n_before = len(small.replies)
            assert eventually(lambda: large.statuses()[503] > 600, seconds=90)
        n_during = len(small.replies)
    refused = [reply for reply in large.replies if reply.status == 503]

    assert set(large.statuses()) == {200, 503}
    assert {reply.retry_after for reply in refused} == {"1"}
    assert slowest(refused, 0.9) < 1.0
    assert n_during - n_before > 20
    assert small.statuses()[200] > 0.99 * len(small.replies)
    assert slowest(small.replies) < max(10 * alone, 0.5)
    assert all(resident_mb(pid) < memory[pid] + 15 for pid in memory)
    # It recovers by itself.
    assert eventually(lambda: {post(shop.server, SCORES, MANY).status for _ in range(10)} == {200}, seconds=30)


def test_a_flood_of_small_calls_holds_up_no_kept_challenge_and_leaves_nobody_unheard(shop: Shop) -> None:
    body = json.dumps(ANNA).encode()
    request = HEAD.replace(b"challenge", b"recommendations") + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    promised = post(shop.server).body
    with untouched(shop.server), Flood(shop.server, request, n=N_FLOOD) as flood:
        assert eventually(lambda: all(flood.n_answers), seconds=60)
        # The first had no more than its share by the time that the last was heard.
        most = max(flood.n_answers)
        memory = {pid: resident_mb(pid) for pid in worker_pids(shop.server)}
        n_before = flood.statuses.total()
        began, n_began = time.monotonic(), flood.statuses.total()
        known = [post(shop.server) for _ in range(40)]
        # How long one of the flood waits for its answer and asks again, on the whole.
        cycle = N_FLOOD * (time.monotonic() - began) / (flood.statuses.total() - n_began)
        assert eventually(lambda: flood.statuses.total() > n_before + 10 * N_FLOOD, seconds=60)
        grown = [resident_mb(pid) - before for pid, before in memory.items()]

    assert most < 0.4 * N_FLOOD
    assert set(flood.statuses) <= {200, 429, 503}
    assert (flood.n_bare, flood.n_lost) == (0, 0)
    assert {(each.status, each.retry_after) for each in known} <= {(200, None), (503, "1")}
    answered = [each for each in known if each.status == 200]
    assert {each.body["decision_id"] for each in answered} == {promised["decision_id"]}
    assert len(answered) > 0.75 * len(known)
    assert slowest(answered, 0.5) < 0.25 * cycle
    assert max(grown) < 15
    # It recovers by itself.
    assert eventually(lambda: {post(shop.server).status for _ in range(10)} == {200}, seconds=30)


def test_while_many_send_no_end_of_a_head_others_are_answered_and_these_are_let_go_of(shop: Shop) -> None:
    began = time.monotonic()
    with connections(shop, 60) as slow:
        for number, connection in enumerate(slow):
            connection.sendall(HEAD[: 10 + number])
        with Load(shop.server, n=1, pause=0.02) as load:
            assert eventually(lambda: len(load.replies) > 30)
            assert eventually(lambda: all(map(is_closed, slow)), seconds=HEAD_SECONDS + 5)

    assert load.statuses() == {200: len(load.replies)}
    assert time.monotonic() - began > HEAD_SECONDS - 1


def test_while_many_drip_their_body_others_are_answered(shop: Shop) -> None:
    with connections(shop, 60) as slow:
        for connection in slow:
            connection.sendall(HEAD + b'Content-Length: 100\r\n\r\n{"customer_id"')
        with Load(shop.server, n=1, pause=0.02) as load:
            assert eventually(lambda: len(load.replies) > 30)
        answers = [connection.recv(65536) for connection in slow]

    assert load.statuses() == {200: len(load.replies)}
    assert all(answer.startswith(b"HTTP/1.1 503 ") and b"retry-after" in answer for answer in answers)


def test_clients_that_do_not_read_hold_nobody_up_and_are_let_go_of(shop: Shop) -> None:
    asked = b"GET /docs.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20
    over = threading.Event()

    def ask_on(connection: socket.socket) -> None:
        # More and more answers of 100 kB each, none of which is read.
        connection.settimeout(0.2)
        while not over.is_set():
            try:
                connection.sendall(asked)
            except TimeoutError:
                continue
            except OSError:
                return

    with connections(shop, 8) as slow, untouched(shop.server):
        threads = [threading.Thread(target=ask_on, args=(each,)) for each in slow]
        for thread in threads:
            thread.start()
        with Load(shop.server, n=1, pause=0.02) as load:
            ended = eventually(lambda: not any(each.is_alive() for each in threads), seconds=WRITE_SECONDS + 20)
        over.set()
        for thread in threads:
            thread.join()

    assert ended
    assert load.statuses() == {200: len(load.replies)}
    assert slowest(load.replies) < 1.5


def event(number: int) -> dict[str, Any]:
    return {
        "event_id": f"limit-{number}",
        "customer_id": "limits",
        "type": "view",
        "at": "2018-01-01T13:00:00Z",
        "product_id": "milk-1",
    }


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (SCORES, {"customer_ids": [str(number) for number in range(1001)]}, 422),
        (EVENTS, {"events": [event(number) for number in range(MAX_EVENTS + 1)]}, 422),
        (CHALLENGE, {"customer_id": "a" * 201}, 422),
        (CHALLENGE, {"customer_id": "a" * (2 << 20)}, 413),
        (EVENTS, {"events": [{**event(0), "event_id": "a" * (9 << 20)}]}, 413),
        (RECOMMENDATIONS, {"customer_id": "anna", "k": 10**6}, 422),
    ],
    ids=["customers", "events", "id", "body", "told", "items"],
)
def test_what_is_too_much_of_one_call_is_refused_in_words(shop: Shop, path: str, body: Any, status: int) -> None:
    reply = post(shop.server, path, body)

    assert reply.status == status
    assert reply.body["status"] == status


@pytest.mark.faults
def test_out_of_descriptors_it_turns_connections_away_and_takes_up_what_it_could_not_open(shop: Shop) -> None:
    pids = worker_pids(shop.server)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(map(n_descriptors, pids)) + 120
    with untouched(shop.server):
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, hard))
        try:
            with connections(shop, 400):
                second = publish_named(shop.home, "while-out-of-files")
                during = list(itertools.islice(iter(lambda: post(shop.server), None), 20))
            after = eventually(lambda: {post(shop.server).status for _ in range(20)} == {200})
        finally:
            for pid in pids:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        taken_up = everywhere(
            shop.server, lambda: bool(post(shop.server, RECOMMENDATIONS).body["model_version"] == second)
        )

    assert {reply.status for reply in during} <= {
        200,
        503,
        "RemoteDisconnected",
        "ConnectionResetError",
        "BrokenPipeError",
    }
    assert after
    assert taken_up
    assert tell(shop.server, f"after-files-{os.getpid()}").status == 202
