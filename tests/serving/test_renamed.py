from __future__ import annotations

from pathlib import Path

from serving.renamed import remember_version, version_now


def test_a_bundle_is_found_by_every_version_that_it_had(tmp_path: Path) -> None:
    remember_version(tmp_path, "a", "b")
    remember_version(tmp_path, "x", "y")
    remember_version(tmp_path, "b", "c")
    remember_version(tmp_path, "b", "c")
    assert [version_now(tmp_path, each) for each in ("a", "b", "c", "x", "z")] == ["c", "c", "c", "y", "z"]


def test_where_nothing_was_erased_a_version_is_its_own(tmp_path: Path) -> None:
    assert version_now(tmp_path, "a") == "a"
    assert not (tmp_path / "state").exists()
