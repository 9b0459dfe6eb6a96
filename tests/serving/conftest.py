"""The tiny shop's bundle, for every test of serving."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.bundle import Bundle, open_bundle, write_bundle
from tests.serving.tiny import tiny_contents


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tiny shop's bundle; tests that alter it copy it first."""
    bundles = tmp_path_factory.mktemp("bundles")
    return bundles / write_bundle(tiny_contents(), bundles)


@pytest.fixture(scope="session")
def tiny_bundle(tiny_folder: Path) -> Bundle:
    """Return the tiny shop's bundle, open."""
    return open_bundle(tiny_folder)
