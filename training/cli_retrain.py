"""`tercet retrain`: what a timer calls; its exit status says what came of it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from serving.errors import HomeInUse
from training.cli_names import EngineName
from training.progress import Progress

REFUSED, IN_USE = 3, 4


def retrain(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="As for train.")],
    server: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="A server of this home, such as http://127.0.0.1:3000, that must take the new champion up.",
        ),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come of it, and keep nothing.")] = False,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Leave so many bundles, the newest; what serves stays. Default: all.")
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="What runs the feature groups.")] = EngineName.DUCKDB,
    quick: Annotated[bool, typer.Option("--quick", help="Judge on one cutoff instead of all.")] = False,
    state: Annotated[
        str, typer.Option(metavar="URL", envvar="TERCET_STATE", help="Where the shop's state is, as for train.")
    ] = "file",
    home: Annotated[Path, typer.Option(envvar="TERCET_HOME", help="Where everything lives.", file_okay=False)] = Path(
        ".tercet"
    ),
) -> None:
    """Train, judge and promote through the gate, or leave everything as it was; for a timer.

    Exit status: 0 promoted (or tried), 1 a step failed, 3 the gate refused it, 4 another training is at work.
    """
    from training.pipeline import TrainingJob
    from training.retrain import Outcome, RetrainJob
    from training.retrain import retrain as run

    signal.signal(signal.SIGTERM, _interrupt)  # a service manager that stops it: everything is taken back
    job = RetrainJob(TrainingJob(source, None, engine.value, quick, state), server, dry_run, keep)
    try:
        with Progress() as progress:
            found = run(job, home, progress)
    except HomeInUse as error:
        print(f"tercet: {error}", file=sys.stderr)
        raise typer.Exit(IN_USE) from None
    print(found.table, found.line, sep="\n\n" if found.table else "")
    if found.outcome is Outcome.REFUSED:
        raise typer.Exit(REFUSED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
