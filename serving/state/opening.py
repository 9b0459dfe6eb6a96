"""The store that `TERCET_STATE` names."""

from __future__ import annotations

from pathlib import Path

from serving.errors import SettingsError
from serving.state.file_store import FileStore
from serving.state.store import Store

FILE = "file"


def open_store(url: str, home: Path) -> Store:
    """Return the store: `file` under the home, or the Redis of a `redis://` or `rediss://` URL.

    Nothing is opened or connected to yet, so that a server starts without its state; `check` says what the store lacks.
    SettingsError for anything else, without the URL's password.
    """
    if url == FILE:
        return FileStore(home / "state" / "state.db")
    if url.startswith(("redis://", "rediss://")):
        from serving.state.redis_store import RedisStore  # only then: the client takes a moment and 15 MB

        return RedisStore(url)
    raise SettingsError(f"TERCET_STATE: it is neither '{FILE}' nor a URL that begins with redis:// or rediss://")
