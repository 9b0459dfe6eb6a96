"""`tercet retrain`, for a timer: train, judge, promote through the gate, see that the server takes it up; or nothing.

If a step fails, champion, policy, bundles, reports, quarantine and MLflow's runs and aliases are what they were before
it (training/retrain_undo.py). The state is not part of that: whoever asked to be forgotten stays so, and what is told
meanwhile is kept.
"""

from __future__ import annotations

import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from features.errors import TercetError
from features.prune import prune
from serving.home_lock import retraining_in, working_in
from training.errors import GateError, RetrainError
from training.gate import promote, table_of
from training.gate_record import read_record
from training.home import Home
from training.pipeline import Made, TrainingJob, make_bundle
from training.retention import drop_oldest
from training.retrain_undo import Undo, settle
from training.state_care import carry_out_erasures, tend_state

Say = Callable[[str], None]

LOG_FILE = "retrain.log"
SERVED_SECONDS = 60.0
_POLL_SECONDS = 0.2
_IN_A_ROW = 5  # answers, each over a connection of its own: any worker may give it

_log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What a retraining came to."""

    PROMOTED = "promoted"
    REFUSED = "refused"
    TRIED = "tried"
    FAILED = "failed"


@dataclass(frozen=True)
class RetrainJob:
    """What to train, and how far to go.

    `server` is the address of a server that must take the new champion up, or empty; with `is_trial` nothing that is
    made stays. Of bundles the newest `n_kept` stay in the end, all with None.
    """

    training: TrainingJob
    server: str = ""
    is_trial: bool = False
    n_kept: int | None = None
    served_seconds: float = SERVED_SECONDS


@dataclass(frozen=True)
class Retrained:
    """What came of it: `before` is the version that served, `why` says what the gate, or the error, said."""

    outcome: Outcome
    version: str
    before: str
    why: str
    table: str = ""

    @property
    def line(self) -> str:
        """Return the outcome as one line."""
        serves = f"{self.before or 'nothing'} serves on"
        return {
            Outcome.PROMOTED: f"{self.version} is the champion, in place of {self.before or 'none'}",
            Outcome.REFUSED: f"{self.version} is refused by the gate, {serves}: {self.why}",
            Outcome.TRIED: f"{self.version} {self.why}; nothing of it is kept, {serves}",
            Outcome.FAILED: f"failed, everything is as it was, {serves}: {self.why}",
        }[self.outcome]


def retrain(job: RetrainJob, home: Path, say: Say) -> Retrained:
    """Return what came of a training that was promoted, refused by the gate (and waits), or tried.

    A line of JSON goes to ``retrain.log`` in the home, whatever comes of it.

    Raises
    ------
    HomeInUse
        When another training is at work in the home: nothing has been done.
    RetrainError
        When a step fails, whatever the reason: everything is as it was.
    """
    place, started = Home(home), time.monotonic()
    with retraining_in(home):
        before = place.champion() or ""
        try:
            found = _retrain(job, place, say)
        except Exception as error:
            failed = Retrained(Outcome.FAILED, "", before, _said(error))
            _write_line(place, failed, started)
            raise RetrainError(failed.line) from error
        except BaseException:
            _write_line(place, Retrained(Outcome.FAILED, "", before, "it was stopped"), started)
            raise
        _write_line(place, found, started)
        return found


def _retrain(job: RetrainJob, place: Home, say: Say) -> Retrained:
    if settle(place):
        say("what a retraining that was cut off had left is settled")
    carry_out_erasures(place.folder, job.training.state, say)
    with _or_nothing(place) as undo:
        before = place.champion() or ""
        made = make_bundle(job.training, place.folder, say, undo.written)
        tend_state(place.folder, job.training.state, made.tables, as_of_us=made.as_of.us)
        found = _tried(place, made, before) if job.is_trial else _promoted(job, place, made, before)
        if job.is_trial:
            undo.take_back()
        else:
            undo.stand()
    if job.is_trial:
        undo.take_back_caches()
    else:
        _tidy(job, place, made, before)
    return found


@contextmanager
def _or_nothing(place: Home) -> Iterator[Undo]:
    """Hold the home's lock, and take back what the body did if it raises."""
    undo = None
    try:
        with working_in(place.folder):
            undo = Undo.begin(place)
            try:
                yield undo
            except BaseException:
                _take_back(undo)
                raise
    except BaseException:
        if undo is not None:
            undo.take_back_caches()
        raise


def _take_back(undo: Undo) -> None:
    """Take everything back; what can't be (MLflow may be what failed) is left to the next retraining, and said."""
    try:
        undo.take_back()
    except Exception:
        _log.exception("not all could be taken back; the next retraining finishes it")


def _promoted(job: RetrainJob, place: Home, made: Made, before: str) -> Retrained:
    """Return what the gate said of a bundle, promoted and taken up where it passes."""
    table = table_of(place.folder, made.version)
    try:
        promote(place.folder, made.version)
    except GateError as error:
        return Retrained(Outcome.REFUSED, made.version, before, str(error), table)
    if job.server:
        _see_it_served(job, made.version)
    return Retrained(Outcome.PROMOTED, made.version, before, "", table)


def _tried(place: Home, made: Made, before: str) -> Retrained:
    """Return what the gate would say of a bundle."""
    record = read_record(place.report(made.version))
    said = "was not judged" if record is None else record.verdict.text.splitlines()[0]
    return Retrained(Outcome.TRIED, made.version, before, said, table_of(place.folder, made.version))


def _tidy(job: RetrainJob, place: Home, made: Made, before: str) -> None:
    """Remove old tables, features and bundles; not being able to is no failure."""
    try:
        prune(place.features, made.tables.digest)
        if job.n_kept is not None:
            with working_in(place.folder):
                drop_oldest(place, job.n_kept, but=(before, made.version))
    except OSError as error:
        _log.warning("what is old could not be removed: %s", error)


def _see_it_served(job: RetrainJob, version: str) -> None:
    """Return once a server answers with the new champion, several times in a row; RetrainError where it does not."""
    until, in_a_row, served = time.monotonic() + job.served_seconds, 0, "nothing"
    while time.monotonic() < until:
        served = _served(job.server)
        in_a_row = in_a_row + 1 if served == version else 0
        if in_a_row == _IN_A_ROW:
            return
        time.sleep(_POLL_SECONDS)
    raise RetrainError(
        f"{job.server} did not take up {version} within {job.served_seconds:.0f} s, it says {served}: its log says why"
    )


def _served(server: str) -> str:
    try:
        with urllib.request.urlopen(f"{server.rstrip('/')}/readyz", timeout=2) as response:
            return str(json.load(response)["model_version"])
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError):
        return "nothing"


def _said(error: Exception) -> str:
    """Return an error as one line; what nobody foresaw leaves its trace in the log."""
    if isinstance(error, TercetError):
        return " ".join(str(error).split())
    _log.error("retraining failed", exc_info=error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _write_line(place: Home, found: Retrained, started: float) -> None:
    """Add the outcome to the home's log of retrainings, as one line of JSON; a disk that is full is no second error."""
    line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": round(time.monotonic() - started, 1)}
    told = {name: value for name, value in asdict(found).items() if name != "table"}
    try:
        with (place.folder / LOG_FILE).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line | told) + "\n")
    except OSError as error:
        _log.warning("%s can't be written: %s", place.folder / LOG_FILE, error.strerror)
