"""What broke a decoder once stays mended, and a short run of seeded mutations, the same each time, breaks none."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.target import Run
from tests.fuzz.targets import CORPUS, TARGETS, corpus_of

SEED = 20180101
BROKE_ONCE = [(name, each) for name in TARGETS for each in corpus_of(name)]


@cache
def runner(name: str) -> Run:
    return TARGETS[name].make()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What is refused by the thousand is not logged by the thousand."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("name", "kept"), BROKE_ONCE, ids=["-".join(each) for each in BROKE_ONCE])
def test_what_broke_a_target_once_breaks_it_no_more(name: str, kept: str) -> None:
    runner(name)(corpus_of(name)[kept])


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_what_it_is_begun_with_and_changes_of_it(name: str) -> None:
    target = TARGETS[name]
    run, seeds = runner(name), target.seeds()

    for data in [b"", *seeds[: target.short_runs], *mutated(seeds, target.words(), target.short_runs, SEED)]:
        run(data)


def test_mutations_are_the_same_each_time_and_differ_from_the_seeds() -> None:
    first, again = (list(mutated([b"abc", b"{}"], [b"word"], 50, SEED)) for _ in range(2))

    assert first == again
    assert len(set(first)) > 30
    assert first != list(mutated([b"abc", b"{}"], [b"word"], 50, SEED + 1))


def test_every_folder_of_the_corpus_is_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= {*TARGETS}


# libFuzzer ends at 2 GB of the most that a process ever held, and Linux counts what the one that started it held: these
# tests may have trained models before. So a small process stands in between.
BETWEEN = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:], check=False).returncode)"


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this Python or machine")
@pytest.mark.parametrize("name", [pytest.param("bodies", marks=pytest.mark.slow), "numbers"])
def test_atheris_runs_a_target_and_finds_nothing(name: str, tmp_path: Path) -> None:
    options = ["-runs=500", f"-seed={SEED}", f"-artifact_prefix={tmp_path}/"]

    command = [sys.executable, "-c", BETWEEN, sys.executable, "-m", "tests.fuzz.one", name, *options]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 5" in done.stderr
