"""The errors that training raises.

TercetError (features.errors)
└── TrainingError          training cannot go on; the message says why and what to do
    ├── BacktestError      the backtest can't run, or a task of it shows numbers that don't belong together
    ├── ConfigError         a settings file has unknown keys, wrong values or dangling references
    ├── EmbargoError       somebody asked for what was not yet known
    ├── GateError          a bundle may not become the champion
    ├── LiftError          an experiment can't be measured: it isn't known, or what it needs can't be read
    │   └── LiftRefused    it would not be honest to: a check failed, which the message names with the counts
    ├── ReplayError        past decisions can't be decided anew: there are none, or their bundles are gone
    │   └── ValueRefused   a policy can't be valued from the log honestly: a check failed, which the message names
    ├── TuningError        a search can't run: no such model, too short a source, a study of other data
    ├── RetrainError       a retraining did not come to its end; everything is as it was
    ├── TrackingError      MLflow's store does not answer, or refuses what is to be logged
    ├── SimulationError    a shop can't be simulated: its history is too thin to learn from, or a campaign can't run
    └── NothingToLearn     the source holds no purchase before the moment asked for
"""

from __future__ import annotations

from features.errors import TercetError


class TrainingError(TercetError):
    """Training cannot go on; the message says why and what to do."""


class BacktestError(TrainingError):
    """The backtest can't run, or a task of it shows numbers that don't belong together."""


class ConfigError(TrainingError):
    """A settings file has unknown keys, wrong values or references to what does not exist."""


class EmbargoError(TrainingError):
    """Somebody asked for what was not yet known at the moment that they may see."""


class GateError(TrainingError):
    """A bundle may not become the champion."""


class LiftError(TrainingError):
    """An experiment can't be measured; the message says what is missing."""


class LiftRefused(LiftError):
    """A check says that an experiment can't be measured honestly; the message begins with the check's name."""


class ReplayError(TrainingError):
    """Past decisions can't be decided anew; the message says what is missing."""


class RetrainError(TrainingError):
    """A retraining did not come to its end; the message says at which step, and everything is as it was."""


class TrackingError(TrainingError):
    """MLflow's store does not answer, or refuses what is to be logged; the message says which and why."""


class TuningError(TrainingError):
    """A search of settings can't run; the message says why and what to do."""


class SimulationError(TrainingError):
    """A shop can't be simulated; the message says what is missing."""


class ValueRefused(ReplayError):
    """The log can't tell what a policy would have brought; the message begins with the check's name."""


class NothingToLearn(TrainingError):
    """The source holds no purchase before the moment asked for."""
