"""The bundle: the folder that training hands to serving; its writer, its reader and its checks.

`manifest.json`, `arrays/<name>.npy` (mapped into memory, never pickled), `models/*` (text), `numbers.json`,
`policy.toml`, and `texts/*` where a merchant has their own. A bundle is written whole or not at all, and one that is
damaged, foreign or of another schema is refused in one line.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serving import manifest as manifests
from serving.bundle_checks import check_layout, check_values, sizes_of
from serving.bundle_columns import narrowed
from serving.bundle_drafts import held, sweep_drafts
from serving.bundle_fields import Values, all_columns, assemble, flatten, is_narrowed
from serving.bundle_format import INTIMATE, RECOMMENDABLE, RESTRICTED, BundleArrays, Categories, Products
from serving.decisioning.flags import excluded_products, flag_categories, flag_products
from serving.decisioning.policy import Policy, parse_policy
from serving.decisioning.texts import language_named, parse_texts
from serving.errors import BundleError, PolicyError, TextsError
from serving.manifest import BundleMeta, FileEntry, Manifest
from serving.numbers import Numbers, numbers_from_json
from serving.shares import Shares
from serving.strings import StringTable

MANIFEST_NAME = "manifest.json"
_TEXTS = "texts"
_HEADER_BYTES = 128
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00v\x00"
    rb"\{'descr': '[<|][fiu][1248]', 'fortran_order': False, 'shape': \([0-9]{1,15},( [0-9]{1,6})?\), \} *\n"
)
_CHUNK_BYTES = 1 << 20
_ONE_HEADER = threading.Lock()  # CPython 3.11's parser can fail with SystemError when two threads use it at once


@dataclass(frozen=True, kw_only=True)
class BundleContents(BundleArrays):
    """What goes into a bundle. `models` are texts by file name (LightGBM strings, calibrations), for the record.

    `texts` are the merchant's own texts of messages, TOML by language.
    """

    meta: BundleMeta
    numbers: Numbers
    policy_text: str
    models: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bundle(BundleArrays):
    """An open bundle; the arrays are read-only maps of its files. `n_bytes` is the length of all files together.

    `texts` are the merchant's own texts of messages, TOML by language.
    """

    folder: Path
    manifest: Manifest
    numbers: Numbers
    policy: Policy
    n_bytes: int
    texts: Mapping[str, str] = field(default_factory=dict)


def write_bundle(contents: BundleContents, folder: Path) -> str:
    """Return the version of the bundle written to ``<folder>/<version>/``: whole or not at all.

    The same contents have the same version, and writing them again changes nothing. BundleError when the contents break
    the format or the folder can't be written.
    """
    sizes = sizes_of(contents)
    check_layout(contents, sizes)
    check_values(contents, sizes)
    numbers_from_json(contents.numbers.to_json())
    _check_words(contents.policy_text, contents.texts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep_drafts(folder)
        draft = _new_folder(folder, ".writing")
        try:
            with held(draft):
                return _write_draft(contents, sizes, draft)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise BundleError(f"the bundle can't be written to {folder}: {error}") from error


def _check_words(policy_text: str, texts: Mapping[str, str]) -> Policy:
    """Return the policy of a bundle; BundleError where it or the texts have mistakes, or its language has no texts."""
    try:
        policy = parse_policy(policy_text)
        language_named(policy.actions.language, texts)
    except PolicyError as error:
        raise BundleError(f"policy.toml: {error}") from error
    for name, source in texts.items():
        try:
            parse_texts(source)
        except TextsError as error:
            raise BundleError(f"texts/{name}.toml: {error}") from error
    return policy


def write_with_policy(
    bundle_folder: Path, policy_text: str, folder: Path, texts: Mapping[str, str] | None = None
) -> str:
    """Return the version of the same bundle with another policy, written to ``<folder>/<version>/``.

    With `texts` they take the place of the bundle's, else these stay.
    Its lists are in force at once, but what the old one excluded is recommended again only after the next training.
    """
    bundle = open_bundle(bundle_folder)
    meta = BundleMeta(**{each.name: getattr(bundle.manifest, each.name) for each in fields(BundleMeta)})
    models_folder = bundle_folder / "models"
    models = {path.name: path.read_text("utf-8") for path in sorted(models_folder.glob("*"))}
    arrays = {each.name: getattr(bundle, each.name) for each in fields(BundleArrays)}
    try:
        arrays |= _relisted(bundle, parse_policy(policy_text))
    except PolicyError as error:
        raise BundleError(f"policy.toml: {error}") from error
    return write_bundle(
        BundleContents(
            **arrays,
            meta=meta,
            numbers=bundle.numbers,
            policy_text=policy_text,
            models=models,
            texts=bundle.texts if texts is None else texts,
        ),
        folder,
    )


def obeying(bundle: Bundle, policy: Policy) -> Bundle:
    """Return an open bundle under another policy, as `write_with_policy` would write it; the arrays are shared."""
    parts: dict[str, Any] = {"policy": policy, **_relisted(bundle, policy)}  # Any: fields of several types
    return replace(bundle, **parts)


def _relisted(bundle: Bundle, policy: Policy) -> dict[str, Products | Categories]:
    """Return the products and categories with the flags of the policy's lists; nothing when these are the same."""
    if policy.lists == bundle.policy.lists:
        return {}
    products, categories = bundle.products, bundle.categories
    types, names, departments = list(bundle.types.name), list(categories.name), list(categories.department)
    texts = (
        list(products.name),
        [types[row] for row in products.type],
        [names[row] for row in products.category],
        [departments[row] for row in products.category],
    )
    kept = products.flags & ~np.uint16(RESTRICTED | INTIMATE)
    kept[excluded_products(*texts, policy.lists)] &= ~np.uint16(RECOMMENDABLE)
    flags = kept | flag_products(*texts, policy.lists)
    listed = flag_categories(flags, products.category, len(names))
    return {"products": replace(products, flags=flags), "categories": replace(categories, flags=listed)}


def open_bundle(folder: Path, *, verify: bool = True) -> Bundle:
    """Return the bundle of a folder, its arrays mapped; BundleError, one line, when anything is off.

    With `verify` every file is hashed and every value checked (linear in its size); without, only the manifest, the
    list of files, their lengths, and the types and shapes of the arrays.
    """
    try:
        return _open(folder, verify)
    except BundleError as error:
        raise BundleError(f"bundle {folder.name}: {error}") from error
    except OSError as error:
        raise BundleError(f"bundle {folder.name} can't be read: {error}") from error


def _open(folder: Path, verify: bool) -> Bundle:
    if not (folder / MANIFEST_NAME).is_file():
        raise BundleError(f"there is no {MANIFEST_NAME}")
    manifest = manifests.from_json(_read_text(folder / MANIFEST_NAME))
    _check_files(folder, manifest, verify)
    columns = {name: _map_column(folder / "arrays", name, each.dtype) for name, each in all_columns().items()}
    arrays = BundleArrays(**assemble(columns))
    check_layout(arrays, manifest.sizes)
    if verify:
        check_values(arrays, manifest.sizes)
    texts = {path.stem: _read_text(path) for path in sorted((folder / _TEXTS).glob("*.toml"))}
    policy = _check_words(_read_text(folder / "policy.toml"), texts)
    return Bundle(
        **{each.name: getattr(arrays, each.name) for each in fields(BundleArrays)},
        folder=folder,
        manifest=manifest,
        numbers=numbers_from_json(_read_text(folder / "numbers.json")),
        policy=policy,
        n_bytes=sum(each.bytes for each in manifest.files.values()),
        texts=texts,
    )


def _write_draft(contents: BundleContents, sizes: Mapping[str, int], draft: Path) -> str:
    for part in _parts(contents):
        (draft / part).mkdir()
    for name, values in flatten(contents):
        _write_column(draft / "arrays", name, values)
    texts = {f"models/{name}": text for name, text in contents.models.items()}
    texts |= {f"{_TEXTS}/{name}.toml": text for name, text in contents.texts.items()}
    texts |= {"numbers.json": contents.numbers.to_json(), "policy.toml": contents.policy_text}
    for path, text in texts.items():
        (draft / path).write_text(text, encoding="utf-8", newline="")
    meta = replace(contents.meta, as_of=contents.meta.as_of.astimezone(UTC))
    files = {path: _entry(draft / path) for path in _list_files(draft)}
    try:
        manifest = manifests.seal(meta, sizes, files)
        text = manifests.to_json(manifest)
    except (TypeError, ValueError) as error:
        raise BundleError(f"metrics or recipe can't be written as JSON: {error}") from error
    (draft / MANIFEST_NAME).write_text(text, encoding="utf-8", newline="")
    _put_in_place(draft, draft.parent / manifest.version)
    return manifest.version


def _parts(contents: BundleContents) -> tuple[str, ...]:
    return ("arrays", "models", _TEXTS) if contents.texts else ("arrays", "models")


def _new_folder(parent: Path, prefix: str) -> Path:
    """Return a new folder that nobody else writes to; who may read it is for the umask to say."""
    n = 0
    while True:
        folder = parent / f"{prefix}-{os.getpid()}-{n}"
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
        n += 1


def _put_in_place(draft: Path, target: Path) -> None:
    """Make everything durable, then give it its name: a reader sees all of it or nothing."""
    for path in [
        *(draft / each for each in _list_files(draft)),
        *(each for each in draft.iterdir() if each.is_dir()),
        draft,
    ]:
        _sync(path)
    if target.exists():
        try:
            open_bundle(target)
            return
        except BundleError:
            # Same name, other content: damaged since. It steps aside, so that the sound one can take its place.
            broken = _new_folder(target.parent, ".damaged")
            target.rename(broken / target.name)
            draft.rename(target)
            shutil.rmtree(broken, ignore_errors=True)
    else:
        draft.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _list_files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def _entry(path: Path) -> FileEntry:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return FileEntry(digest.hexdigest(), path.stat().st_size)


def _check_files(folder: Path, manifest: Manifest, verify: bool) -> None:
    found = set(_list_files(folder)) - {MANIFEST_NAME}
    if lost := sorted(set(manifest.files) - found):
        raise BundleError(f"missing: {', '.join(lost)}")
    if extra := sorted(found - set(manifest.files)):
        raise BundleError(f"not in the manifest: {', '.join(extra)}")
    for name, entry in manifest.files.items():
        n_bytes = (folder / name).stat().st_size
        if n_bytes != entry.bytes:
            raise BundleError(f"{name} has {n_bytes} bytes, {entry.bytes} expected")
        if verify and _entry(folder / name) != entry:
            raise BundleError(f"{name} is damaged: its sha256 is not that of the manifest")


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{path.name} is not UTF-8") from error


def _write_column(folder: Path, name: str, values: Values) -> None:
    for each, array in _files_of(name, values).items():
        stored = narrowed(array) if is_narrowed(name, array.dtype) else array
        np.save(folder / f"{each}.npy", np.ascontiguousarray(stored), allow_pickle=False)


def _files_of(name: str, values: Values) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays that hold a column, by the name of their file."""
    if isinstance(values, StringTable):
        return {f"{name}.offsets": values.offsets, f"{name}.utf8": values.utf8}
    return {name: values.codes if isinstance(values, Shares) else values}


def _map_column(folder: Path, name: str, dtype: str) -> Values:
    if dtype == "str":
        return StringTable(_map(folder / f"{name}.offsets.npy"), _map(folder / f"{name}.utf8.npy"))
    mapped = _map(folder / f"{name}.npy")
    return Shares(mapped) if dtype == "share" else mapped


def _map(path: Path) -> npt.NDArray[Any]:
    """Return the array of a file, read-only. A plain view: indexing a `numpy.memmap` costs several times as much."""
    if not path.is_file():
        raise BundleError(f"missing: arrays/{path.name}")
    # numpy reads a header by evaluating it as Python's literals: only one that we could have written gets there.
    with path.open("rb") as file:
        if _HEADER.fullmatch(file.read(_HEADER_BYTES)) is None:
            raise BundleError(f"arrays/{path.name} is not an array file of a bundle")
    try:
        with _ONE_HEADER:
            return np.asarray(np.lib.format.open_memmap(path, mode="r"))
    except (ValueError, EOFError, OverflowError) as error:
        raise BundleError(f"arrays/{path.name} is not an array file: {error}") from error
