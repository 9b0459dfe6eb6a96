"""What a GET answers that a person or a tool reads: the API page, the guides, and the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files

import orjson

from serving.api_openapi import document, not_before
from serving.http_calls import CALLS, TELLINGS
from serving.http_guides import guides
from serving.http_problems import JSON_TYPE, Answer, Headers

DOCUMENTED = {
    "/": ("This API as a page: every call with its fields, and a form to try it.", "text/html"),
    "/livez": ("The server runs.", "application/json"),
    "/readyz": ("A bundle serves.", "application/json"),
    "/metrics": ("Counters for Prometheus.", "text/plain"),
    "/docs.json": ("This document.", "application/json"),
}
"""The paths of the OpenAPI document besides the calls."""

_FILES = {
    "/": ("index.html", b"text/html; charset=utf-8"),
    "/docs": ("index.html", b"text/html; charset=utf-8"),
    "/studio/page.css": ("page.css", b"text/css; charset=utf-8"),
    "/studio/page.js": ("page.js", b"text/javascript; charset=utf-8"),
    "/studio/schema.js": ("schema.js", b"text/javascript; charset=utf-8"),
    "/favicon.ico": ("icon.svg", b"image/svg+xml"),
}

# The page loads nothing from elsewhere, and no other page may frame it.
_PAGE_HEADERS: Headers = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
)


def pages() -> dict[str, Answer]:
    """Return path → answer for the files of the API page, and for the guides."""
    folder = files("serving") / "studio"
    found = {path: ((folder / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}
    found |= {path: (page, b"text/html; charset=utf-8") for path, page in guides().items()}
    return {
        path: Answer(200, ((b"content-type", kind), *_PAGE_HEADERS), content) for path, (content, kind) in found.items()
    }


class Document:
    """The OpenAPI document, encoded once for each bundle: it says from which moment on that answers."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._ready: dict[datetime | None, Answer] = {}

    def answer(self, as_of: datetime | None) -> Answer:
        """Return the document for a bundle of that moment (None: no bundle serves)."""
        if as_of not in self._ready:
            spec = document((*CALLS, *TELLINGS), DOCUMENTED, self._version)
            spec = spec if as_of is None else not_before(spec, as_of)
            self._ready = {as_of: Answer(200, JSON_TYPE, orjson.dumps(spec))}
        return self._ready[as_of]
