"""How a bundle is made beyond the models' own settings (training/configs/recipe.toml)."""

from __future__ import annotations

from dataclasses import dataclass

from training.errors import ConfigError


@dataclass(frozen=True)
class Recipe:
    """Settings of the pipeline.

    Attributes
    ----------
    n_judged, judged_step_days
        On how many cutoffs models are judged, and how far apart these lie.
    """

    n_judged: int = 3
    judged_step_days: int = 28

    def __post_init__(self) -> None:
        """Refuse numbers that judge nothing."""
        for name in ("n_judged", "judged_step_days"):
            if getattr(self, name) < 1:
                raise ConfigError(f"recipe: {name} must be at least 1, found {getattr(self, name)}")
