"""The tiny shop's bundle, and its API with a state in memory, for every test of serving."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.bundle import Bundle, open_bundle, write_bundle
from serving.engine import Engine
from tests.serving.asgi import NOW, Client, client
from tests.serving.state.memory_store import MemoryStore
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


@pytest.fixture
def store() -> MemoryStore:
    """Return an empty state in memory."""
    return MemoryStore()


@pytest.fixture
def api(tmp_path: Path, tiny_bundle: Bundle, store: MemoryStore) -> Client:
    """Return a client of the tiny shop at noon of 2 January 2018, whose state is in `store`."""
    return client(tmp_path, Engine(tiny_bundle), NOW, store)
