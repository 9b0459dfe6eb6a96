"""Gradient-boosted trees: the one door to LightGBM for everything that is fitted.

The same rows, config and seed give the same trees with any number of threads (`deterministic`, row-wise histograms).
Features go in as a frame and are always taken by name, so that a frame in another column order predicts the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd

from training.errors import ConfigError, TrainingError

FloatArray = npt.NDArray[np.float64]
Objective = Literal[
    "binary", "regression", "regression_l1", "quantile", "poisson", "tweedie", "lambdarank", "rank_xendcg"
]
_RANKING = ("lambdarank", "rank_xendcg")


@dataclass(frozen=True)
class BoostingConfig:
    """Settings of one boosted model, in LightGBM's sense; the defaults are the shipped ones."""

    objective: Objective = "binary"
    n_trees: int = 150
    learning_rate: float = 0.06
    n_leaves: int = 31
    min_rows_per_leaf: int = 50
    l2: float = 5.0
    row_share: float = 0.8
    feature_share: float = 0.7
    max_bins: int = 127
    quantile: float = 0.5
    truncation: int = 10
    n_threads: int = 2
    seed: int = 20171009

    def __post_init__(self) -> None:
        """Refuse settings that LightGBM would take silently or fail on late."""
        checks = {
            "n_trees >= 1": self.n_trees >= 1,
            "n_leaves >= 2": self.n_leaves >= 2,
            "learning_rate > 0": self.learning_rate > 0,
            "0 < row_share <= 1": 0 < self.row_share <= 1,
            "0 < feature_share <= 1": 0 < self.feature_share <= 1,
            "n_threads >= 1": self.n_threads >= 1,
        }
        broken = [rule for rule, holds in checks.items() if not holds]
        if broken:
            raise ConfigError(f"boosting config breaks {', '.join(broken)}: {self}")

    def parameters(self) -> dict[str, Any]:  # Any: LightGBM's parameters are of many types
        """Return LightGBM's own parameter names and values."""
        params: dict[str, Any] = {
            "objective": self.objective,
            "learning_rate": self.learning_rate,
            "num_leaves": self.n_leaves,
            "min_data_in_leaf": self.min_rows_per_leaf,
            "lambda_l2": self.l2,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1 if self.row_share < 1 else 0,
            "feature_fraction": self.feature_share,
            "max_bin": self.max_bins,
            "num_threads": self.n_threads,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        if self.objective == "quantile":
            params["alpha"] = self.quantile
        if self.objective in _RANKING:
            params["lambdarank_truncation_level"] = self.truncation
        return params


@dataclass(frozen=True)
class BoostedTrees:
    """A fitted model: predicts from frames, and is kept as text."""

    feature_names: tuple[str, ...]
    objective: str
    n_threads: int
    _booster: lgb.Booster = field(repr=False)

    def margin(self, features: pd.DataFrame) -> FloatArray:
        """Return raw scores `[n_rows]` (log-odds for a binary model), without any offset given at fitting."""
        return self._predict(features, is_raw=True)

    def predict(self, features: pd.DataFrame) -> FloatArray:
        """Return predictions `[n_rows]` on the objective's scale: probabilities for a binary model."""
        return self._predict(features, is_raw=False)

    @property
    def importance(self) -> dict[str, float]:
        """Return each feature's share of the total gain, largest first; all 0 for a model without a split."""
        gain = np.asarray(self._booster.feature_importance(importance_type="gain"), dtype=np.float64)
        share = gain / gain.sum() if gain.sum() > 0 else gain
        order = np.argsort(-share, kind="stable")
        return {self.feature_names[i]: float(share[i]) for i in order}

    def to_text(self) -> str:
        """Return the model in LightGBM's text format; `from_text` reads it back."""
        return str(self._booster.model_to_string())

    @classmethod
    def from_text(cls, text: str, *, n_threads: int = 2) -> BoostedTrees:
        """Return a model from its text; raises TrainingError when the text is none."""
        try:
            booster = lgb.Booster(model_str=text)
        except lgb.basic.LightGBMError as error:
            raise TrainingError(f"not a LightGBM model text ({len(text)} characters): {error}") from error
        objective = str(booster.params.get("objective", "")) or _objective_in(text)
        return cls(tuple(booster.feature_name()), objective, n_threads, booster)

    def _predict(self, features: pd.DataFrame, *, is_raw: bool) -> FloatArray:
        if len(features) == 0:
            return np.zeros(0)
        matrix = to_matrix(features, self.feature_names)
        raw = self._booster.predict(matrix, raw_score=is_raw, num_threads=self.n_threads)
        return np.asarray(raw, dtype=np.float64)


@dataclass(frozen=True)
class FitOptions:
    """What a fit may have beside features and labels: row weights, an offset (raw scale), rows per ranking query."""

    weights: npt.ArrayLike | None = None
    offset: npt.ArrayLike | None = None
    rows_per_query: npt.ArrayLike | None = None


def fit_trees(
    features: pd.DataFrame, labels: npt.ArrayLike, config: BoostingConfig, options: FitOptions | None = None
) -> BoostedTrees:
    """Return a boosted model of `labels` by the columns of `features`, all of which are used.

    Parameters
    ----------
    features
        Numeric or boolean columns; missing values are NaN and stay missing.
    labels
        `[n_rows]`: 0/1 for a binary model, a grade for a ranking one, else a number.

    Raises
    ------
    TrainingError
        When there are no rows, no columns, a label that is not finite, or a column that is not numeric.
    """
    options = options or FitOptions()
    target = np.asarray(labels, dtype=np.float64)
    _check_rows(features, target, config, options)
    names = tuple(str(name) for name in features.columns)
    dataset = lgb.Dataset(
        to_matrix(features, names),
        label=target,
        weight=_optional(options.weights),
        init_score=_optional(options.offset),
        group=None if options.rows_per_query is None else np.asarray(options.rows_per_query, dtype=np.int64),
        feature_name=list(names),
        params={"verbosity": -1},
    )
    booster = lgb.train(config.parameters(), dataset, num_boost_round=config.n_trees)
    booster.free_dataset()
    return BoostedTrees(names, config.objective, config.n_threads, booster)


def with_objective(config: BoostingConfig, objective: Objective, *, quantile: float = 0.5) -> BoostingConfig:
    """Return the same settings for another objective."""
    return replace(config, objective=objective, quantile=quantile)


def to_matrix(features: pd.DataFrame, names: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return the named columns as a float32 matrix `[n_rows, n_names]`; missing values are NaN.

    Raises TrainingError naming every missing or non-numeric column: LightGBM would predict silently from a wrong
    column, and abort the process on some types.
    """
    missing = [name for name in names if name not in features.columns]
    if missing:
        raise TrainingError(f"features are missing: {', '.join(missing)}")
    chosen = features[list(names)]
    text = [n for n in names if not (pd.api.types.is_numeric_dtype(chosen[n]) or pd.api.types.is_bool_dtype(chosen[n]))]
    if text:
        raise TrainingError(f"features are not numeric: {', '.join(f'{n} ({chosen[n].dtype})' for n in text)}")
    matrix: npt.NDArray[np.float32] = chosen.to_numpy(dtype=np.float32, na_value=np.nan)
    return matrix


def _check_rows(features: pd.DataFrame, labels: FloatArray, config: BoostingConfig, options: FitOptions) -> None:
    if len(features) == 0 or features.shape[1] == 0:
        raise TrainingError(f"nothing to fit: {features.shape[0]} rows, {features.shape[1]} features")
    if len(labels) != len(features):
        raise TrainingError(f"{len(features)} rows of features, {len(labels)} labels")
    if not np.isfinite(labels).all():
        raise TrainingError(f"{int((~np.isfinite(labels)).sum())} labels are not finite")
    if (config.objective in _RANKING) != (options.rows_per_query is not None):
        raise TrainingError(f"rows_per_query goes with a ranking objective, and only there: {config.objective}")


def _optional(values: npt.ArrayLike | None) -> FloatArray | None:
    return None if values is None else np.asarray(values, dtype=np.float64)


def _objective_in(text: str) -> str:
    for line in text.splitlines():
        if line.startswith("objective="):
            return line.removeprefix("objective=").split(" ")[0]
    return ""
