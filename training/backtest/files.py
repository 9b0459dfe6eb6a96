"""Files that are whole or not there: each begins with the digest of what follows."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from pathlib import Path

import pandas as pd

_MARK = b"tercet-kept-1\n"
_DIGEST_BYTES = 32


def write_sealed(path: Path, payload: bytes) -> None:
    """Write a payload whole, in place of what was there; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(_MARK + hashlib.sha256(payload).digest() + payload)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_sealed(path: Path) -> bytes | None:
    """Return the payload of a file; None when it is not there, cut short, or not what was written."""
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    start = len(_MARK) + _DIGEST_BYTES
    payload = found[start:]
    is_whole = found[:start] == _MARK + hashlib.sha256(payload).digest()
    return payload if is_whole else None


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame whole, as sealed Parquet."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    write_sealed(path, buffer.getvalue())


def read_frame(path: Path) -> pd.DataFrame | None:
    """Return the frame of a file, None where `read_sealed` does."""
    payload = read_sealed(path)
    return None if payload is None else pd.read_parquet(io.BytesIO(payload))
