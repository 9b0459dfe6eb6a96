"""The pages that a GET answers: the API page with its files, and the OpenAPI document; all of it ready-made bytes."""

from __future__ import annotations

from importlib.resources import files

import orjson

from serving.api_openapi import document
from serving.http_calls import CALLS
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
    (b"cache-control", b"no-cache"),
)


def pages(version: str) -> dict[str, Answer]:
    """Return path → answer for everything that is the same for each request; `version` is tercet's own."""
    folder = files("serving") / "studio"
    answers = {
        path: Answer(200, ((b"content-type", kind), *_PAGE_HEADERS), (folder / name).read_bytes())
        for path, (name, kind) in _FILES.items()
    }
    answers["/docs.json"] = Answer(200, JSON_TYPE, orjson.dumps(document(CALLS, DOCUMENTED, version)))
    return answers
