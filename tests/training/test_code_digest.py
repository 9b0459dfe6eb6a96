"""The digest of code: it moves with every module that is imported, and with no other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from training import code_digest as module
from training.code_digest import code_digest


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`training.a` imports `features.b`, and within a function `training.c`; nobody imports `training.d`."""
    for name, text in {
        "training/__init__.py": "",
        "features/__init__.py": "",
        "training/a.py": "import os\nfrom features import b\n\ndef f():\n    from training.c import ANY\n",
        "training/c.py": "ANY = 1\n",
        "training/d.py": "ALONE = 1\n",
        "features/b.py": "BOTH = 1\n",
        "features/groups/customers.sql": "select 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for each in (module._imported, module._path, module._text_digest, module._queries):
        each.cache_clear()


def changed(tree: Path, name: str, **more: tuple[str, ...]) -> bool:
    before = code_digest(["training.a"], **more)
    (tree / name).write_text((tree / name).read_text() + "\n# another line\n")
    forget()
    return code_digest(["training.a"], **more) != before


@pytest.mark.parametrize(
    "name",
    ["training/a.py", "features/b.py", "training/c.py", "features/groups/customers.sql"],
)
def test_it_moves_with_what_is_imported_at_any_depth(tree: Path, name: str) -> None:
    assert changed(tree, name)


def test_it_stays_when_other_code_moves(tree: Path) -> None:
    assert not changed(tree, "training/d.py")


def test_it_stops_where_it_is_told(tree: Path) -> None:
    assert not changed(tree, "training/c.py", without=("training.c",))


def test_a_module_that_is_none_of_ours_is_no_error(tree: Path) -> None:
    assert len(code_digest(["tests.anything"])) == 16


def test_the_code_at_hand_has_one_and_nothing_is_imported_for_it() -> None:
    forget()
    before = set(sys.modules)
    assert len(code_digest(["training.pipeline"])) == 16
    assert set(sys.modules) == before
