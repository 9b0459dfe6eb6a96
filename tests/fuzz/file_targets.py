"""Files of a home with any bytes in them: opened, or refused in one line of ours."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from serving import manifest as manifests
from serving.api import ChallengeRequest
from serving.api_keys import ApiKeys, Scope, new_key, read_keys, write_keys
from serving.bundle import open_bundle, write_bundle
from serving.champion import read_champion
from serving.decisioning.policy import default_policy_text, parse_policy
from serving.decisioning.texts import parse_texts, shipped_texts
from serving.engine import Engine
from serving.errors import ServingError
from serving.experiments_toml import default_experiments_text, parse_experiments
from serving.manifest import FileEntry
from serving.numbers import numbers_from_json
from tests.fuzz.json_values import value_seeds, with_another_value
from tests.fuzz.target import Broken, Run, Target, scratch
from tests.serving.tiny import tiny_contents


def _refused_in_a_line(work: Callable[[], object]) -> None:
    """Do the work; `Broken` unless it ends well or in one line of ours."""
    try:
        work()
    except ServingError as error:
        if "\n" in str(error):
            raise Broken(f"more than a line: {error!r}") from error


def _text(read: Callable[[str], object]) -> Callable[[], Run]:
    """Return what hands the bytes to `read` as text, as the files are read: what is no UTF-8 never gets there."""

    def run(data: bytes) -> None:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return
        _refused_in_a_line(lambda: read(text))

    return lambda: run


@cache
def _bundle() -> Path:
    """Return the folder of a bundle that nobody else has; it is gone when the process ends."""
    root = scratch()
    return root / write_bundle(tiny_contents(), root)


def _manifest_values() -> Run:
    """Return what changes single values of a manifest, and reads it under the version that its content calls for."""
    text = _manifest_seeds()[1]
    folder = scratch() / "bundle"
    shutil.copytree(_bundle(), folder)

    def run(data: bytes) -> None:
        found = with_another_value(text, data)
        if isinstance(found, dict):
            _refused_in_a_line(lambda: manifests.from_json(json.dumps(found)))
            _refused_in_a_line(lambda: _decided_with(folder, _with_its_version(found)))

    return run


def _decided_with(folder: Path, manifest: str) -> None:
    """Decide from the bundle under another manifest: one that is opened must serve."""
    manifests.from_json(manifest)
    (folder / "manifest.json").write_text(manifest, "utf-8")
    bundle = open_bundle(folder, verify=False)
    at = bundle.manifest.as_of + timedelta(hours=1)
    orjson.dumps(Engine(bundle).challenge(ChallengeRequest(customer_id="anna"), at, "0" * 32))


def _with_its_version(found: dict[str, Any]) -> str:
    content = json.dumps({**found, "version": ""}, indent=1, sort_keys=True) + "\n"
    day = str(found.get("as_of", ""))[:10].replace("-", "")
    version = f"{day}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"
    return json.dumps({**found, "version": version})


def _numbers_values() -> Run:
    text = (_bundle() / "numbers.json").read_text("utf-8")

    def run(data: bytes) -> None:
        found = with_another_value(text, data)
        _refused_in_a_line(lambda: numbers_from_json(json.dumps(found)))

    return run


def _manifest_seeds() -> list[bytes]:
    text = (_bundle() / "manifest.json").read_text("utf-8")
    found = json.loads(text)
    told = {**found, "metrics": {"churn": {"auc": 0.75}}, "recipe": {"name": "first", "seeds": [1, 2]}}
    return [text.encode(), json.dumps(told).encode()]


def _files() -> list[str]:
    return sorted(manifests.from_json((_bundle() / "manifest.json").read_text("utf-8")).files)


def _artifacts() -> Run:
    """Return what puts bytes in the place of a bundle's file, seals the bundle anew, and opens it."""
    folder = scratch() / "bundle"
    shutil.copytree(_bundle(), folder)
    sealed, names = (folder / "manifest.json").read_text("utf-8"), _files()

    def run(data: bytes) -> None:
        if not data:
            return
        name = names[data[0] % len(names)]
        sound, content = (folder / name).read_bytes(), data[1:]
        (folder / name).write_bytes(content)
        (folder / "manifest.json").write_text(_sealed(sealed, name, content), encoding="utf-8")
        try:
            _refused_in_a_line(lambda: open_bundle(folder))
        finally:
            (folder / name).write_bytes(sound)

    return run


def _sealed(text: str, name: str, content: bytes) -> str:
    manifest = manifests.from_json(text)
    entry = FileEntry(hashlib.sha256(content).hexdigest(), len(content))
    changed = dataclasses.replace(manifest, files={**manifest.files, name: entry})
    return manifests.to_json(dataclasses.replace(changed, version=manifests.version_of(changed)))


def _artifact_seeds() -> list[bytes]:
    return [bytes([place]) + (_bundle() / name).read_bytes() for place, name in enumerate(_files()) if place < 256]


def _keys() -> Run:
    home = scratch()

    def run(data: bytes) -> None:
        (home / "keys.json").write_bytes(data)
        (home / "champion").write_bytes(data)
        _refused_in_a_line(lambda: read_keys(home))
        read_champion(home)

    return run


def _key_seeds() -> list[bytes]:
    home = scratch()
    _, key = new_key("web", list(Scope), 3.5)
    fixed = dataclasses.replace(key, id="01234567", sha256="0" * 64)
    write_keys(home, ApiKeys().with_key(fixed))
    return [(home / "keys.json").read_bytes(), b"20180101-0123abcd\n"]


def _of(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


def _json_words() -> list[bytes]:
    found = json.loads((_bundle() / "manifest.json").read_text("utf-8"))
    words = [f'"{each}"' for each in (*found, *found["has"], "sha256", "bytes")]
    return [word.encode() for word in [*words, "NaN", "Infinity", "-1", "1e999", "[", "{", "null", "1" * 5000]]


def _toml_words() -> list[bytes]:
    return [
        b"nan",
        b"inf",
        b"-1",
        b"1e999",
        b"true",
        b"[[",
        b"]]",
        b"{{ ",
        b" }}",
        b'"""',
        b"1979-05-27",
        b"= ",
        b"{",
        b"[",
    ]


TARGETS = (
    Target("manifest", _text(manifests.from_json), _manifest_seeds, _json_words),
    Target("manifest-values", _manifest_values, lambda: value_seeds(90), _json_words, short_runs=40),
    Target("numbers-values", _numbers_values, lambda: value_seeds(60), _json_words),
    Target("numbers", _text(numbers_from_json), lambda: [(_bundle() / "numbers.json").read_bytes()], _json_words),
    Target("artifacts", _artifacts, _artifact_seeds, lambda: [b"descr", b"<f4", b"|O", b"shape", b"-1"], short_runs=8),
    Target("policy", _text(parse_policy), _of(default_policy_text()), _toml_words, max_bytes=65_536, short_runs=20),
    Target("texts", _text(parse_texts), _of(*shipped_texts().values()), _toml_words, max_bytes=65_536, short_runs=20),
    Target("experiments", _text(parse_experiments), _of(default_experiments_text()), _toml_words),
    Target("keys", _keys, _key_seeds, _json_words),
)
