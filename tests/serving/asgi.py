"""Asks an ASGI application without a server, down to what a client may send that no client library would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from serving import http_app
from serving.champion import Champion, write_champion
from serving.decision_ids import DecisionIds
from serving.decisioning.policy import default_policy
from serving.http_app import HttpApp
from serving.http_clock import Clock
from serving.http_metrics import Metrics
from serving.http_shop import Shop
from serving.http_state import StateDoor
from serving.state.shop import State
from serving.state.store import Store
from serving.state_home import OpenState
from tests.serving.state.memory_store import MemoryStore

KEY = b"k" * 32
NOW = datetime(2018, 1, 2, 12, tzinfo=UTC)
"""When the tiny shop is asked: in the morning of the second day of its bundle."""
PATIENT_SECONDS = 60.0
"""How long an answer may take here, so that a busy machine makes none a 503; a server gives up much sooner."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def fields(self) -> list[str]:
        """The fields that a 422 names."""
        return [error["field"] for error in self.json()["errors"]]


@dataclass
class Client:
    """Sends requests to the application; `shop` is what it holds."""

    app: HttpApp
    shop: Shop

    def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        """Send `body`: bytes as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, [content], **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.send("PUT", path, [json.dumps(body).encode()], **options)

    def delete(self, path: str, **options: Any) -> Reply:
        return self.send("DELETE", path, [b""], **options)

    def get(self, path: str, **options: Any) -> Reply:
        return self.send("GET", path, [b""], **options)

    def send(
        self,
        method: str,
        path: str,
        parts: Sequence[bytes],
        *,
        headers: dict[str, str] | None = None,
        query: str = "",
        client: tuple[str, int] | None = ("127.0.0.1", 5000),
    ) -> Reply:
        given = {"content-type": "application/json"} if headers is None else headers
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
            "client": client,
        }
        messages = [
            {"type": "http.request", "body": part, "more_body": position < len(parts) - 1}
            for position, part in enumerate(parts)
        ] or [{"type": "http.disconnect"}]
        sent = asyncio.run(self._talk(scope, messages))
        if not sent:
            return Reply(0, {}, b"")
        names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], names, b"".join(each.get("body", b"") for each in sent))

    async def _talk(self, scope: dict[str, Any], messages: list[dict[str, Any]]) -> list[Any]:
        waiting = iter(messages)
        sent: list[Any] = []

        async def receive() -> Any:
            message = next(waiting, None)
            if message is None:
                await asyncio.sleep(3600)
            return message

        async def send(message: Any) -> None:
            sent.append(message)

        with patch.object(http_app, "ANSWER_SECONDS", PATIENT_SECONDS):
            await self.app(scope, receive, send)
        return sent


def client(home: Path, engine: object | None, now: datetime | None = None, store: Store | None = None) -> Client:
    """Return a client of a shop that `engine` serves (None: nothing serves), whose clock stands at `now`.

    Its state is in `store`, in memory where none is given.
    """
    champion: Champion[Any] = Champion(home, lambda _folder: engine)
    if engine is not None:
        write_champion(home, "20180101-00000000")
        champion.take_up()
    ids, metrics, kept = DecisionIds(KEY), Metrics(None), store or MemoryStore()
    door = StateDoor(lambda: OpenState(State(kept, KEY, default_policy().state), kept, ids), metrics)
    door.open()
    shop = Shop(champion, Clock(now, 0.0, seconds=lambda: 0.0), ids, metrics, door)
    return Client(HttpApp(shop, "0"), shop)
