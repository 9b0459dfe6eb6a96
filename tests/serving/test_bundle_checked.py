"""A bundle is hashed once a machine; whatever changes a file of it has it hashed again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving import bundle_checked
from serving.bundle import Bundle, open_bundle
from serving.bundle_checked import open_checked, stamp_of
from serving.errors import BundleError

ARRAY = "arrays/customers.churn.npy"


@pytest.fixture
def folder(tmp_path: Path, tiny_folder: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "bundles" / tiny_folder.name))


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "state" / "checked"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each opening checked everything."""
    seen: list[bool] = []

    def opened(folder: Path, *, verify: bool = True) -> Bundle:
        seen.append(verify)
        return open_bundle(folder, verify=verify)

    monkeypatch.setattr(bundle_checked, "open_bundle", opened)
    return seen


def test_the_first_opening_checks_and_the_next_does_not(folder: Path, notes: Path, checks: list[bool]) -> None:
    first, second = open_checked(folder, notes), open_checked(folder, notes)
    assert checks == [True, False]
    assert first.manifest == second.manifest


def test_of_many_that_come_at_once_one_checks(folder: Path, notes: Path, checks: list[bool]) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: open_checked(folder, notes), range(4)))
    assert sorted(checks) == [False, False, False, True]


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def flip_a_bit_and_hide_it(path: Path) -> None:
    state = path.stat()
    flip_a_bit(path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def replace_by_another(path: Path) -> None:
    draft = path.with_name("draft")
    draft.write_bytes(path.read_bytes())
    flip_a_bit(draft)
    draft.replace(path)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize("change", [flip_a_bit, flip_a_bit_and_hide_it, replace_by_another, truncate, Path.unlink])
def test_what_was_changed_since_is_refused(folder: Path, notes: Path, change: Callable[[Path], None]) -> None:
    open_checked(folder, notes)
    change(folder / ARRAY)
    with pytest.raises(BundleError, match=r"churn\.npy"):
        open_checked(folder, notes)


def test_a_bundle_that_was_refused_is_not_noted(folder: Path, notes: Path) -> None:
    flip_a_bit(folder / ARRAY)
    for _ in range(2):
        with pytest.raises(BundleError, match="damaged"):
            open_checked(folder, notes)


def test_what_was_mended_is_checked_again(folder: Path, notes: Path, checks: list[bool]) -> None:
    open_checked(folder, notes)
    flip_a_bit(folder / ARRAY)
    flip_a_bit(folder / ARRAY)
    open_checked(folder, notes)
    assert checks == [True, True]


def test_a_bundle_of_another_machine_is_checked(
    folder: Path, notes: Path, checks: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_checked(folder, notes)
    monkeypatch.setattr(bundle_checked.platform, "node", lambda: "another")
    open_checked(folder, notes)
    assert checks == [True, True]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stamp": 7}'])
def test_a_damaged_note_counts_for_nothing(folder: Path, notes: Path, checks: list[bool], text: str) -> None:
    open_checked(folder, notes)
    (notes / f"{folder.name}.json").write_text(text)
    open_checked(folder, notes)
    assert checks == [True, True]


def test_where_notes_cannot_be_kept_every_opening_checks(folder: Path, tmp_path: Path, checks: list[bool]) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    for _ in range(2):
        open_checked(folder, tmp_path / "state" / "checked")
    assert checks == [True, True]


def test_notes_of_bundles_that_are_gone_are_forgotten(folder: Path, notes: Path) -> None:
    open_checked(folder, notes)
    (notes / "20170101-00000000.json").write_text("{}")
    flip_a_bit(folder / ARRAY)
    flip_a_bit(folder / ARRAY)
    open_checked(folder, notes)
    assert [path.name for path in notes.glob("*.json")] == [f"{folder.name}.json"]


def test_what_changes_while_it_is_checked_is_not_noted(
    folder: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = iter(["before", "after"])
    monkeypatch.setattr(bundle_checked, "stamp_of", lambda _: next(stamps))
    open_checked(folder, notes)
    assert list(notes.glob("*.json")) == []


def test_a_stamp_is_the_same_while_nothing_changes(folder: Path) -> None:
    before = stamp_of(folder)
    (folder / ARRAY).read_bytes()
    assert stamp_of(folder) == before
