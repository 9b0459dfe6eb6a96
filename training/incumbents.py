"""The recipes of the bundle that serves: what challengers are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.bundle import open_bundle
from serving.errors import BundleError
from serving.manifest import Manifest
from training.config import build_config
from training.errors import ConfigError
from training.home import Home
from training.learners import SOURCES, Learner, with_config
from training.results import ModelRecipe


@dataclass(frozen=True)
class Incumbents:
    """The champion's version and its models' recipes; empty where nothing serves. `problem` says what is wrong."""

    version: str = ""
    recipes: Mapping[str, ModelRecipe] = field(default_factory=dict)
    problem: str = ""

    @classmethod
    def of(cls, home: Home) -> Incumbents:
        """Return the recipes of a home's champion; of one that can't be read, none, and why."""
        version = home.champion()
        if version is None:
            return cls()
        try:
            return cls(version, recipes_in(open_bundle(home.bundle(version), verify=False).manifest))
        except BundleError as error:
            return cls(version, {}, f"the champion {version} can't be read: {error}")


def recipes_in(manifest: Manifest) -> dict[str, ModelRecipe]:
    """Return the models' recipes that a bundle was made by; one from before recipes were compared has no code."""
    models, code = (manifest.recipe.get(name, {}) for name in ("models", "code"))
    if not isinstance(models, Mapping) or not isinstance(code, Mapping):
        return {}
    return {name: ModelRecipe(name, config, str(code.get(name, ""))) for name, config in models.items()}


def learner_of(recipe: ModelRecipe) -> Learner:
    """Return the model that a recipe describes, with today's code.

    Raises
    ------
    ConfigError
        When today's code can't read its config: a key is gone, or there is no such model.
    """
    if recipe.model not in SOURCES:
        raise ConfigError(f"there is no model {recipe.model} any more")
    table: Any = recipe.config  # Any: what a manifest holds
    if not isinstance(table, Mapping):
        raise ConfigError(f"the config of {recipe.model} is no table")
    where = f"the champion's config of {recipe.model}"
    return with_config(recipe.model, build_config(SOURCES[recipe.model].config_class, table, where=where))
