"""API keys: who may make which calls.

A key is shown once, when it is made; what is kept in the home's `keys.json` is a hash. A key is 256 random bits, so a
plain SHA-256 of it is as hard to turn back as the key is to guess, and quick enough for every request.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import logging
import math
import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from serving.errors import KeysError

logger = logging.getLogger(__name__)

FILE_NAME = "keys.json"
_TOKEN = re.compile(r"tercet_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Scope(StrEnum):
    """What a key opens: each opens its own calls and no others."""

    STOREFRONT = "storefront"
    ANALYST = "analyst"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: `id` is the part of it that anybody may see, `per_second` a limit of calls (None: none)."""

    id: str
    name: str
    sha256: str
    scopes: frozenset[Scope]
    per_second: float | None = None


@dataclass(frozen=True)
class ApiKeys:
    """All keys of a shop, by id."""

    by_id: Mapping[str, ApiKey] = field(default_factory=lambda: MappingProxyType({}))

    def find(self, token: str) -> ApiKey | None:
        """Return the key that a client has shown, None where there is none such; compared in constant time."""
        match = _TOKEN.fullmatch(token)
        key = None if match is None else self.by_id.get(match[1])
        shown = _digest(token)
        # An unknown id costs as much as a wrong secret.
        is_it = hmac.compare_digest(shown, "" if key is None else key.sha256)
        return key if is_it else None

    def with_key(self, key: ApiKey) -> ApiKeys:
        """Return these keys and another one; KeysError where the name is taken."""
        if any(each.name == key.name for each in self.by_id.values()):
            raise KeysError(f"there is a key named {key.name!r}: revoke it first, or take another name")
        return ApiKeys({**self.by_id, key.id: key})

    def without(self, name: str) -> ApiKeys:
        """Return these keys without the one of that name; KeysError where there is none."""
        kept = {each.id: each for each in self.by_id.values() if each.name != name}
        if len(kept) == len(self.by_id):
            raise KeysError(f"there is no key named {name!r}; `tercet keys list` shows them")
        return ApiKeys(kept)


def new_key(name: str, scopes: Iterable[Scope], per_second: float | None = None) -> tuple[str, ApiKey]:
    """Return a new key: what its owner shows, and what is kept of it.

    KeysError for a name that is not 1 to 64 of letters, digits, dots, dashes and underscores, no scope, or a limit that
    is not above 0.
    """
    if not _NAME.fullmatch(name):
        raise KeysError(
            "a key's name is 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit"
        )
    opened = frozenset(scopes)
    if not opened:
        raise KeysError(f"a key needs a scope: {', '.join(Scope)}")
    if per_second is not None and not (math.isfinite(per_second) and per_second > 0):
        raise KeysError("a key's limit is a number of calls a second above 0")
    id_ = secrets.token_hex(4)
    token = f"tercet_{id_}_{secrets.token_urlsafe(32)}"
    return token, ApiKey(id_, name, _digest(token), opened, per_second)


def read_keys(home: Path) -> ApiKeys:
    """Return the keys of a home, none where it has no file; KeysError names the file and what is wrong with it."""
    path = home / FILE_NAME
    try:
        found = json.loads(path.read_text("utf-8"))
        keys = [_parsed(each) for each in found["keys"]]
    except FileNotFoundError:
        return ApiKeys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise KeysError(f"{path} can't be read as keys ({type(error).__name__}): restore it, or delete it") from None
    if len({key.id for key in keys}) < len(keys):
        raise KeysError(f"{path} has two keys of one id: restore it, or delete it")
    return ApiKeys({key.id: key for key in keys})


def change_keys(home: Path, change: Callable[[ApiKeys], ApiKeys]) -> None:
    """Write what `change` makes of a home's keys, whole, for the owner's eyes only; of two changes at once both hold.

    KeysError as `read_keys` and `change` raise it: then nothing is written.
    """
    home.mkdir(parents=True, exist_ok=True)
    lock = os.open(home / f".{FILE_NAME}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_keys(home, change(read_keys(home)))
    finally:
        os.close(lock)


def write_keys(home: Path, keys: ApiKeys) -> None:
    """Write the keys whole, for the owner's eyes only; `change_keys` is for what may happen twice at once."""
    home.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "id": key.id,
            "name": key.name,
            "sha256": key.sha256,
            "scopes": sorted(key.scopes),
            "per_second": key.per_second,
        }
        for key in keys.by_id.values()
    ]
    draft = home / f".{FILE_NAME}.{os.getpid()}"
    draft.touch(mode=0o600)
    with draft.open("w", encoding="utf-8") as file:
        json.dump({"keys": rows}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(home / FILE_NAME)


class KeysFile:
    """Holds the keys in force, and takes up what the home's file says, without a restart.

    A file with mistakes is refused and what was in force stands; a worker that starts on one lets nobody in.
    """

    def __init__(self, home: Path) -> None:
        self.current = ApiKeys()
        self._home = home
        self._seen: tuple[int, int] | None = None
        self._is_open = False

    def has_news(self) -> bool:
        """Say whether the file is another one than at the last `take_up`; one `stat`, a few µs."""
        return not self._is_open or self._stamp() != self._seen

    def take_up(self) -> None:
        """Go by what the file says, if it is sound."""
        self._is_open, stamp = True, self._stamp()
        try:
            self.current = read_keys(self._home)
        except KeysError as error:
            logger.error("keys refused, those that were in force stand: %s", error)
        self._seen = stamp

    def _stamp(self) -> tuple[int, int] | None:
        try:
            state = (self._home / FILE_NAME).stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_ino


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _parsed(raw: Any) -> ApiKey:  # Any: parsed JSON, checked here
    key = ApiKey(
        raw["id"],
        raw["name"],
        raw["sha256"],
        frozenset(Scope(each) for each in raw["scopes"]),
        None if raw["per_second"] is None else float(raw["per_second"]),
    )
    is_sound = re.fullmatch(r"[0-9a-f]{8}", key.id) and _NAME.fullmatch(key.name)
    if not is_sound or not re.fullmatch(r"[0-9a-f]{64}", key.sha256) or not key.scopes:
        raise ValueError("no key")
    if key.per_second is not None and not (math.isfinite(key.per_second) and key.per_second > 0):
        raise ValueError("no limit")
    return key
