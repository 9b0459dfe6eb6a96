"""What is skipped on a person's machine fails in CI, whatever skipped it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
import pytest

@pytest.fixture
def server():
    pytest.skip("no such server")

def test_that_runs(): pass
def test_that_skips(): pytest.skip("no such program")
def test_whose_fixture_skips(server): pass
@pytest.mark.skipif(True, reason="no such system")
def test_that_is_marked(): pass
@pytest.mark.xfail(strict=True)
def test_that_is_known_to_fail(): raise AssertionError
"""
MODULE = """
import pytest
pytest.importorskip("no_such_module")
"""


def outcome(folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_ci: bool) -> str:
    (folder / "test_some.py").write_text(TESTS)
    (folder / "test_whole.py").write_text(MODULE)
    monkeypatch.setenv("TERCET_CI", "1" if is_ci else "")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others' plugins take seconds to load
    options = ["-p", "tests.skips", "-p", "no:cacheprovider", "-q", "--continue-on-collection-errors", "--rootdir", "."]
    command = [sys.executable, "-m", "pytest", *options, "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_a_person_may_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "1 passed, 4 skipped, 1 xfailed" in outcome(tmp_path, monkeypatch, is_ci=False)


def test_ci_may_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = outcome(tmp_path, monkeypatch, is_ci=True)
    assert "1 failed, 1 passed, 1 xfailed, 3 errors" in said
    for reason in ("no such program", "no such server", "no such system", "could not import 'no_such_module'"):
        assert f"no test may be skipped under TERCET_CI=1. Skipped: {reason}" in said
