"""Chances from two models that err differently: an additive logistic one and boosted trees, averaged as log-odds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from training.boosting import BoostedTrees, BoostingConfig, fit_trees
from training.examples import Examples
from training.logistic import LogisticConfig, LogisticModel, fit_logistic

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BlendConfig:
    """Settings of the two models; `boosted_weight` is the trees' share, 0 to 1."""

    boosted_weight: float = 0.5
    logistic: LogisticConfig = field(default_factory=LogisticConfig)
    trees: BoostingConfig = field(default_factory=BoostingConfig)


@dataclass(frozen=True)
class Blend:
    """A fitted blend; without trees it is its logistic model alone."""

    logistic: LogisticModel
    trees: BoostedTrees | None = None
    boosted_weight: float = 0.0

    def predict(self, features: pd.DataFrame) -> FloatArray:
        """Return the chance for each row."""
        if self.trees is None:
            return self.logistic.predict(features)
        margin = self.boosted_weight * self.trees.margin(features)
        margin += (1.0 - self.boosted_weight) * self.logistic.margin(features)
        return np.asarray(expit(margin), dtype=np.float64)

    @property
    def importance(self) -> dict[str, float]:
        """Return what the trees gained by each feature, or the weights of the logistic model."""
        return self.logistic.importance if self.trees is None else self.trees.importance

    def artifacts(self, notes: Sequence[str]) -> dict[str, str]:
        """Return the files that hold the whole model, and the notes beside it."""
        about = {"boosted_weight": self.boosted_weight, "notes": list(notes)}
        texts = {"logistic.json": self.logistic.to_json(), "blend.json": json.dumps(about, indent=1)}
        return texts | ({"trees.txt": self.trees.to_text()} if self.trees else {})

    @classmethod
    def from_artifacts(cls, texts: dict[str, str]) -> Blend:
        """Return the blend that `artifacts` wrote."""
        trees = BoostedTrees.from_text(texts["trees.txt"], n_threads=1) if "trees.txt" in texts else None
        weight = float(json.loads(texts["blend.json"])["boosted_weight"])
        return cls(LogisticModel.from_json(texts["logistic.json"]), trees, weight)


def fit_blend(examples: Examples, columns: Sequence[str], config: BlendConfig) -> Blend:
    """Return the blend of both models of the labels by the named columns."""
    return Blend(
        logistic=fit_logistic(examples.features, examples.labels, columns, config.logistic),
        trees=fit_trees(examples.features[list(columns)], examples.labels, config.trees),
        boosted_weight=config.boosted_weight,
    )
