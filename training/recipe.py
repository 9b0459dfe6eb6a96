"""How a bundle is made beyond the models' own settings (training/configs/recipe.toml)."""

from __future__ import annotations

from dataclasses import dataclass

from training.errors import ConfigError


@dataclass(frozen=True)
class Recipe:
    """Settings of the pipeline.

    Attributes
    ----------
    n_judged
        On how many cutoffs, `judged_step_days` apart, models are judged.
    delisted_after_weeks
        Weeks without a sale after which a product is taken to have left the shop.
    """

    n_judged: int = 3
    judged_step_days: int = 28
    delisted_after_weeks: int = 12

    def __post_init__(self) -> None:
        """Refuse numbers that judge nothing."""
        for name in ("n_judged", "judged_step_days", "delisted_after_weeks"):
            if getattr(self, name) < 1:
                raise ConfigError(f"recipe: {name} must be at least 1, found {getattr(self, name)}")
