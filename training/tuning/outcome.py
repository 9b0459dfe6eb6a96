"""What a search found, in words and as the home's config."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from training.config import Study, parse_study
from training.errors import ConfigError
from training.home_configs import CONFIGS, PEERS
from training.intervals import Interval
from training.tuning.config_text import with_values
from training.tuning.subject import Subject
from training.tuning.trials import Found

_DIGITS = 6
_MODEL = "`tercet train` and `tercet evaluate` go by it from now on, and the gate decides whether it serves"
_PEER = f"copied to training/{CONFIGS}/{PEERS}, it is what the backtest compares with"


@dataclass(frozen=True)
class Outcome:
    """A study's trials, the gain of the best over what ships, how many were asked for, and whether it was stopped."""

    subject: Subject
    found: Found
    gain: Interval | None
    n_asked: int
    is_stopped: bool = False

    @property
    def study(self) -> Study | None:
        """Return what the config says of the study; None before any trial has ended."""
        best, shipped = self.found.best, self.found.shipped
        if best is None or best.value is None or shipped is None or self.gain is None:
            return None
        is_told = math.isfinite(self.gain.low) and math.isfinite(self.gain.high)
        return Study(
            name=self.subject.study_name,
            trials=len(self.found.trials),
            cutoffs=tuple(sorted(self.subject.cutoffs)),
            metric=self.subject.tunable.metric,
            value=_short(best.value),
            data_digest=self.subject.history.tables.digest,
            date=self.subject.as_of,
            seed=self.subject.seed,
            shipped_value=None if shipped.value is None else _short(shipped.value),
            gain=_short(self.gain.value),
            gain_low=_short(self.gain.low) if is_told else None,
            gain_high=_short(self.gain.high) if is_told else None,
        )

    @property
    def config_text(self) -> str:
        """Return the whole config with the best settings and the study."""
        best = self.found.best
        return with_values(self.subject.text, {} if best is None else best.settings, self.study)

    @property
    def text(self) -> str:
        """Return what a person wants to know of it."""
        study, best = self.study, self.found.best
        if study is None or best is None:
            return f"{self.subject.tunable.name}: stopped before a trial had ended; the same command begins again"
        given_up = f", {self.found.n_pruned} given up early" if self.found.n_pruned else ""
        lines = [
            f"{self.subject.tunable.name}: study {study.name}, {study.trials} trials{given_up}",
            f"on {', '.join(study.cutoffs)}, before any day that it is tested on",
            f"{study.metric}: {study.value:.5g}, what ships {study.shipped_value:.5g}, gain {_gain(study)}",
            *self._changes(),
            f"written to {self.subject.own_config}: {_PEER if self.subject.tunable.name.startswith(PEERS) else _MODEL}",
        ]
        if len(self.found.trials) < self.n_asked:
            lines.append(f"{study.trials} of {self.n_asked} trials are done: the same command goes on")
        return "\n".join(lines)

    def write(self) -> None:
        """Write the home's config; one that a person wrote is kept beside it as ``.before``."""
        path = self.subject.own_config
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not _is_ours(path, self.subject.tunable.name):
            path.replace(path.with_suffix(".toml.before"))
        draft = path.with_suffix(".toml.tmp")
        draft.write_text(self.config_text, encoding="utf-8")
        draft.replace(path)

    def _changes(self) -> list[str]:
        best, shipped = self.found.best, self.subject.space.shipped
        changed = {} if best is None else {k: v for k, v in best.settings.items() if v != shipped[k]}
        return [f"  {name} = {value} (ships {shipped[name]})" for name, value in changed.items()]


def _gain(study: Study) -> str:
    """Return the gain with its interval, and whether it may be chance."""
    if not study.gain:
        return "none: nothing better was found"
    if study.gain_low is None or study.gain_high is None:
        return f"{study.gain:+.2g} (no interval: values by customer aren't known)"
    noise = "" if study.gain_low > 0 else ", within noise"
    return f"{study.gain:+.2g} [{study.gain_low:+.2g}, {study.gain_high:+.2g}]{noise}"


def _is_ours(path: Path, name: str) -> bool:
    """Return whether a search has written a config."""
    try:
        study = parse_study(path.read_text(encoding="utf-8"), where=str(path))
    except (OSError, UnicodeDecodeError, ConfigError):
        return False
    return study is not None and study.name.startswith(f"{name.replace('/', '-')}-")


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
