"""Connections of clients that are slow, greedy or hostile, on uvicorn as it runs beneath the service."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl

from serving import http_connection
from serving.http_accept import Newcomers
from serving.http_body import Receive, Scope, Send
from serving.http_connection import (
    HEAD_SECONDS,
    MAX_HEAD_BYTES,
    MAX_PIPELINED,
    TOO_BUSY,
    BoundedConnection,
    WholeAnswers,
)

HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once; `/late` after a moment, `/large` with 32 MB; `/busy` is refused."""
    if scope["path"] == "/late":
        await asyncio.sleep(0.2)
    if scope["path"] == "/busy":
        scope[TOO_BUSY] = True
    body = b"x" * (32 << 20) if scope["path"] == "/large" else b"hello"
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_SECONDS", "WRITE_SECONDS"):
        monkeypatch.setattr(http_connection, name, 0.3)
    monkeypatch.setattr(http_connection, "_LOOK_SECONDS", 0.05)


def serve(talk: Callable[[Callable[[], socket.socket], uvicorn.Server], Awaitable[None]]) -> None:
    """Run a server, and what a client says to it."""

    async def main() -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            address = listening.getsockname()
            config = uvicorn.Config(hello, http=BoundedConnection, log_config=None, lifespan="off")
            server = uvicorn.Server(config)
            running = asyncio.create_task(server.serve(sockets=[listening]))
            while not server.started:
                await asyncio.sleep(0.01)
            await talk(lambda: socket.create_connection(address, timeout=60), server)
            server.should_exit = True
            await asyncio.wait_for(running, 60)

    asyncio.run(main())


def all_of(connection: socket.socket) -> bytes:
    """Return what comes until the connection ends."""
    found = b""
    try:
        while part := connection.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


def said(*parts: bytes) -> bytes:
    """Return the answer to what is sent, up to the end of the connection."""
    answers: list[bytes] = []

    async def talk(connect: Callable[[], socket.socket], _server: uvicorn.Server) -> None:
        with connect() as connection:
            for part in parts:
                await asyncio.to_thread(connection.sendall, part)
            answers.append(await asyncio.to_thread(all_of, connection))

    serve(talk)
    return answers[0]


def test_a_request_is_answered_and_the_next_on_the_same_connection() -> None:
    answer = said(HEAD + b"\r\n", HEAD + b"Connection: close\r\n\r\n")

    assert answer.count(b"HTTP/1.1 200 OK") == 2


def test_after_a_refusal_for_want_of_time_a_connection_is_read_a_little_later_and_no_other_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "HOLD_SECONDS", 2.0)
    busy, plain = HEAD.replace(b"GET /", b"GET /busy") + b"\r\n", HEAD + b"\r\n"
    heard: list[tuple[str, float]] = []

    async def talk(connect: Callable[[], socket.socket], _server: uvicorn.Server) -> None:
        async def ask(connection: socket.socket, name: str, request: bytes) -> None:
            began = time.monotonic()
            await asyncio.to_thread(connection.sendall, request)
            assert (await asyncio.to_thread(connection.recv, 65536)).endswith(b"hello")
            heard.append((name, time.monotonic() - began))

        with connect() as refused, connect() as other, connect() as gone:
            await asyncio.to_thread(gone.sendall, busy)
            gone.close()
            await ask(refused, "refusal", busy)
            await asyncio.gather(ask(refused, "again", plain), ask(other, "other", plain))
            await ask(refused, "later", plain)

    serve(talk)

    assert [name for name, _ in heard] == ["refusal", "other", "again", "later"]
    assert dict(heard)["again"] > 1.5


class Written(asyncio.Transport):
    """Collects what is written to a client, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def write(self, data: Any) -> None:
        self.pieces.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self.pieces.append(b"<closed>")


def pieces_of(
    messages: Sequence[Any], *, method: str = "GET", keep_alive: bool = True, fails: bool = False
) -> list[bytes]:
    """Return the pieces in which uvicorn sends an application's messages; `fails`: it raises after them."""
    transport = Written()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        if fails:
            raise ValueError("the application broke")

    async def main() -> None:
        cycle = WholeAnswers(
            scope={"type": "http", "method": method},  # type: ignore[typeddict-item]  # the rest is not looked at
            transport=transport,
            flow=FlowControl(transport),
            logger=logging.getLogger("test"),
            access_logger=logging.getLogger("test"),
            access_log=False,
            default_headers=[(b"date", b"now")],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=lambda: None,
        )
        await cycle.run_asgi(app)

    asyncio.run(main())
    return transport.pieces


def start(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": list(headers)}


def part(body: bytes, **more: Any) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, **more}


LENGTH = (b"content-length", b"5")


def test_an_answer_that_is_there_whole_is_sent_in_one_piece() -> None:
    assert pieces_of([start(LENGTH), part(b"hello")]) == [
        b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 5\r\n\r\nhello"
    ]


@pytest.mark.parametrize(
    ("headers", "parts", "options", "expected"),
    [
        ([LENGTH], [part(b"hel", more_body=True), part(b"lo")], {}, b"content-length: 5\r\n\r\nhello"),
        ([LENGTH], [part(b"")], {"method": "HEAD"}, b"content-length: 5\r\n\r\n"),
        ([LENGTH], [part(b"hello")], {"keep_alive": False}, b"connection: close\r\n\r\nhello<closed>"),
        ([LENGTH, (b"connection", b"close")], [part(b"hello")], {}, b"connection: close\r\n\r\nhello<closed>"),
        ([], [part(b"hello")], {}, b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ],
)
def test_what_is_out_of_the_ordinary_is_sent_as_uvicorn_does(
    headers: list[tuple[bytes, bytes]], parts: list[Any], options: dict[str, Any], expected: bytes
) -> None:
    assert b"".join(pieces_of([start(*headers), *parts], **options)).endswith(expected)


@pytest.mark.parametrize("value", [b"1\r\nset-cookie: a", b"1\nset-cookie: a", b"1\rset-cookie: a"])
def test_a_header_never_begins_another_line(value: bytes) -> None:
    said = b"".join(pieces_of([start(LENGTH, (b"x-a", value)), part(b"hello")]))

    assert b"set-cookie" not in said


def test_an_application_that_fails_before_the_body_is_a_500() -> None:
    assert pieces_of([start(LENGTH)], fails=True)[0].startswith(b"HTTP/1.1 500")


@pytest.mark.usefixtures("short")
def test_a_head_that_does_not_end_ends_the_connection() -> None:
    started = time.monotonic()

    assert said(HEAD) == b""
    assert said() == b""
    assert time.monotonic() - started < HEAD_SECONDS


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(50)) + b"\r\n",
        HEAD + b"X: " + b"a" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n",
    ],
    ids=["many", "one"],
)
def test_too_large_a_head_is_a_431(head: bytes) -> None:
    answer = said(head)

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"application/problem+json" in answer


def test_a_header_that_never_ends_is_cut_off() -> None:
    answers: list[bytes] = []

    async def talk(connect: Callable[[], socket.socket], _server: uvicorn.Server) -> None:
        with connect() as connection:
            connection.sendall(HEAD + b"X: ")
            for _ in range(3):
                await asyncio.sleep(0.02)
                connection.sendall(b"a" * (MAX_HEAD_BYTES // 2))
            answers.append(await asyncio.to_thread(all_of, connection))

    serve(talk)
    assert answers[0].startswith(b"HTTP/1.1 431 ")


def test_what_is_no_http_is_a_400_in_the_contracts_form() -> None:
    answer = said(b"\x16\x03\x01\x00\x00\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


def test_requests_sent_ahead_are_answered_up_to_a_number() -> None:
    few = said((HEAD + b"\r\n") * MAX_PIPELINED + HEAD + b"Connection: close\r\n\r\n")
    many = said((HEAD.replace(b"/", b"/late", 1) + b"\r\n") * 10 * MAX_PIPELINED)

    assert few.count(b"HTTP/1.1 200 OK") == MAX_PIPELINED + 1
    assert many.count(b"HTTP/1.1 200 OK") <= 1


@pytest.mark.usefixtures("short")
def test_a_connection_that_stays_idle_is_closed_and_one_that_asks_is_not() -> None:
    async def talk(connect: Callable[[], socket.socket], server: uvicorn.Server) -> None:
        with connect() as connection:
            await asyncio.to_thread(connection.sendall, HEAD + b"\r\n")
            assert (await asyncio.to_thread(connection.recv, 65536)).endswith(b"hello")
            (served,) = server.server_state.connections
            assert isinstance(served, BoundedConnection)
            served.timeout_keep_alive = 60
            served.look(asyncio.get_running_loop().time() + 59)
            await asyncio.to_thread(connection.sendall, HEAD + b"\r\n")
            assert (await asyncio.to_thread(connection.recv, 65536)).endswith(b"hello")
            served.timeout_keep_alive = 0
            assert await asyncio.to_thread(connection.recv, 65536) == b""

    serve(talk)


@pytest.mark.usefixtures("short")
def test_a_client_that_does_not_read_is_let_go_of() -> None:
    async def talk(connect: Callable[[], socket.socket], server: uvicorn.Server) -> None:
        with connect() as connection:
            connection.sendall(HEAD.replace(b"/", b"/large", 1) + b"\r\n")
            until = time.monotonic() + 60
            seen = 0
            while time.monotonic() < until and (not seen or server.server_state.connections):
                seen = max(seen, len(server.server_state.connections))
                await asyncio.sleep(0.02)
            assert (seen, len(server.server_state.connections)) == (1, 0)

    serve(talk)


def test_who_is_taken_on_as_the_server_ends_has_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    newcomers = Newcomers(socket.socket())
    newcomers.end()
    monkeypatch.setattr(BoundedConnection, "newcomers", newcomers)

    answer = said(HEAD + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer


def test_an_end_of_the_server_ends_the_taking_on(monkeypatch: pytest.MonkeyPatch) -> None:
    newcomers = Newcomers(socket.socket())
    monkeypatch.setattr(BoundedConnection, "newcomers", newcomers)

    async def talk(connect: Callable[[], socket.socket], server: uvicorn.Server) -> None:
        with connect() as connection:
            await asyncio.to_thread(connection.sendall, HEAD + b"\r\n")
            await asyncio.to_thread(connection.recv, 1000)
            assert not newcomers.is_over
            server.should_exit = True
            await asyncio.to_thread(all_of, connection)

    serve(talk)
    assert newcomers.is_over


def test_the_end_waits_for_an_answer_and_for_a_request_on_its_way() -> None:
    answers: list[bytes] = []

    async def talk(connect: Callable[[], socket.socket], server: uvicorn.Server) -> None:
        with connect() as busy, connect() as idle:
            busy.sendall(HEAD.replace(b"/", b"/late", 1) + b"\r\n")
            idle.sendall(HEAD + b"\r\n")
            await asyncio.to_thread(idle.recv, 65536)
            server.should_exit = True
            while not any(each._is_ending for each in server.server_state.connections):  # type: ignore[union-attr]
                await asyncio.sleep(0.005)
            idle.sendall(HEAD + b"\r\n")
            answers.extend([await asyncio.to_thread(all_of, each) for each in (busy, idle)])

    serve(talk)
    assert [answer.count(b"HTTP/1.1 200 OK") for answer in answers] == [1, 1]
    assert all(b"connection: close" in answer for answer in answers)


NUMBER = 800
"""What the server takes for the number of a connection: real ones depend on all that the process has open."""


class Numbered:
    """A transport whose socket has that number."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def get_extra_info(self, _name: str) -> Numbered:
        return self

    def fileno(self) -> int:
        return NUMBER

    def abort(self) -> None:
        self._transport.abort()


@pytest.mark.parametrize(("share", "begin"), [(0.5, b"HTTP/1.1 200 "), (0.8, b"HTTP/1.1 503 "), (0.95, b"")])
def test_the_fewer_descriptors_are_left_the_sooner_a_connection_is_turned_away(
    monkeypatch: pytest.MonkeyPatch, share: float, begin: bytes
) -> None:
    answers: list[bytes] = []
    most, make_room = int(NUMBER / share), http_connection.BoundedConnection._make_room

    def make_room_as_numbered(connection: http_connection.BoundedConnection) -> None:
        transport = connection.transport
        connection.transport = Numbered(transport)  # type: ignore[assignment]
        make_room(connection)
        connection.transport = transport

    async def talk(connect: Callable[[], socket.socket], _server: uvicorn.Server) -> None:
        with connect() as connection:
            connection.sendall(HEAD + b"Connection: close\r\n\r\n")
            answers.append(await asyncio.to_thread(all_of, connection))

    monkeypatch.setattr(http_connection, "ALWAYS_CONNECTIONS", 0)
    monkeypatch.setattr("resource.getrlimit", lambda _which: (most, most))
    monkeypatch.setattr(http_connection.BoundedConnection, "_make_room", make_room_as_numbered)
    serve(talk)
    assert answers[0].startswith(begin)
    assert (b"retry-after: 1" in answers[0]) == (share == 0.8)
    assert bool(answers[0]) == bool(begin)
