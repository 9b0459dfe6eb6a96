"""The one door to Optuna: a study in a journal under the home, drawn by TPE, pruned by the median, the same each time.

Every draw is seeded by the study's seed and by how many trials have ended, so that a study which was killed and goes on
tries what it would have tried without. Bergstra, Bardenet, Bengio and Kégl, "Algorithms for Hyper-Parameter
Optimization", 2011, is the sampler.
"""

from __future__ import annotations

import fcntl
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.errors import TuningError
from training.tuning.space import Dimension, Space
from training.tuning.trials import Found, Trial

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

N_RANDOM = 8
"""Trials, the shipped one among them, before the sampler learns from them."""

N_BEFORE_PRUNING = 5
"""Whole trials before any is given up early."""

_ABOUT, _BY_CUTOFF, _SECONDS = "about", "by_cutoff", "seconds"


@dataclass(frozen=True)
class Draw:
    """A trial that has begun: its place among those that end, and the settings to try."""

    number: int
    settings: dict[str, Any]  # Any: settings of several types
    trial: optuna.Trial


@dataclass(frozen=True)
class OpenStudy:
    """A study that this process alone works on; see `open_study`."""

    space: Space
    seed: int
    study: optuna.Study

    def found(self) -> Found:
        """Return what has been tried so far, and how much each setting matters."""
        return Found(self.trials(), self._importance())

    def trials(self) -> list[Trial]:
        """Return the trials that ended, whole or pruned, in order."""
        return [self._trial(number, each) for number, each in enumerate(self._ended())]

    def draw(self) -> Draw:
        """Begin the next trial: what ships first, then what the sampler thinks best."""
        import optuna

        number = len(self._ended())
        waits = self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
        if number == 0 and not waits:
            self.study.enqueue_trial(self.space.drawn(self.space.shipped))
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        self.study.sampler = optuna.samplers.TPESampler(n_startup_trials=N_RANDOM, seed=seed)
        trial = self.study.ask(_distributions(self.space))
        return Draw(number, self.space.read(trial.params), trial)

    def is_hopeless(self, draw: Draw, gains: list[float]) -> bool:
        """Note the gains over what ships at the cutoffs so far; return whether the trial is to be given up.

        It is when the best of its mean gains so far lies under the median of the whole trials' at the same cutoff.
        """
        draw.trial.report(float(np.mean(gains)), len(gains) - 1)
        return bool(draw.trial.should_prune())

    def end(self, draw: Draw, by_cutoff: list[float], seconds: float, *, is_whole: bool) -> None:
        """End a trial: its value is the mean over the cutoffs when it is whole, else it was pruned."""
        from optuna.trial import TrialState

        draw.trial.set_user_attr(_BY_CUTOFF, by_cutoff)
        draw.trial.set_user_attr(_SECONDS, round(seconds, 3))
        if is_whole:
            self.study.tell(draw.trial, float(np.mean(by_cutoff)))
        else:
            self.study.tell(draw.trial, state=TrialState.PRUNED)

    def give_up(self, draw: Draw) -> None:
        """End a trial that was stopped: it counts for nothing, and the next draw is the same; one that ended stays."""
        from optuna.trial import TrialState

        self.study.tell(draw.trial, state=TrialState.FAIL, skip_if_finished=True)

    def _ended(self) -> list[optuna.trial.FrozenTrial]:
        from optuna.trial import TrialState

        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))

    def _trial(self, number: int, each: optuna.trial.FrozenTrial) -> Trial:
        return Trial(
            number=number,
            settings=self.space.read(each.params),
            by_cutoff=tuple(each.user_attrs.get(_BY_CUTOFF, ())),
            value=each.value if each.state.name == "COMPLETE" else None,
            seconds=float(each.user_attrs.get(_SECONDS, 0.0)),
        )

    def _importance(self) -> dict[str, float]:
        """Return each setting's share of what moves the value (PED-ANOVA); empty where trials are too few to tell."""
        from optuna.importance import get_param_importances

        whole = [trial.value for trial in self.trials() if trial.value is not None]
        if len(whole) < N_BEFORE_PRUNING or len(set(whole)) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it says of settings that never varied
            found = get_param_importances(self.study)
        return {name: float(share) for name, share in found.items() if np.isfinite(share)}


@contextmanager
def open_study(path: Path, space: Space, about: Mapping[str, Any], *, restarts: bool = False) -> Iterator[OpenStudy]:
    """Open the study of a journal file, made when it isn't there; `about` is what its trials depend on.

    `about` holds plain values, the seed under ``seed`` among them. A half-written last line, left by a process that was
    killed, is cut off, and the trial that it was at is given up.

    Raises
    ------
    TuningError
        When another process works on it, when it was begun about something else, or when the file is damaged; with
        `restarts` the latter two begin anew.
    """
    about = json.loads(json.dumps(about))  # as it comes back from the journal
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        if restarts:
            path.unlink(missing_ok=True)
        _mend(path)
        yield OpenStudy(space, int(about["seed"]), _load(path, about))


def _load(path: Path, about: Mapping[str, Any]) -> optuna.Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        study = optuna.create_study(
            storage=storage,
            study_name=path.stem,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=N_BEFORE_PRUNING),
        )
        begun = study.user_attrs.get(_ABOUT)
        if begun is None:
            study.set_user_attr(_ABOUT, dict(about))
        for each in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(each.number, state=optuna.trial.TrialState.FAIL)
    except (ValueError, KeyError, TypeError) as error:
        raise TuningError(f"{path} is damaged ({error}): --restart begins anew") from error
    if begun is not None:
        _check_same(path, begun, about)
    return study


def _check_same(path: Path, begun: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    other = [name for name in about if begun.get(name) != about[name]]
    if other:
        raise TuningError(
            f"{path} was begun with other {' and other '.join(other)} than today's: --restart begins anew"
        )


def _mend(path: Path) -> None:
    """Cut off a last line that was not written to its end, and remove the lock of a process that is gone."""
    path.with_name(path.name + ".lock").unlink(missing_ok=True)
    if not path.exists():
        return
    written = path.read_bytes()
    whole = written[: written.rfind(b"\n") + 1]
    if len(whole) < len(written):
        with path.open("r+b") as file:
            file.truncate(len(whole))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes out; the system lets go when this one ends, however it ends."""
    descriptor = os.open(path.with_suffix(".busy"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise TuningError(f"another process works on {path}: wait until it has ended") from None
    else:
        yield
    finally:
        os.close(descriptor)


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    return {each.name: _distribution(each) for each in space.dimensions}


def _distribution(each: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if each.kind == "choice":
        return CategoricalDistribution(tuple(range(len(each.choices))))
    if each.kind == "int":
        return IntDistribution(int(each.low), int(each.high), log=each.log)
    return FloatDistribution(each.low, each.high, log=each.log)
