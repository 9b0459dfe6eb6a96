"""The digest of the code behind a result: a module with all of ours that it imports, at any depth.

A result that is kept under it is made anew when any of that code changes, and stands when other code does.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

PACKAGES = ("features", "serving", "training")
_ROOT = Path(__file__).resolve().parent.parent
_BESIDE = (".sql",)
"""Kinds of files that belong to the code of the modules of `features`."""


def code_digest(modules: Collection[str], *, without: Collection[str] = ()) -> str:
    """Return the digest of modules and of all of ours that they import, 16 hexadecimal digits.

    `without` are modules at which to stop: neither they nor what only they import counts. An import within a function
    counts like any other. Queries (``.sql``) count where any module of `features` does.
    """
    digest = hashlib.sha256()
    found = sorted(_closure(modules, without))
    for name in found:
        digest.update(f"{name}:{_text_digest(name)}\n".encode())
    if any(name.startswith("features.") for name in found):
        digest.update(_queries().encode())
    return digest.hexdigest()[:16]


def _closure(modules: Collection[str], without: Collection[str]) -> set[str]:
    left, seen = list(modules), set[str]()
    while left:
        name = left.pop()
        if name not in seen and name not in without:
            seen.add(name)
            left += _imported(name)
    return seen


@cache
def _imported(module: str) -> tuple[str, ...]:
    """Return our modules that a module imports, by their full names."""
    path = _path(module)
    return () if path is None else tuple(dict.fromkeys(_names(ast.parse(path.read_bytes()))))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if _is_ours(each.name))
        elif isinstance(node, ast.ImportFrom) and node.module is not None and _is_ours(node.module):
            yield node.module
            inner = (f"{node.module}.{each.name}" for each in node.names)
            yield from (name for name in inner if _path(name) is not None)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in PACKAGES


@cache
def _path(module: str) -> Path | None:
    """Return the file of a module of ours; None for a name that is no module. Nothing is imported."""
    place = _ROOT.joinpath(*module.split("."))
    return next((each for each in (place.with_suffix(".py"), place / "__init__.py") if each.is_file()), None)


@cache
def _text_digest(module: str) -> str:
    path = _path(module)
    return "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _queries() -> str:
    package = _path("features")
    files = sorted(each for each in package.parent.rglob("*") if each.suffix in _BESIDE) if package else []
    return hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()
