"""Runs a stateful test on each store: in memory, in a file, and on a real Redis."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from serving.state.file_store import FileStore
from serving.state.redis_store import RedisStore
from serving.state.store import Store
from tests.serving.state.memory_store import MemoryStore
from tests.serving.state.redis_process import RedisProcess

Opening = Callable[[], tuple[Store, Callable[[], None]]]
"""Opens an empty store, and says how it is cleaned up."""


def in_memory() -> tuple[Store, Callable[[], None]]:
    return MemoryStore(), lambda: None


def in_a_file() -> tuple[Store, Callable[[], None]]:
    folder = tempfile.TemporaryDirectory()
    store = FileStore(Path(folder.name) / "state.db")

    def clean_up() -> None:
        store.close()
        folder.cleanup()

    return store, clean_up


def in_redis(shared: RedisProcess) -> Opening:
    def opened() -> tuple[Store, Callable[[], None]]:
        client = shared.client()
        client.flushall()
        client.close()
        store = RedisStore(shared.url)
        return store, store.close

    return opened


def run(machine: type[RuleBasedStateMachine], opening: Opening, n_examples: int, n_steps: int) -> None:
    """Run a machine that opens its store by `open_store`."""
    # Any: mypy knows no class that is made like this.
    on_store: Any = type(machine.__name__, (machine,), {"open_store": staticmethod(opening)})
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    limits = settings(max_examples=n_examples, stateful_step_count=n_steps, deadline=None, suppress_health_check=quiet)
    run_state_machine_as_test(on_store, settings=limits)
