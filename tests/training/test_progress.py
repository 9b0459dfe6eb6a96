from __future__ import annotations

import io

from rich.console import Console

from training.progress import Progress


def test_each_stage_is_one_line_when_it_ends() -> None:
    out = io.StringIO()
    with Progress(Console(file=out)) as progress:
        progress("reading [tables]")
        progress("fitting")
        assert out.getvalue().endswith("s  reading [tables]\n")
    assert [line.split(" s  ")[1] for line in out.getvalue().splitlines()] == ["reading [tables]", "fitting"]


def test_a_stage_that_fails_is_not_said_to_be_done() -> None:
    out = io.StringIO()
    progress = Progress(Console(file=out))
    progress("fitting")
    progress.__exit__(ValueError, ValueError("no"), None)
    assert out.getvalue() == ""


def test_nothing_is_said_of_nothing() -> None:
    out = io.StringIO()
    with Progress(Console(file=out)):
        pass
    assert out.getvalue() == ""
