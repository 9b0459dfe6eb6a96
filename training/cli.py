"""The command `tercet`. Verbs import what they need when called: `serve` and `batch` work without a training library.

Exit status: 0 done, 1 the input or the outcome is not good (one line says why), 2 the call is wrong. The answer goes to
standard output, everything else to standard error.
"""

from __future__ import annotations

import os
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from features.errors import TercetError
from serving.errors import SettingsError
from serving.settings import state_url
from training.cli_keys import keys
from training.cli_names import BatchKind, ChannelName, EngineName, IntentName, LevelName
from training.cli_retrain import retrain
from training.progress import Progress

DONE, NOT_GOOD, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="tercet",
    help="Recommendations and scores for retailers. Everything lives under one home: --home or TERCET_HOME.",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(keys)
app.command(epilog="Example: tercet retrain ./tables --server http://127.0.0.1:3000")(retrain)

Home = Annotated[Path, typer.Option(envvar="TERCET_HOME", help="Where everything lives.", file_okay=False)]
SourceText = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A folder of Parquet or CSV files, a database (postgresql://… or a DuckDB file), "
        "complete-journey, or synthetic.",
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="Judge on one cutoff instead of all.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        metavar="T",
        help="The moment to learn up to, ISO 8601; a date means its local midnight. Default: the end of the data.",
    ),
]
StateUrl = Annotated[
    str,
    typer.Option(
        metavar="URL", envvar="TERCET_STATE", help="Where the shop's state is: 'file' under the home, or redis://…"
    ),
]
DEFAULT_HOME = Path(".tercet")
DEFAULT_STATE = "file"


@app.command(epilog="Example: tercet check ./tables")
def check(source: SourceText, state: StateUrl = DEFAULT_STATE, home: Home = DEFAULT_HOME) -> None:
    """Check the tables; print rows read, kept, quarantined, duplicate and left out, and what is switched off."""
    from serving.home_lock import working_in
    from training.opening import open_shop

    with Progress() as progress, working_in(home):
        shop = open_shop(source, home, None, EngineName.DUCKDB.value, progress, state=state)
    print(shop.report.text())


@app.command(epilog="Example: tercet features ./tables --as-of 2017-12-04")
def features(
    source: SourceText,
    as_of: AsOf = None,
    engine: Annotated[EngineName, typer.Option(help="What runs the feature groups.")] = EngineName.DUCKDB,
    state: StateUrl = DEFAULT_STATE,
    home: Home = DEFAULT_HOME,
) -> None:
    """Build every feature table as of a moment, as Parquet; print where each is and how many rows it has."""
    moment = _moment(as_of)
    from serving.home_lock import working_in
    from training.opening import build_features, open_shop

    with Progress() as progress, working_in(home):
        built = build_features(open_shop(source, home, moment, engine.value, progress, state=state), progress)
    print(built)


@app.command(epilog="Example: tercet train ./tables --quick")
def train(
    source: SourceText,
    as_of: AsOf = None,
    engine: Annotated[EngineName, typer.Option(help="What runs the feature groups.")] = EngineName.DUCKDB,
    quick: Quick = False,
    state: StateUrl = DEFAULT_STATE,
    home: Home = DEFAULT_HOME,
) -> None:
    """Build features, fit and judge the models, publish a bundle; print its version alone on the last line."""
    moment = _moment(as_of)
    from training import gate, pipeline

    with Progress() as progress:
        version = pipeline.train(source, home, moment, engine.value, quick, progress, state=state)
    table = gate.table_of(home, version)
    if table:
        print(table, end="\n\n")
    print(version)


@app.command(epilog="Example: tercet evaluate complete-journey --quick")
def evaluate(
    source: SourceText,
    quick: Annotated[bool, typer.Option("--quick", help="One cutoff, quick settings, a sample of customers.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="TASK", help="This task alone; may be given several times.")
    ] = None,
    thin: Annotated[
        bool, typer.Option("--thin", help="Poor versions of the source instead: no names, no prices, few customers, …")
    ] = False,
    state: StateUrl = DEFAULT_STATE,
    home: Home = DEFAULT_HOME,
) -> None:
    """Run the backtest beside tuned peers, write the report and print its tables; goes on where it was stopped."""
    from training.evaluate import EvaluationJob
    from training.evaluate import evaluate as run

    with Progress() as progress:
        report = run(EvaluationJob(source, quick, tuple(only or ()), state, thin), home, progress)
    print(report.text)


@app.command(epilog="Example: tercet tune ./tables churn --trials 40")
def tune(
    source: SourceText,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model, peers/<peer>-<task>, or all.")],
    trials: Annotated[int, typer.Option(min=1, help="Trials in all, those of earlier calls among them.")] = 40,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Begin no new trial after so many minutes of this call.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed tries the same settings.")] = 1,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew instead of going on.")] = False,
    state: StateUrl = DEFAULT_STATE,
    home: Home = DEFAULT_HOME,
) -> None:
    """Search better settings on days before any test, and write them to the home; stop and go on at any time."""
    from training.tune_job import Plan
    from training.tune_job import tune as search

    with Progress() as progress:
        found = search(source, home, model, Plan(trials, minutes, seed, restart), progress, state=state)
    print("\n\n".join(each.text for each in found))
    if any(each.is_stopped for each in found):
        raise typer.Exit(INTERRUPTED)


@app.command(epilog="Example: tercet promote 20171231-1a2b3c4d")
def promote(
    version: Annotated[str | None, typer.Argument(help="The bundle; default: the newest.")] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="Make the champion obey this policy, as a new version.", exists=True, dir_okay=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if the comparison says no.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Make a bundle that passed the gate the champion, which a running server then takes up."""
    from training import gate

    print(gate.promote(home, version, policy=policy, force=force).text)


@app.command(epilog="Example: tercet serve --port 3000 --workers 2")
def serve(
    host: Annotated[str | None, typer.Option(help="TERCET_HOST, else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="TERCET_PORT, else 3000.")] = None,
    workers: Annotated[int | None, typer.Option(help="TERCET_WORKERS, else 2.")] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="TERCET_STATE: 'file' under the home, or redis://…, which many machines share."
        ),
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(metavar="T", help="TERCET_NOW: the server's clock starts at T and runs on (ISO 8601 with zone)."),
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Run the server with the champion until it is told to stop; without a champion it waits for the first one."""
    from serving import launch
    from serving.settings import read_settings

    given = {
        "TERCET_HOST": host,
        "TERCET_PORT": port,
        "TERCET_WORKERS": workers,
        "TERCET_STATE": state,
        "TERCET_NOW": now,
    }
    asked = {name: str(value) for name, value in given.items() if value is not None}
    settings = read_settings({**os.environ, "TERCET_HOME": str(home), **asked})
    launch.check_port(settings.host, settings.port)
    print(launch.banner(settings), file=sys.stderr)
    launch.run(settings)


@app.command(epilog="Example: tercet batch recommendations --out again.parquet --intent buy_again --k 20")
def batch(
    kind: Annotated[BatchKind, typer.Argument(help="What to answer.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.", dir_okay=False)],
    at: Annotated[
        str | None, typer.Option(metavar="T", help="The moment to decide for. Default: the bundle's as-of.")
    ] = None,
    customers: Annotated[
        Path | None,
        typer.Option(
            help="CSV or Parquet with customer_id (also-bought: query_id, product_id). Default: everyone.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    k: Annotated[int, typer.Option(min=1, max=100, help="Items, or offers, an answer.")] = 10,
    intent: Annotated[IntentName, typer.Option(help="For recommendations.")] = IntentName.MIXED,
    level: Annotated[LevelName, typer.Option(help="For recommendations.")] = LevelName.PRODUCT,
    channel: Annotated[
        ChannelName | None,
        typer.Option(help="For offers and actions. Default: where each customer is best met."),
    ] = None,
    no_rules: Annotated[bool, typer.Option("--no-rules", help="The ranking alone.")] = False,
    issue: Annotated[bool, typer.Option("--issue", help="Keep, and send, what is answered.")] = False,
    state: StateUrl = DEFAULT_STATE,
    home: Home = DEFAULT_HOME,
) -> None:
    """Write the engine's answers for many customers as Parquet; print the file and how many rows it has."""
    from serving.batch import BatchJob, write_batch

    job = BatchJob(
        kind.value,
        at=_moment(at),
        k=k,
        intent=intent.value,
        level=level.value,
        channel=None if channel is None else channel.value,
        with_rules=not no_rules,
        issues=issue,
        state=state,
    )
    with Progress() as progress:
        n_rows = write_batch(home, job, out, customers, progress)
    print(f"{out}: {n_rows:,} rows")


@app.command(epilog="Example: tercet erase c-20931, or tercet erase --identity email:ann@example.com")
def erase(
    customer_id: Annotated[str | None, typer.Argument(metavar="CUSTOMER_ID", help="Any of the customer's ids.")] = None,
    identity: Annotated[
        str | None, typer.Option(metavar="KIND:VALUE", help="Whoever has this identity, instead of an id.")
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            envvar="TERCET_NOW",
            help="For a server with a clock of its own: up to when all is erased. Default: this machine's clock.",
        ),
    ] = None,
    state: StateUrl = DEFAULT_STATE,
    home: Home = DEFAULT_HOME,
) -> None:
    """Forget a customer everywhere: state, logs, tables, batch outputs, MLflow, every bundle; print a receipt."""
    if (customer_id is None) == (identity is None):
        raise typer.BadParameter("give a customer's id, or --identity KIND:VALUE")
    from serving.erasing import Asked, erase_asked

    with Progress() as progress:
        receipt = erase_asked(home, state, Asked(customer_id, identity, now), progress)
    print(receipt)


@app.command(epilog="Example: tercet lift bolder-stretch --source ./tables --from 2018-01-08")
def lift(
    experiment: Annotated[str, typer.Argument(help="Its name in experiments.toml, or holdout.")],
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Count the purchases of these tables as well as those of the log."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="T", help="Only customers who were first exposed since then.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="T", help="As it stood then. Default: the latest purchase.")
    ] = None,
    state: StateUrl = DEFAULT_STATE,
    home: Home = DEFAULT_HOME,
) -> None:
    """Measure what an experiment brought, with intervals; says no, and why, where that can't be told."""
    from training.lift import LiftJob
    from training.lift import lift as measure

    job = LiftJob(experiment, _moment(since), _moment(until), source, state)
    with Progress() as progress:
        report = measure(home, job, progress)
    print(report.text)


@app.command(epilog="Example: tercet replay --policy bolder.toml --from 2018-01-08 --to 2018-01-15")
def replay(
    policy: Annotated[
        Path | None,
        typer.Option(help="The policy to try. Default: the home's policy.toml.", exists=True, dir_okay=False),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="T", help="Decisions since then. Default: the last seven days.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="T", help="Decisions before then. Default: the latest one.")
    ] = None,
    is_valued: Annotated[
        bool,
        typer.Option("--value", help="Say what it would have brought, by what was drawn at random since --from."),
    ] = False,
    arm: Annotated[
        str | None,
        typer.Option(metavar="EXPERIMENT/ARM", help="With --value: only decisions of that arm; 'none' for no arm."),
    ] = None,
    state: StateUrl = DEFAULT_STATE,
    home: Home = DEFAULT_HOME,
) -> None:
    """Decide past decisions anew under another policy; print what would have changed, or what it would have brought."""
    from training.off_policy_job import value
    from training.replay import ReplayJob
    from training.replay import replay as run_again

    if arm is not None and not is_valued:
        raise typer.BadParameter("--arm goes with --value")
    job = ReplayJob(policy, _moment(since), _moment(until), state)
    with Progress() as progress:
        text = value(home, job, arm, progress).text if is_valued else run_again(home, job, progress)
    print(text)


def _moment(text: str | None) -> datetime | date | None:
    """Return what ISO 8601 text says: a date, or a moment with its zone; None for None."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not ISO 8601, such as 2017-12-04 or 2017-12-04T05:00:00Z") from None
    if "T" not in text and " " not in text:
        return moment.date()
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone; end it with Z or an offset such as -05:00")
    return moment


def main() -> None:
    """Run the command and leave with its exit status."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # else two threads spin for each other on a busy machine
    try:
        os.environ["TERCET_STATE"] = state_url(os.environ)
    except SettingsError as error:
        sys.exit(_complain(str(error), WRONG_CALL))
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Return the exit status of one call of the command."""
    try:
        return int(app(arguments or ["--help"], prog_name="tercet", standalone_mode=False) or DONE)
    except TyperException as error:
        return _complain(error.format_message(), WRONG_CALL)
    except TercetError as error:
        return _complain(str(error), WRONG_CALL if isinstance(error, SettingsError) else NOT_GOOD)
    except ModuleNotFoundError as error:
        return _complain(_missing(error), NOT_GOOD)
    except OSError as error:
        return _complain(f"{error.filename or 'input or output'}: {error.strerror or error}", NOT_GOOD)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED


def _missing(error: ModuleNotFoundError) -> str:
    """Return what to install; raise the error again when it is one of our own modules that is not there."""
    name = (error.name or "").partition(".")[0]
    if name in ("", "features", "serving", "training"):
        raise error
    return f"this needs {name}, which a serving-only installation does not have: install tercet[train] for it"


def _complain(message: str, status: int) -> int:
    """Say what is wrong in one line, and return the status to leave with."""
    print(f"tercet: {' '.join(message.split())}", file=sys.stderr)
    return status
