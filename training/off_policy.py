"""What another policy would have brought, from decisions that were drawn with known odds.

Three estimates of the mean outcome of a decision, each with its interval by customer:

- **IPS**, inverse propensity: each outcome counts as often as the other policy would have made the same draw for each
  time that it was made, so that what it prefers stands for itself. Unbiased, whatever the outcome is like. D. Horvitz,
  D. Thompson, "A generalization of sampling without replacement from a finite universe", JASA 47 (1952).
- **SNIPS**: the same over the sum of the weights instead of the number of decisions. A little biased, and steadier: it
  does not move when a constant is added to all outcomes. A. Swaminathan, T. Joachims, "The self-normalized estimator
  for counterfactual learning", NIPS 2015.
- **DR**, doubly robust: a model of the outcome for everything that the other policy would have shown, corrected by the
  weighted error of the model on what was shown. Unbiased, as the odds are known; the better the model, the narrower.
  M. Dudík, J. Langford, L. Li, "Doubly robust policy evaluation and learning", ICML 2011. The model is fitted on other
  customers than those it speaks of.

Weights are not clipped: the engine's odds bound them (`serving.decisioning.exploring`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.intervals import Interval, linear_interval

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

IPS, SNIPS, DR = "IPS", "SNIPS", "DR"
N_FOLDS = 5
_RIDGE = 1.0


@dataclass(frozen=True)
class Choices:
    """Decisions, each with its options: the odds by which it was drawn, and those that another policy gives them.

    Parameters
    ----------
    customer
        Each decision's customer, any integers: ``(n,)``.
    start
        Where each decision's options begin, and where the last one's end: ``(n + 1,)``.
    chosen
        The option that was shown, as a place among all options: ``(n,)``.
    logged, target
        The probability of each option by the log and by the other policy, each adding up to 1 over a decision's
        options: ``(m,)``. `logged` is above 0.
    features
        What was known of each option and of its decision beforehand: ``(m, n_features)``.
    """

    customer: IntArray
    start: IntArray
    chosen: IntArray
    logged: FloatArray
    target: FloatArray
    features: FloatArray

    @property
    def weights(self) -> FloatArray:
        """How often the other policy would make the same draw for each time that it was made: ``(n,)``."""
        return np.asarray(self.target[self.chosen] / self.logged[self.chosen], dtype=np.float64)

    def sums(self, values: FloatArray) -> FloatArray:
        """Return the sum of a value of options over each decision's."""
        return np.asarray(np.add.reduceat(values, self.start[:-1]), dtype=np.float64)


def effective_sample(weights: FloatArray) -> float:
    """Return how many decisions of equal weight would tell as much: (Σw)² ÷ Σw², 0 where none has any.

    L. Kish, "Survey Sampling", 1965.

    >>> effective_sample(np.array([1.0, 1.0, 0.0, 0.0])), effective_sample(np.array([0.0]))
    (2.0, 0.0)
    """
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


@dataclass(frozen=True)
class Estimate:
    """The mean outcome of a decision under the other policy, and by how much it exceeds that of the log."""

    value: Interval
    gain: Interval


def estimates(choices: Choices, outcome: FloatArray, rng: np.random.Generator) -> dict[str, Estimate]:
    """Return what the other policy brings by each estimate; `outcome` is what came of each decision, ``(n,)``.

    `rng` draws the folds of the outcome model.
    """
    weights, one = choices.weights, np.ones(len(outcome))
    normal = float(weights @ outcome / weights.sum()) if weights.sum() > 0 else np.nan
    # What each decision adds to the self-normalised value, to first order: its mean is that value.
    linear = normal + weights * (outcome - normal) / weights.mean()
    robust = doubly_robust(choices, outcome, rng)
    parts = {IPS: (weights * outcome, one), SNIPS: (weights * outcome, weights), DR: (robust, one)}
    gains = {IPS: weights * outcome - outcome, SNIPS: linear - outcome, DR: robust - outcome}
    return {
        name: Estimate(
            linear_interval(*parts[name], choices.customer), linear_interval(gains[name], one, choices.customer)
        )
        for name in parts
    }


def doubly_robust(choices: Choices, outcome: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return what each decision contributes to the doubly robust estimate, whose mean it is: ``(n,)``."""
    expected = expected_outcomes(choices, outcome, rng)
    missed = outcome - expected[choices.chosen]
    return choices.sums(choices.target * expected) + choices.weights * missed


def expected_outcomes(choices: Choices, outcome: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return the expected outcome of each option, by a ridge regression on the other folds' customers: ``(m,)``.

    With fewer than two customers, or without features, it is the mean outcome.
    """
    shown = choices.features[choices.chosen]
    customers, group = np.unique(choices.customer, return_inverse=True)
    if len(customers) < 2 or shown.shape[1] == 0:
        return np.full(len(choices.target), float(outcome.mean()))
    fold = rng.permutation(len(customers))[group] % min(N_FOLDS, len(customers))
    fold_of_option = np.repeat(fold, np.diff(choices.start))
    expected = np.empty(len(choices.target))
    for each in np.unique(fold):
        learn, tell = fold != each, fold_of_option == each
        expected[tell] = _ridge(shown[learn], outcome[learn], choices.features[tell])
    return expected


def _ridge(features: FloatArray, outcome: FloatArray, others: FloatArray) -> FloatArray:
    """Return the outcomes that a ridge regression expects of `others`, on scaled features, held to what was seen."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0.0] = 1.0
    x = (features - mean) / scale
    middle = outcome.mean()
    slopes = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ (outcome - middle))
    found = middle + ((others - mean) / scale) @ slopes
    return np.asarray(np.clip(found, outcome.min(), outcome.max()), dtype=np.float64)
