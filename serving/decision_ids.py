"""Ids of decisions: 128 bits that nobody can guess, the same ones for the same challenge on every worker and call."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from serving.errors import SettingsError

KEY_BYTES = 32
_DIGITS = 32
_DRAWN = 64  # ids whose randomness is drawn at once: to ask the system gives up Python's lock, and it must be got again


class DecisionIds:
    """Makes ids of 32 hexadecimal digits from randomness, or from a question and the shop's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._drawn: tuple[int, list[str]] = (0, [])

    def fresh(self) -> str:
        """Return an id that was never seen before."""
        pid, drawn = self._drawn
        if pid != os.getpid():
            drawn = []  # a forked child must not give what its parent will
            self._drawn = (os.getpid(), drawn)
        try:
            return drawn.pop()
        except IndexError:
            digits = secrets.token_hex(_DRAWN * _DIGITS // 2)
            drawn.extend(digits[at : at + _DIGITS] for at in range(_DIGITS, len(digits), _DIGITS))
            return digits[:_DIGITS]

    def of(self, question: str) -> str:
        """Return the id of the question: always the same under one key, and unguessable without it.

        >>> ids = DecisionIds(b"k" * 32)
        >>> ids.of("a") == ids.of("a"), ids.of("a") == ids.of("b"), len(ids.of("a"))
        (True, False, 32)
        """
        return hashlib.blake2b(question.encode(), key=self._key, digest_size=16).hexdigest()


def home_key(home: Path) -> bytes:
    """Return the key of the shop under `home`; it is made on first use, or SettingsError says why not."""
    path = home / "state" / "decision.key"
    try:
        if not path.exists():
            _create_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"TERCET_HOME: can't keep {path}: {error.strerror}") from error
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"TERCET_HOME: {path} has {len(key)} bytes instead of {KEY_BYTES}; remove it to make a new one"
        )
    return key


def shop_ids(home: Path) -> DecisionIds:
    """Return the ids of the shop under `home`, under its own key."""
    return DecisionIds(home_key(home))


def _create_key(path: Path) -> None:
    """Write a new key; when two processes do so at once, the first one's stands for both."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link fails where a file stands already, which a rename would silently replace.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
