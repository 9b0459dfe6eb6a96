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
    n_challenge_weeks
        How many weeks after each cutoff the engine's challenges are replayed, for the joint chance.
    refits
        Whether what ships is fitted anew on all that is known; else the models judged at the latest cutoff ship, on
        today's features: cheaper, and a few weeks behind (docs/adr/0007-quick-recipe.md).
    n_processes, side_by_side_lines
        In how many processes models are fitted and judged, each on a core, where the source has so many lines.
    """

    n_judged: int = 3
    judged_step_days: int = 28
    n_challenge_weeks: int = 4
    refits: bool = True
    n_processes: int = 2
    side_by_side_lines: int = 300_000

    def __post_init__(self) -> None:
        """Refuse numbers that judge nothing."""
        for name in ("n_judged", "judged_step_days", "n_challenge_weeks", "n_processes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"recipe: {name} must be at least 1, found {getattr(self, name)}")
