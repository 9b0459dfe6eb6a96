"""One tunable on one source: what its study depends on, and where it keeps what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.code_digest import code_digest
from training.comparison import iso_days
from training.config import build_config, merged, nested, parse_config, parse_search, shipped_text
from training.errors import TuningError
from training.history import History
from training.home_configs import CONFIGS
from training.tuning.config_text import with_values
from training.tuning.space import Space
from training.tuning.tunable import Days, Tunable

_DIGITS = 8


@dataclass(frozen=True)
class Subject:
    """One tunable on one source: its shipped text and config, the space, the days, and where things are kept."""

    tunable: Tunable
    history: History
    days: Days
    text: str
    config: Any  # Any: the tunable's own config class
    space: Space
    home: Path
    seed: int

    @classmethod
    def of(cls, tunable: Tunable, history: History, home: Path, seed: int) -> Subject:
        """Return the subject; TuningError where the source is too short, or nothing says what to search."""
        text, where = shipped_text(tunable.name), f"configs/{tunable.name}.toml"
        config = parse_config(tunable.config_class, text, where=where)
        space = Space.of(config, parse_search(tunable.config_class, text, where=where))
        with_values(text, space.shipped, None)  # before hours of search, not after
        days = tunable.days(history)
        if days is None:
            raise TuningError(
                f"{tunable.name}: the source is too short to tune on: settings are chosen on days before the first one "
                "that is tested, and none is left"
            )
        return cls(tunable, history, days, text, config, space, home, seed)

    @property
    def about(self) -> dict[str, Any]:
        """Return what the trials depend on, in the words of a refusal."""
        return {
            "data": f"{self.history.tables.digest} up to {self.as_of}",
            "code": code_digest(self.tunable.modules),
            "settings": asdict(self.config),
            "space": self.space.record(),
            "cutoffs": list(self.cutoffs),
            "metric": self.tunable.metric,
            "seed": self.seed,
        }

    @property
    def study_name(self) -> str:
        """Return the name under which the study is found in MLflow and in the config."""
        digest = hashlib.sha256(json.dumps(self.about, sort_keys=True, default=str).encode()).hexdigest()[:_DIGITS]
        return f"{self.tunable.name.replace('/', '-')}-{self.as_of}-{digest}"

    @property
    def as_of(self) -> str:
        """Return the day up to which the source is known, ISO."""
        return iso_days([self.history.known_until])[0]

    @property
    def cutoffs(self) -> tuple[str, ...]:
        """Return the days that settings are compared on, ISO, in the order of the search: the latest first."""
        return tuple(day for moment in self.days.cutoffs for day in iso_days([moment]))

    @property
    def own_config(self) -> Path:
        """Return the home's config, which the search writes."""
        return self.home / CONFIGS / f"{self.tunable.name}.toml"

    @property
    def journal(self) -> Path:
        """Return the file of the study."""
        return self.home / "studies" / f"{self.tunable.name}.journal"

    @property
    def sums(self) -> Path:
        """Return where values by customer are kept."""
        return self.home / "results" / "tuning" / self.study_name

    def with_settings(self, settings: Mapping[str, Any]) -> Any:
        """Return the shipped config with other settings; ConfigError where they don't go together."""
        table = merged(asdict(self.config), nested(settings))
        return build_config(self.tunable.config_class, table, where=self.tunable.name)
