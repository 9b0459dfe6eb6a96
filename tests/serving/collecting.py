"""An OpenTelemetry collector on a free port of this machine: it keeps the spans that are sent to it over OTLP/HTTP."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    url: str
    bodies: list[bytes] = field(default_factory=list)

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]

    def spans(self, name: str) -> list[Span]:
        """Return the spans that came, by the beginning of their names."""
        scopes = [scope for each in self.requests for part in each.resource_spans for scope in part.scope_spans]
        return [span for scope in scopes for span in scope.spans if span.name.startswith(name)]

    def services(self) -> set[str]:
        """Return the names of the services that sent spans."""
        parts = [part for each in self.requests for part in each.resource_spans]
        return {
            each.value.string_value for part in parts for each in part.resource.attributes if each.key == "service.name"
        }


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector, and end it."""
    collector = Collector("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.bodies.append(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield collector
        finally:
            server.shutdown()
            serving.join()
