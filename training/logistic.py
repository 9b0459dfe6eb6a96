"""An additive logistic model that is kept as numbers: no pickle, and any language can evaluate it.

Each column goes in on a signed logarithmic scale (counts, days and money are all heavy-tailed), bent at a few quantiles
so that an effect need not be straight, with a flag where it is missing. scikit-learn fits the weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

FloatArray = npt.NDArray[np.float64]
TermKind = Literal["log", "above", "missing"]

MIN_OF_EACH_CLASS = 5
"""Below this many events or non-events only the base rate is learned: weights would be noise."""

MAX_ITERATIONS = 200


@dataclass(frozen=True)
class LogisticConfig:
    """How rich the model is: bends a column (`n_knots`), and `inverse_penalty` (scikit-learn's C)."""

    n_knots: int = 3
    inverse_penalty: float = 0.3


@dataclass(frozen=True)
class Term:
    """One addend: ``weight × (value − mean) ÷ scale``.

    `value` is by `kind`: ``log`` sign(x)·ln(1 + |x|); ``above`` how far that lies above `knot`, at least 0;
    ``missing`` 1 where x is missing. A missing x is `fill` elsewhere.
    """

    column: str
    kind: TermKind
    knot: float
    fill: float
    mean: float
    scale: float
    weight: float


@dataclass(frozen=True)
class LogisticModel:
    """A fitted model; without terms it says the base rate to everyone."""

    intercept: float
    terms: tuple[Term, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that it reads, each once, in order of first use."""
        return tuple(dict.fromkeys(term.column for term in self.terms))

    def margin(self, frame: pd.DataFrame) -> FloatArray:
        """Return log-odds, shape ``(n_rows,)``; other columns of `frame` are ignored."""
        total = np.full(len(frame), self.intercept)
        logs = {column: _values(frame, column) for column in self.columns}
        for term in self.terms:
            value = _term_values(logs[term.column], term.kind, term.knot, term.fill)
            total += term.weight * (value - term.mean) / term.scale
        return total

    def predict(self, frame: pd.DataFrame) -> FloatArray:
        """Return probabilities, shape ``(n_rows,)``."""
        return np.asarray(expit(self.margin(frame)), dtype=np.float64)

    @property
    def importance(self) -> dict[str, float]:
        """Return each column's summed absolute standardised weights, largest first."""
        totals = dict.fromkeys(self.columns, 0.0)
        for term in self.terms:
            totals[term.column] += abs(term.weight)
        return dict(sorted(totals.items(), key=lambda pair: (-pair[1], pair[0])))

    def to_json(self) -> str:
        """Return the model as JSON; `from_json` reads it back to the last bit."""
        return json.dumps({"intercept": self.intercept, "terms": [asdict(term) for term in self.terms]}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> LogisticModel:
        """Return the model that `to_json` wrote."""
        stored = json.loads(text)
        return cls(float(stored["intercept"]), tuple(Term(**term) for term in stored["terms"]))


def fit_logistic(
    frame: pd.DataFrame, labels: npt.ArrayLike, columns: Sequence[str], config: LogisticConfig | None = None
) -> LogisticModel:
    """Return a model of `labels` (0 or 1, ``(n_rows,)``) by the named columns.

    Columns that never vary are left out. With fewer than ``MIN_OF_EACH_CLASS`` of either class, or no column left, it
    is the base rate (with half an event and half a non-event added, so that it is never 0 or 1).
    """
    settings = config or LogisticConfig()
    outcome = np.asarray(labels, dtype=np.float64)
    if min(outcome.sum(), len(outcome) - outcome.sum()) < MIN_OF_EACH_CLASS:
        return base_rate(outcome)
    terms = terms_of(frame, columns, settings.n_knots)
    if not terms:
        return base_rate(outcome)
    fitted = LogisticRegression(C=settings.inverse_penalty, solver="newton-cholesky", max_iter=MAX_ITERATIONS)
    fitted.fit(design_of(frame, terms), outcome)
    return LogisticModel(float(fitted.intercept_[0]), with_weights(terms, fitted.coef_[0]))


def terms_of(frame: pd.DataFrame, columns: Sequence[str], n_knots: int) -> list[Term]:
    """Return the terms of the named columns that vary in `frame`, with weight 0."""
    return [term for column in columns for term in _terms_of(frame, column, n_knots)]


def design_of(frame: pd.DataFrame, terms: Sequence[Term]) -> FloatArray:
    """Return the terms' standardised values, shape ``(n_rows, n_terms)``."""
    logs = {column: _values(frame, column) for column in {term.column for term in terms}}
    design = np.empty((len(frame), len(terms)))
    for i, term in enumerate(terms):
        values = _term_values(logs[term.column], term.kind, term.knot, term.fill)
        design[:, i] = (values - term.mean) / term.scale
    return design


def with_weights(terms: Sequence[Term], weights: npt.ArrayLike) -> tuple[Term, ...]:
    """Return the terms with these weights, one each."""
    return tuple(replace(term, weight=float(w)) for term, w in zip(terms, np.asarray(weights), strict=True))


def base_rate(labels: npt.ArrayLike) -> LogisticModel:
    """Return the model that says the share of events to everyone, never quite 0 or 1.

    Examples
    --------
    >>> round(float(base_rate([0, 0, 1]).predict(pd.DataFrame(index=range(1)))[0]), 6)  # 1.5 ÷ 4
    0.375
    """
    outcome = np.asarray(labels, dtype=np.float64)
    return LogisticModel(float(logit((outcome.sum() + 0.5) / (len(outcome) + 1.0))))


def _terms_of(frame: pd.DataFrame, column: str, n_knots: int) -> list[Term]:
    """Return the terms of one column with weight 0: those that vary in `frame`."""
    values = _values(frame, column)
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return []
    fill = float(np.median(known))
    knots = np.unique(np.quantile(known, np.linspace(0, 1, n_knots + 2)[1:-1])) if n_knots else np.zeros(0)
    lowest = float(known.min())
    shapes: list[tuple[TermKind, float]] = [("log", 0.0), *(("above", float(k)) for k in knots if k > lowest)]
    shapes.append(("missing", 0.0))
    terms = []
    for kind, knot in shapes:
        basis = _term_values(values, kind, knot, fill)
        scale = float(basis.std())
        if scale > 1e-9:
            terms.append(Term(column, kind, knot, fill, float(basis.mean()), scale, 0.0))
    return terms


def _values(frame: pd.DataFrame, column: str) -> FloatArray:
    """Return a column on the signed logarithmic scale; missing is NaN."""
    raw = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(np.sign(raw) * np.log1p(np.abs(raw)), dtype=np.float64)


def _term_values(logs: FloatArray, kind: TermKind, knot: float, fill: float) -> FloatArray:
    """Return a term's values before standardising; `fill` and `knot` are on the logarithmic scale."""
    is_missing = ~np.isfinite(logs)
    if kind == "missing":
        return is_missing.astype(np.float64)
    filled = np.where(is_missing, fill, logs)
    return filled if kind == "log" else np.maximum(filled - knot, 0.0)
