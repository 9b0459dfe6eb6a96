"""One client's connection: what bounds it before a request is there and after its answer, and how it ends.

The application sees a request once its head has arrived, and is done with it once the answer is handed over. Before and
after, a slow or hostile client could hold a connection, memory and the end of the server for as long as it likes: this
protocol gives each a limit. A timer of the worker looks at all connections, which costs a request nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
import resource
from functools import partial
from typing import ClassVar
from weakref import WeakSet

from uvicorn._types import ASGI3Application, ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from serving.http_accept import Newcomers
from serving.http_body import App, Receive, Scope, Send
from serving.http_problems import Answer, Problem, not_ready

MAX_HEAD_BYTES = 32 << 10
"""Request line, headers and trailers together; an API key and all that proxies add fit many times over."""

MAX_PIPELINED = 32
"""Requests that a client may send ahead on one connection."""

HEAD_SECONDS = 5.0
"""How long the head of a request may take from its connection on, and the rest of a body that was answered early."""

WRITE_SECONDS = 5.0
"""How long a client may take to read what the socket doesn't hold of its answer."""

LINGER_SECONDS = 0.5
"""How long an idle connection is kept when the server ends, for a request that is on its way."""

SPARE_DESCRIPTORS = 256
"""How many of the descriptors that a process may have, a quarter at most, connections leave to a new bundle's files."""

ALWAYS_CONNECTIONS = 16
"""How many connections are taken on however few descriptors are left."""

TOO_BUSY = "tercet.too_busy"
"""What an application puts into the scope of a request that it refused for want of time."""

HOLD_SECONDS = 0.25
"""How much later a connection is read on after such a refusal: told to wait, many clients ask again at once."""

_LOOK_SECONDS = 0.5

_watched: WeakSet[ServerState] = WeakSet()


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's protocol with limits; `serving.service` names it to uvicorn.

    Requests go to `answers` where that is set, else through all layers that the server has around its application;
    `newcomers`, where set, takes on what waits for a connection.
    """

    answers: ClassVar[App | None] = None
    newcomers: ClassVar[Newcomers | None] = None
    _is_head = True  # whether a head is what comes next, or is coming
    _head_bytes = 0
    _owes_since = math.inf  # since when the client owes the rest of a request
    _stalled_since = math.inf  # since when the client does not read
    _idle_since = math.inf  # since when nothing was asked
    _is_ending = False
    _refusal: Problem | None = None
    _running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take a connection on, if enough descriptors are left."""
        super().connection_made(transport)
        self.app = BoundedConnection.answers or self.app
        # uvicorn asks whether anybody could hear of a request, not whether anybody wants to.
        self.access_log = self.access_log and self.access_logger.isEnabledFor(logging.INFO)
        self._owes_since = self.loop.time()
        if self.server_state not in _watched:
            _watched.add(self.server_state)
            _watch(self.loop, self.server_state)
        if len(self.connections) > ALWAYS_CONNECTIONS:
            self._make_room()
        newcomers = BoundedConnection.newcomers
        if newcomers is not None:
            if newcomers.is_over:
                self.shutdown()
            elif not self.config.is_ssl:
                newcomers.follow(self.loop, partial(type(self), self.config, self.server_state, self.app_state))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered; of several that were sent ahead uvicorn tells the last."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what the client sent."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._is_head:
            # A header that never ends is seen by no callback.
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_too_large())

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_head, self._head_bytes = True, 0
        self._idle_since = math.inf
        self._owes_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header, or a trailer."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refusal = _too_large()
            raise self._refusal
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request over."""
        self._is_head, self._owes_since = False, math.inf
        super().on_headers_complete()
        if self._is_ending and self.cycle is not None:
            self.cycle.keep_alive = False
        if len(self.pipeline) > MAX_PIPELINED:
            self._refusal = Problem(429, f"more than {MAX_PIPELINED} requests were sent ahead")
            raise self._refusal

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.__class__ = WholeAnswers  # uvicorn lets nobody say which class it makes
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """Note that the client owes nothing more of this request."""
        self._owes_since = math.inf
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on after an answer; what is missing of its request must come soon."""
        now = self.loop.time()
        if self.cycle is not None and self.cycle.more_body:
            self._owes_since = now
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        # As uvicorn does, but for the timer that it makes after every answer to end a connection which stays idle.
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = now
        if self._running is not None and TOO_BUSY in self._running.scope:
            self.flow.pause_reading()
            self.loop.call_later(HOLD_SECONDS, self._read_on)

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        self._stalled_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client reads on."""
        self._stalled_since = math.inf
        super().resume_writing()

    def send_400_response(self, _msg: str) -> None:
        """Answer what is no HTTP, or too much of it, in the contract's form."""
        self._refuse(self._refusal or Problem(400, "this is no HTTP request"))

    def shutdown(self) -> None:
        """End with the answer that is being made; an idle connection, with that to a request that is on its way."""
        if BoundedConnection.newcomers is not None:
            BoundedConnection.newcomers.end()
        if self.cycle is None or self.cycle.response_complete:
            self._is_ending = True
            self.loop.call_later(LINGER_SECONDS, self._end)
        else:
            self.cycle.keep_alive = False

    def look(self, now: float) -> None:
        """End the connection if its client has taken too long."""
        if now - self._owes_since > HEAD_SECONDS or now - self._stalled_since > WRITE_SECONDS:
            self.transport.abort()
        elif now - self._idle_since > self.timeout_keep_alive:
            self.transport.close()

    def _make_room(self) -> None:
        """Turn this connection away, in words or without, when few descriptors are left."""
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = self.transport.get_extra_info("socket")
        if most == resource.RLIM_INFINITY or taken is None:
            return
        # The system gives each new descriptor the lowest number that is free.
        left, spare = most - taken.fileno(), min(SPARE_DESCRIPTORS, most // 4)
        if left < spare / 2:
            self.transport.abort()
        elif left < spare:
            self.app = _turn_away

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _end(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        if not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_written(problem.answer()))
            self.transport.close()


class WholeAnswers(RequestResponseCycle):
    """A request and its answer as uvicorn has it, but that an answer which is there whole goes out in one piece.

    uvicorn hands head and body to the system one by one, and looks at each header's characters, where it is enough that
    none of them begins another line: together that was measured to take a quarter of what a ready answer does.
    """

    _start: HTTPResponseStartEvent | None = None

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of the answer; the head waits for what comes after it, which may be uvicorn's 500 instead."""
        if message["type"] == "http.response.start" and not self.response_started:
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            if message["type"] == "http.response.body" and self._sends_whole(start, message):
                return
            await super().send(start)
        await super().send(message)

    def _sends_whole(self, start: HTTPResponseStartEvent, message: HTTPResponseBodyEvent) -> bool:
        """Return whether the answer was sent: not where anything about it or its connection is out of the ordinary."""
        body, headers = message.get("body", b""), list(start.get("headers", ()))
        is_plain = self.keep_alive and not self.access_log and self.scope["method"] != "HEAD"
        is_free = not (self.disconnected or self.flow.write_paused or message.get("more_body", False))
        if not (is_plain and is_free and (b"content-length", b"%d" % len(body)) in headers):
            return False
        head = b"".join([b"%b: %b\r\n" % each for each in (*self.default_headers, *headers)])
        n_lines = len(self.default_headers) + len(headers)
        if (
            head.count(b"\n") != n_lines
            or head.count(b"\r") != n_lines
            or any(name == b"connection" for name, _ in headers)
        ):
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[start["status"]], head, body))
        self.message_event.set()
        self.on_response()
        return True


def _watch(loop: asyncio.AbstractEventLoop, state: ServerState) -> None:
    """Look at all connections of a worker again and again, as long as there are any."""
    if not state.connections:
        _watched.discard(state)
        return
    now = loop.time()
    for each in list(state.connections):
        if isinstance(each, BoundedConnection):
            each.look(now)
    loop.call_later(_LOOK_SECONDS, _watch, loop, state)


async def _turn_away(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer that there are too many connections, and close this one."""
    answer = not_ready("too many connections at once", 1).answer()
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _too_large() -> Problem:
    return Problem(431, f"the head of the request is larger than {MAX_HEAD_BYTES} bytes")


def _written(answer: Answer) -> bytes:
    """Return the bytes of an answer after which the connection is closed."""
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body)), (b"connection", b"close")]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return STATUS_LINE[answer.status] + lines + b"\r\n" + answer.body
