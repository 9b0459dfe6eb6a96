"""Traces of requests through the engine and the state, sent to an OpenTelemetry collector: off unless asked for.

What is traced is wrapped when a worker starts, so a server without traces runs the very code that has never heard of
them. A span holds the request's and the decision's id, the path as the OpenAPI document writes it, the status and
times: no customer, product or basket, no address and no text of an error. Where spans go, which are kept and what the
service is called is said by OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER`,
`OTEL_SERVICE_NAME`, …).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial, wraps
from pathlib import Path
from typing import Any, Final, TypeVar

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from serving.http_body import App, Message, Receive, Scope, Send
from serving.http_log import decision_id_of
from serving.http_state import StateDoor

ENGINE_CALLS: Final = (
    "challenge",
    "replacement",
    "also_bought",
    "recommendations",
    "substitutes",
    "offers",
    "action",
    "scores",
    "customer_view",
)
"""What an engine is asked for; a call may ask for more than one, or for none."""

STATE_CALLS: Final = ("read", "write")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
_SERVER_ERROR = 500
_END_SECONDS = 2.0

Headers = list[tuple[bytes, bytes]]
T = TypeVar("T")


def span_provider(version: str) -> TracerProvider:
    """Return what makes spans and sends them, beside the requests, to where OpenTelemetry's variables say."""
    ours = Resource({SERVICE_NAME: "tercet", SERVICE_VERSION: version})
    made = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return made


class Tracing:
    """Puts spans of `provider` around what answers requests, in the context of who asks (W3C `traceparent`)."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("tercet")

    def app(self, app: App, path_of: Callable[[Scope], str]) -> App:
        """Return the application with a span around each request; `path_of` names a path without the ids in it."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            path = path_of(scope)
            method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
            context = _TRACE_CONTEXT.extract(scope["headers"], getter=_HEADERS)
            with self._tracer.start_as_current_span(
                f"{method} {path}", context=context, kind=SpanKind.SERVER, record_exception=False
            ) as span:
                span.set_attributes({"http.request.method": method, "http.route": path})
                await app(scope, receive, partial(_sent, span, path, send))

        return traced

    def watching(self, open_engine: Callable[[Path], T]) -> Callable[[Path], T]:
        """Return what opens an engine with a span around each of its `ENGINE_CALLS`."""

        def opened(folder: Path) -> T:
            engine = open_engine(folder)
            for name in ENGINE_CALLS:
                setattr(engine, name, self._spanned(f"engine.{name}", getattr(engine, name)))
            return engine

        return opened

    def watch_door(self, door: StateDoor) -> None:
        """Put a span around each of the door's `STATE_CALLS`, and carry the request's own into the threads."""
        for name in STATE_CALLS:
            setattr(door, name, self._spanned(f"state.{name}", getattr(door, name)))
        beside = door.beside
        door.joins_writes = False

        async def carried(work: Callable[[], T], until: float) -> T:
            return await beside(partial(copy_context().run, work), until)

        setattr(door, "beside", carried)  # noqa: B010  # mypy allows no assignment to a method

    def end(self) -> None:
        """Send what is left, for as long as a server that ends has; what a collector takes later is lost."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(_END_SECONDS)

    def _spanned(self, name: str, call: Callable[..., T]) -> Callable[..., T]:
        @wraps(call)
        def spanned(*args: Any, **options: Any) -> T:  # Any: handed on as they are
            with self._tracer.start_as_current_span(
                name, record_exception=False, set_status_on_exception=False
            ) as span:
                try:
                    return call(*args, **options)
                except Exception as error:
                    span.set_attribute("error.type", type(error).__name__)
                    span.set_status(StatusCode.ERROR)
                    raise

        return spanned


def configure_trace_logging() -> None:
    """Write the trace into each line of the log, and what OpenTelemetry has to say as lines of its form."""
    ours, theirs = logging.getLogger("serving"), logging.getLogger("opentelemetry")
    for handler in ours.handlers:
        handler.addFilter(with_trace)
    theirs.handlers, theirs.propagate = list(ours.handlers), False


def with_trace(record: logging.LogRecord) -> bool:
    """Add the trace and span that a record is written in to its fields, where there is one; a filter that takes all."""
    context = get_current_span().get_span_context()
    if context.is_valid:
        fields = getattr(record, "fields", {})
        record.fields = {**fields, "trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    return True


async def _sent(span: Span, path: str, send: Send, message: Message) -> None:
    """Send a part of the answer, once the span has what it says of the answer."""
    if message["type"] == "http.response.start":
        span.set_attribute("http.response.status_code", message["status"])
        request_id = next((value for name, value in message["headers"] if name == b"x-request-id"), b"")
        span.set_attribute("tercet.request_id", request_id.decode())
        if message["status"] >= _SERVER_ERROR:
            span.set_status(StatusCode.ERROR)
    elif span.is_recording():
        decision_id = decision_id_of(path, message["body"])
        if decision_id is not None:
            span.set_attribute("tercet.decision_id", decision_id)
    await send(message)


class _Headers(Getter[Headers]):
    """Reads the headers of an ASGI scope; one that is no Latin-1 text can't be, so none fails."""

    def get(self, carrier: Headers, key: str) -> list[str] | None:
        """Return the values of a header, None where it is absent."""
        wanted = key.encode()
        return [value.decode("latin-1") for name, value in carrier if name == wanted] or None

    def keys(self, carrier: Headers) -> list[str]:
        """Return the names of all headers."""
        return [name.decode("latin-1") for name, _ in carrier]


_HEADERS: Final = _Headers()
_TRACE_CONTEXT: Final = TraceContextTextMapPropagator()
