"""What an arm brought, in numbers: differences with intervals, also such that may be looked at as often as one likes.

Sources: CUPED: A. Deng, Y. Xu, R. Kohavi, T. Walker, "Improving the sensitivity of online controlled experiments by
utilizing pre-experiment data", WSDM 2013. The always-valid interval: I. Waudby-Smith, D. Arbour, R. Sinha,
E. H. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics
52(6), 2024, theorem 2.2; its mixture is Robbins' (1970), as in the mixture sequential probability ratio test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, norm

from training.intervals import Interval

FloatArray = npt.NDArray[np.float64]
LEVEL = 0.95


@dataclass(frozen=True)
class Sample:
    """The customers of one arm: an outcome each, shape ``(n,)``, and what was known before, ``(n, n_covariates)``."""

    outcome: FloatArray
    covariates: FloatArray


@dataclass(frozen=True)
class Estimate:
    """A difference of two means, its standard error, and of how many customers."""

    value: float
    error: float
    n: int

    def interval(self, level: float = LEVEL) -> Interval:
        """Return the interval that holds the truth with probability `level`, if one looks once."""
        half = float(norm.ppf(0.5 + level / 2)) * self.error
        return Interval(self.value, self.value - half, self.value + half)


@dataclass(frozen=True)
class Effect:
    """Treated minus control, a customer. `variance_kept`: the share of the plain variance that CUPED leaves."""

    control_mean: float
    treated_mean: float
    plain: Interval
    adjusted: Interval
    always: Interval
    variance_kept: float

    @property
    def is_shown(self) -> bool:
        """Whether the always-valid interval leaves 0 out."""
        return self.always.low > 0.0 or self.always.high < 0.0


def effect(treated: Sample, control: Sample, *, planned: int, n_comparisons: int = 1) -> Effect:
    """Return the effect of an arm, as a plain difference, with CUPED, and always valid (around CUPED's).

    `planned` is at how many customers of both arms the always-valid interval is at its narrowest: it must be chosen
    beforehand. With several arms against one control it is widened (Bonferroni), so that all hold together.
    """
    plain, adjusted = difference(treated.outcome, control.outcome), cuped(treated, control)
    level = 1 - (1 - LEVEL) / n_comparisons
    return Effect(
        float(control.outcome.mean()),
        float(treated.outcome.mean()),
        plain.interval(),
        adjusted.interval(),
        always_valid(adjusted, planned=planned, level=level),
        (adjusted.error / plain.error) ** 2 if plain.error > 0 else 1.0,
    )


def difference(treated: FloatArray, control: FloatArray) -> Estimate:
    """Return the difference of the means, with Welch's standard error.

    >>> difference(np.array([3.0, 5.0]), np.array([1.0, 1.0]))
    Estimate(value=3.0, error=1.0, n=4)
    """
    variance = treated.var(ddof=1) / len(treated) + control.var(ddof=1) / len(control)
    return Estimate(float(treated.mean() - control.mean()), math.sqrt(float(variance)), len(treated) + len(control))


def cuped(treated: Sample, control: Sample) -> Estimate:
    """Return the difference after what the covariates explain is taken off, by one regression within both arms.

    Covariates must be from before the experiment; a constant one, or one that follows from others, changes nothing.
    """
    slopes = _slopes(treated, control)
    return difference(
        treated.outcome - treated.covariates @ slopes,
        control.outcome - control.covariates @ slopes,
    )


def always_valid(estimate: Estimate, *, planned: int, level: float = LEVEL) -> Interval:
    """Return the interval that holds the truth at all sample sizes at once, with probability `level`.

    Asymptotic: valid for looks that begin once a normal approximation is good.
    """
    alpha = 1 - level
    # The mixture's width that makes the interval narrowest at `planned` customers (appendix of the source).
    spread = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / planned
    grown = estimate.n * spread + 1
    half = estimate.error * math.sqrt(grown / (estimate.n * spread) * 2 * math.log(math.sqrt(grown) / alpha))
    return Interval(estimate.value, estimate.value - half, estimate.value + half)


def sample_ratio_chance(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return the chance of arms at least as uneven as these, if customers were drawn by the shares (chi-square).

    >>> round(sample_ratio_chance([500, 500], [0.5, 0.5]), 3), round(sample_ratio_chance([460, 540], [1, 1]), 4)
    (1.0, 0.0114)
    """
    found, wanted = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    expected = wanted / wanted.sum() * found.sum()
    return float(chi2.sf(((found - expected) ** 2 / expected).sum(), df=len(found) - 1))


def _slopes(treated: Sample, control: Sample) -> FloatArray:
    """Return the least-squares slopes within the arms; the shortest solution where covariates are not independent."""
    covariates = np.vstack([_centred(treated.covariates), _centred(control.covariates)])
    outcome = np.concatenate([_centred(treated.outcome), _centred(control.outcome)])
    slopes: FloatArray = np.linalg.lstsq(covariates, outcome, rcond=None)[0]
    return slopes


def _centred(values: FloatArray) -> FloatArray:
    centred: FloatArray = values - values.mean(axis=0)
    return centred
