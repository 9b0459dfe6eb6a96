"""Documents of the state with any bytes in them: read, or refused with a 503; a training is told in a line."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from serving.bundle import open_bundle, write_bundle
from serving.engine import Engine
from serving.errors import StateUnavailable
from serving.state.store import Document
from tests.fuzz.http_targets import ALL, NOW
from tests.fuzz.json_values import value_seeds, with_another_value
from tests.fuzz.target import Broken, Run, Target, scratch
from tests.serving.asgi import Client, Reply, client
from tests.serving.state.memory_store import MemoryStore
from tests.serving.test_hostile_values import WHOLE
from tests.serving.tiny import tiny_contents
from training.log_source import told_of

KINDS = (
    "person/",
    "log/",
    "kept/",
    "decision/ offers",
    "decision/ challenge",
    "decision/ actions",
    "of/",
    "identity/",
    "seen/",
    "budget/",
    "held/",
    "stock",
    "stock/",
    "swept",
)
"""What is fuzzed of the state: documents by the beginning of their key, decisions by what was asked for."""


@cache
def _engine() -> Engine:
    root = scratch()
    return Engine(open_bundle(root / write_bundle(tiny_contents(), root)))


@cache
def _documents() -> dict[str, Document]:
    """Return what a shop keeps once every call was made of it, by key."""
    store = MemoryStore()
    api = client(scratch(), _engine(), NOW, store)
    for call in ALL:
        if call.method != "DELETE":
            body = WHOLE[call.path]
            body = body if "at" not in body else {**body, "at": None}
            api.send(call.method, call.path.replace("{id}", "anna"), [json.dumps(body).encode() if body else b""])
    api.shop.door.close()
    return dict(store.documents)


def _keys() -> list[str]:
    """Return a document of each of `KINDS`, in their order: other keys are made at random."""
    return [next(key for key in sorted(_documents()) if _is_of(kind, key)) for kind in KINDS]


def _is_of(kind: str, key: str) -> bool:
    prefix, _, call = kind.partition(" ")
    is_below = key == prefix or (prefix.endswith("/") and key.startswith(prefix))
    return is_below and (not call or json.loads(_documents()[key].value)["call"] == call)


def _values() -> Run:
    """Return what changes single values of a document: the first byte says of which."""
    run, keys = _run(), _keys()

    def changed(data: bytes) -> None:
        if not data:
            return
        key = keys[data[0] % len(keys)]
        if _documents()[key].value.startswith(b"{"):
            found = with_another_value(_documents()[key].value, data[1:])
            run(data[:1] + json.dumps(found).encode())

    return changed


def _run() -> Run:
    store = MemoryStore()
    api = client(scratch(), _engine(), NOW, store)
    keys, place = _keys(), scratch() / "log.parquet"

    def run(data: bytes) -> None:
        if not data:
            return
        key = keys[data[0] % len(keys)]
        store.documents.clear()
        store.documents.update(_documents())
        store.documents[key] = Document(data[1:], _documents()[key].version)
        decision_id = key.rpartition("/")[2] if key.startswith("decision/") else ""
        for call in ALL:
            id_ = decision_id if call.id_of == "decision" else "anna"
            if not id_:  # one that isn't there is waited for
                continue
            body = WHOLE[call.path]
            content = json.dumps({**body, "at": None} if "at" in body else body).encode() if body else b""
            _judge(f"{call.method} {call.path}", api.send(call.method, call.path.replace("{id}", id_), [content]))
        _read_all(api, place)

    return run


def _judge(what: str, reply: Reply) -> None:
    if reply.status >= 500 and (reply.status != 503 or "retry-after" not in reply.headers):
        raise Broken(f"{what}: {reply.status} {reply.body[:300]!r}")


def _read_all(api: Client, place: Path) -> None:
    """Read what a training reads."""
    opened = api.shop.door._opened
    assert opened is not None
    try:
        told_of(opened.state, place, 0.0)
    except StateUnavailable as error:
        if "\n" in str(error):
            raise Broken(f"more than a line: {error!r}") from error


def _seeds() -> list[bytes]:
    return [bytes([place]) + _documents()[key].value for place, key in enumerate(_keys())]


def _words() -> list[bytes]:
    names = {name for document in _documents().values() for name in _names(document.value)}
    return [
        *(f'"{name}"'.encode() for name in sorted(names)),
        b'"v":3',
        b'"v":true',
        b"null",
        b"[]",
        b"{}",
        b"1e30",
        b"-1",
    ]


def _names(value: bytes) -> list[str]:
    try:
        found = json.loads(value)
    except ValueError:
        return []
    return list(found) if isinstance(found, dict) else []


TARGETS = (
    Target("state", _run, _seeds, _words, short_runs=8),
    Target(
        "state-values",
        _values,
        lambda: [bytes([place % len(KINDS)]) + seed for place, seed in enumerate(value_seeds(40))],
        _words,
        short_runs=5,
    ),
)
