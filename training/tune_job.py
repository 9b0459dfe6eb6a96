"""The search behind `tercet tune`: trial by trial on earlier cutoffs, and what is made of what it finds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serving.home_lock import working_in
from serving.state.opening import FILE
from training.errors import ConfigError, TuningError
from training.history import History
from training.intervals import Interval
from training.opening import open_shop
from training.tracking import Tracker
from training.tune import Draw, OpenStudy, open_study
from training.tuning import kept
from training.tuning.outcome import Outcome
from training.tuning.record import record
from training.tuning.subject import Subject
from training.tuning.trials import Found
from training.tuning.tunable import Reached, Tunable, gain
from training.tuning.tunables import named, tunables

Say = Callable[[str], None]

ALL = "all"


@dataclass(frozen=True)
class Plan:
    """How long to search: up to `trials` in all, and no new one after `minutes` of this call."""

    trials: int = 40
    minutes: float | None = None
    seed: int = 1
    restarts: bool = False

    def __post_init__(self) -> None:
        """Refuse a search of nothing."""
        if self.trials < 1 or (self.minutes is not None and self.minutes <= 0) or self.seed < 0:
            raise TuningError("a search takes at least one trial, more than no minutes, and a seed of 0 or more")


def tune(source: str, home: Path, name: str, plan: Plan, say: Say, *, state: str = FILE) -> list[Outcome]:
    """Return what was found for a model or a peer, or for ``all`` of them one after the other.

    Ctrl-C ends the trial at hand: what was found until then is written and returned, marked as stopped.

    Raises
    ------
    TercetError
        When there is nothing of that name, the source is too short, or a study was begun with other data or code.
    """
    chosen = list(tunables().values()) if name == ALL else [named(name)]
    with working_in(home):
        shop = open_shop(source, home, None, "duckdb", say, state=state)
        history = History(shop.store, shop.as_of)
        found: list[Outcome] = []
        for each in chosen:
            try:
                found.append(tune_one(each, history, home, plan, say))
            except TuningError as error:
                if len(chosen) == 1:
                    raise
                say(f"left out: {error}")
            if found and found[-1].is_stopped:
                break
    return found


def tune_one(tunable: Tunable, history: History, home: Path, plan: Plan, say: Say) -> Outcome:
    """Return what the study of one tunable found, after writing its config and logging it to MLflow."""
    subject = Subject.of(tunable, history, home, plan.seed)
    with open_study(subject.journal, subject.space, subject.about, restarts=plan.restarts) as study:
        is_stopped = False
        try:
            _search(study, subject, plan, say)
        except KeyboardInterrupt:
            is_stopped = True
        found = study.found()
    outcome = Outcome(subject, found, _interval(subject, found), plan.trials, is_stopped)
    if found.best is not None:
        outcome.write()
        say(f"tune {tunable.name}: log {len(found.trials)} trials to MLflow")
        record(Tracker.under(home), outcome)
    return outcome


def _search(study: OpenStudy, subject: Subject, plan: Plan, say: Say) -> None:
    """Run trials until there are as many as asked for, or no time is left for another."""
    started = time.monotonic()
    while len(study.trials()) < plan.trials:
        if plan.minutes is not None and time.monotonic() - started > plan.minutes * 60:
            return
        draw = study.draw()
        say(_heading(study, subject, draw, plan))
        try:
            _try(study, subject, draw)
        except BaseException:
            study.give_up(draw)
            raise


def _heading(study: OpenStudy, subject: Subject, draw: Draw, plan: Plan) -> str:
    """Return what is tried now, and the best so far."""
    best = Found(study.trials()).best
    so_far = "" if best is None else f"; best so far {best.value:.5g} in trial {best.number}"
    what = "what ships" if draw.number == 0 else f"trial {draw.number}"
    return f"tune {subject.tunable.name}: {what}, {draw.number + 1} of {plan.trials}{so_far}"


def _try(study: OpenStudy, subject: Subject, draw: Draw) -> None:
    """Run one trial to its end, or until it is hopeless."""
    started = time.monotonic()
    shipped = study.trials()[0].by_cutoff if draw.number else None
    reached: list[Reached] = []
    is_whole = True
    for each in _reached(subject, draw):
        reached.append(each)
        values = [one.value for one in reached]
        gains = [value - before for value, before in zip(values, shipped or values, strict=False)]
        is_last = len(reached) == len(subject.days.cutoffs)
        if not np.isfinite(values[-1]) or (not is_last and study.is_hopeless(draw, gains)):
            is_whole = False
            break
    values = [one.value for one in reached if np.isfinite(one.value)]
    is_whole = is_whole and len(values) == len(subject.days.cutoffs)
    if draw.number == 0 and not is_whole:
        raise TuningError(
            f"{subject.tunable.name} can't be judged by {subject.tunable.metric} here: nothing to tune on"
        )
    if is_whole:
        _keep_best(study, subject, draw.number, reached)
    study.end(draw, values, time.monotonic() - started, is_whole=is_whole)


def _reached(subject: Subject, draw: Draw) -> Iterator[Reached]:
    """Return an iterator over what the settings reach; nothing where they don't go together."""
    try:
        config = subject.with_settings(draw.settings)
    except ConfigError:
        if draw.number == 0:
            raise
        return iter(())
    return subject.tunable.value(config, subject.history, subject.days)


def _keep_best(study: OpenStudy, subject: Subject, number: int, reached: list[Reached]) -> None:
    """Keep what a whole trial's values are made of, when it is what ships or better than all before."""
    best = Found(study.trials()).best
    if best is None or best.value is None or np.mean([each.value for each in reached]) > best.value:
        kept.keep(subject.sums, number, reached)


def _interval(subject: Subject, found: Found) -> Interval | None:
    """Return the gain of the best over what ships with its interval; without bounds where these can't be told."""
    best, shipped = found.best, found.shipped
    if best is None or best.value is None or shipped is None or shipped.value is None:
        return None
    if best.number == 0:
        return Interval(0.0, 0.0, 0.0)
    kept.forget_but(subject.sums, (0, best.number))
    ours, theirs = (kept.kept(subject.sums, number) for number in (best.number, 0))
    if ours is None or theirs is None:
        return Interval(best.value - shipped.value, float("nan"), float("nan"))
    return gain(ours, theirs)
