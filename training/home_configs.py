"""A home's own settings of the models, which come before the shipped ones: ``<home>/configs/<model>.toml``.

Such a file is what `tercet tune` writes, or a person: a whole config, in the form that training/config.py reads.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from training.config import Study, parse_config, parse_study, shipped_text
from training.errors import ConfigError

T = TypeVar("T")

CONFIGS, PEERS = "configs", "peers"
SHIPPED = "shipped"


@dataclass(frozen=True)
class Settings(Generic[T]):
    """A config, where it was read (`SHIPPED`, or the home's file), and the study that it comes from, where it says."""

    config: T
    where: str = SHIPPED
    study: Study | None = None

    @property
    def is_own(self) -> bool:
        """Return whether the home has them, and not the release."""
        return self.where != SHIPPED

    def record(self) -> dict[str, Any]:  # Any: a JSON object
        """Return where the settings come from, for a manifest: no path of this machine."""
        study = {} if self.study is None else {"study": asdict(self.study)}
        return {"from": f"{CONFIGS}/{Path(self.where).name}" if self.is_own else SHIPPED, **study}


@dataclass(frozen=True)
class Configs:
    """The settings that a home goes by: its own files first, else the shipped ones; without a home only these."""

    home: Path | None = None

    @property
    def folder(self) -> Path | None:
        """Return where the home's own files are, or None."""
        return None if self.home is None else self.home / CONFIGS

    def load(self, cls: type[T], name: str, *, is_quick: bool = False) -> Settings[T]:
        """Return the settings of a model or, as ``peers/<peer>-<task>``, of a peer.

        Raises
        ------
        ConfigError
            When the file has mistakes; all are named, with the file and, for the home's own, the way back.
        """
        path = None if self.folder is None else self.folder / f"{name}.toml"
        if path is None or not path.exists():
            text, where = shipped_text(name), f"{CONFIGS}/{name}.toml"
            return Settings(
                parse_config(cls, text, where=where, is_quick=is_quick), study=parse_study(text, where=where)
            )
        try:
            text = path.read_text(encoding="utf-8")
            config = parse_config(cls, text, where=str(path), is_quick=is_quick)
            return Settings(config, str(path), parse_study(text, where=str(path)))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} can't be read: {error}") from error
        except ConfigError as error:
            raise ConfigError(f"{error}; mend it, or delete it to go back to the shipped settings") from error

    def check_names(self, known: Collection[str]) -> None:
        """Refuse files of the home that no model reads: a misspelt name would go unnoticed."""
        if self.folder is None:
            return
        strangers = sorted(path for path in self.folder.glob("*.toml") if path.stem not in known)
        if strangers:
            raise ConfigError(
                f"{', '.join(map(str, strangers))}: no model of that name (known: {', '.join(sorted(known))}); "
                "rename or delete it"
            )
