"""The manifest of a bundle: what it is, what it was made from, and the digest of each of its files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from serving.bundle_format import SCHEMA_VERSION
from serving.errors import BundleError

FORMAT = "tercet-bundle"
_LAST_YEAR = 9999
_SHA256 = re.compile(r"[0-9a-f]{64}")
VERSION_PATTERN = re.compile(r"\d{8}-[0-9a-f]{8}")


@dataclass(frozen=True)
class Available:
    """What the source had: without it the parts that need it are off."""

    types: bool
    categories: bool
    prices: bool
    hours: bool
    amounts: bool


@dataclass(frozen=True, kw_only=True)
class BundleMeta:
    """What a bundle says of itself.

    `as_of` is aware and in UTC; `as_of_day` is its local day number since 1970-01-01 in `time_zone`. `metrics` and
    `recipe` are JSON values. `log_until_us`: events accepted before that moment (epoch microseconds) were read from the
    log, 0 when none were.
    """

    as_of: datetime
    as_of_day: int
    time_zone: str
    currency: str
    source_name: str
    catalogue_digest: str
    created_by: str
    has: Available
    switched_off: tuple[str, ...] = ()
    log_until_us: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON written by training, only passed on here
    recipe: Mapping[str, Any] = field(default_factory=dict)  # Any: as above


@dataclass(frozen=True)
class FileEntry:
    """The digest and the length of one file."""

    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Manifest(BundleMeta):
    """The whole of ``manifest.json``. `sizes` are the lengths of the axes, `files` are named relative to the folder."""

    schema_version: int
    version: str
    sizes: Mapping[str, int]
    files: Mapping[str, FileEntry]


def seal(meta: BundleMeta, sizes: Mapping[str, int], files: Mapping[str, FileEntry]) -> Manifest:
    """Return the manifest with its version: the day of as_of (UTC), and eight hex digits of the digest of all."""
    known = {each.name: getattr(meta, each.name) for each in fields(BundleMeta)}
    manifest = Manifest(**known, schema_version=SCHEMA_VERSION, version="", sizes=sizes, files=files)
    return replace(manifest, version=version_of(manifest))


def version_of(manifest: Manifest) -> str:
    """Return the version that the manifest's content calls for."""
    content = to_json(replace(manifest, version=""))
    return f"{manifest.as_of:%Y%m%d}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def to_json(manifest: Manifest) -> str:
    """Return the text of ``manifest.json``, the same for the same content."""
    found = asdict(manifest) | {"format": FORMAT, "as_of": manifest.as_of.isoformat()}
    return json.dumps(found, indent=1, sort_keys=True, allow_nan=False) + "\n"


def from_json(text: str) -> Manifest:
    """Return the manifest of a text; BundleError when it isn't ours, of another schema, incomplete or altered."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"manifest.json is not JSON: {error}") from error
    if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
        raise BundleError("manifest.json is not that of a tercet bundle")
    if found.get("schema_version") != SCHEMA_VERSION:
        raise BundleError(
            f"the bundle has schema version {found.get('schema_version')!r}, this tercet reads {SCHEMA_VERSION}: "
            "train again with this version"
        )
    manifest = _parse(found)
    try:
        version = version_of(manifest)
    except (TypeError, ValueError, RecursionError) as error:
        raise BundleError(f"manifest.json has a value of the wrong kind: {error}") from error
    if manifest.version != version:
        raise BundleError(f"manifest.json was altered: it says version {manifest.version}, its content is another")
    return manifest


def _parse(found: dict[str, Any]) -> Manifest:  # Any: parsed JSON, checked here
    names = {each.name for each in fields(Manifest)}
    if odd := sorted(set(found) ^ names):
        raise BundleError(f"manifest.json has missing or unknown keys: {', '.join(map(_shown, odd))}")
    try:
        found["as_of"] = datetime.fromisoformat(found["as_of"])
        found["has"] = Available(**found["has"])
        found["switched_off"] = tuple(found["switched_off"])
        found["files"] = {name: _entry(name, entry) for name, entry in found["files"].items()}
        found["log_until_us"] = int(found["log_until_us"])
        found["sizes"] = {name: int(size) for name, size in found["sizes"].items()}
        manifest = Manifest(**found)
        is_sound = manifest.as_of.tzinfo is not None and VERSION_PATTERN.fullmatch(manifest.version) is not None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BundleError(f"manifest.json has a value of the wrong kind: {error}") from error
    if manifest.as_of.year >= _LAST_YEAR:
        raise BundleError("manifest.json: as_of is at the end of the calendar, where no week ends")
    if not is_sound:
        raise BundleError("manifest.json: as_of needs a time zone, and version the form YYYYMMDD-xxxxxxxx")
    return manifest


def _entry(name: str, found: Mapping[str, Any]) -> FileEntry:  # Any: parsed JSON, checked here
    entry = FileEntry(**found)
    if type(entry.bytes) is not int or entry.bytes < 0:
        raise ValueError(f"{_shown(name)} can't have {entry.bytes!r} bytes")
    if not isinstance(entry.sha256, str) or _SHA256.fullmatch(entry.sha256) is None:
        raise ValueError(f"{_shown(name)} has no sha256 of 64 hex digits")
    if not name.isprintable():
        raise ValueError(f"no file of a bundle is named {name!r}")
    return entry


def _shown(name: str) -> str:
    """Return a name that a line can hold: as it is, or quoted."""
    return name if name.isprintable() else repr(name)
