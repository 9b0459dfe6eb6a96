"""The report's pictures as SVG texts; their colours follow the reader's, light or dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from training.intervals import Interval
from training.plots import ReliabilityCurve

STYLE = (
    ".c{--ink:#1f2933;--dim:#7b8794;--good:#0b6e75;--bad:#b4432f;--open:#7b8794}"
    "@media(prefers-color-scheme:dark){.c{--ink:#e4e7eb;--dim:#9aa5b1;--good:#4fd1c5;--bad:#f0907f;--open:#9aa5b1}}"
    ".c text{fill:var(--ink);font:12px system-ui,sans-serif}.c .dim{fill:var(--dim);stroke:none}"
    ".c .axis{stroke:var(--dim);stroke-width:1;fill:none}.c .good{stroke:var(--good);fill:var(--good)}"
    ".c .bad{stroke:var(--bad);fill:var(--bad)}.c .open{stroke:var(--open);fill:var(--open)}"
)
_WIDTH = 640
_ROW = 22
_TOP, _BOTTOM = 8, 34
_LABEL = 300
_N_TICKS = 5
_CHARS = 46


@dataclass(frozen=True)
class Line:
    """One row of a forest plot: a label, and a difference with its interval (above 0 is better)."""

    label: str
    found: Interval

    @property
    def kind(self) -> str:
        """Return how it is drawn: surely better, surely worse, or open."""
        if self.found.low > 0:
            return "good"
        return "bad" if self.found.high < 0 else "open"


def forest(title: str, lines: Sequence[Line], unit: str) -> str:
    """Return a forest plot: one row a line, a bar for its interval and a dot for its value, and where nothing changes.

    Lines that aren't finite are left out; without any left, the picture is empty.
    """
    kept = [line for line in lines if np.isfinite([line.found.value, line.found.low, line.found.high]).all()]
    height = _TOP + _ROW * len(kept) + _BOTTOM
    low = min((line.found.low for line in kept), default=0.0)
    high = max((line.found.high for line in kept), default=0.0)
    scale = _Scale(min(low, 0.0), max(high, 0.0), _LABEL, _WIDTH - 16)
    parts = [*_axis(scale, height - _BOTTOM, unit), _rule(scale.at(0.0), height - _BOTTOM)]
    for place, line in enumerate(kept):
        y = _TOP + _ROW * place + _ROW / 2
        parts += [
            f'<text x="{_LABEL - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(_short(line.label))}</text>',
            f'<g class="{line.kind}"><line x1="{scale.at(line.found.low):.1f}" x2="{scale.at(line.found.high):.1f}" '
            f'y1="{y:.1f}" y2="{y:.1f}" stroke-width="2"/><circle cx="{scale.at(line.found.value):.1f}" '
            f'cy="{y:.1f}" r="4" stroke="none"/></g>',
        ]
    return _svg(title, parts, height)


def calibration(title: str, curves: Mapping[str, ReliabilityCurve]) -> str:
    """Return calibration curves: mean probability against the observed share by bin, beside the diagonal."""
    known = {name: curve for name, curve in curves.items() if len(curve.counts)}
    top = max((max(curve.expected.max(), curve.observed.max()) for curve in known.values()), default=1.0) or 1.0
    size, left = 320, 56
    x, y = _Scale(0.0, top, left, left + size), _Scale(0.0, top, size + _TOP, _TOP)
    parts = [*_axis(x, size + _TOP, "said"), *_upright(y, left)]
    diagonal = (x.at(0), y.at(0), x.at(top), y.at(top))
    parts.append('<path class="axis" stroke-dasharray="4 4" d="M{:.1f},{:.1f}L{:.1f},{:.1f}"/>'.format(*diagonal))
    for place, (name, curve) in enumerate(known.items()):
        kind = ("good", "bad", "open")[place % 3]
        points = [f"{x.at(e):.1f},{y.at(o):.1f}" for e, o in zip(curve.expected, curve.observed, strict=True)]
        parts.append(f'<g class="{kind}"><polyline points="{" ".join(points)}" fill="none" stroke-width="1.5"/>')
        parts += [
            f'<circle cx="{each.split(",")[0]}" cy="{each.split(",")[1]}" r="3" stroke="none"/>' for each in points
        ]
        label_y = _TOP + 14 + 18 * place
        parts.append(
            f'<text x="{left + size + 16}" y="{label_y}" class="{kind}" stroke="none">{escape(name)}</text></g>'
        )
    return _svg(title, parts, size + _TOP + _BOTTOM)


@dataclass(frozen=True)
class _Scale:
    """Where values lie: `low` at pixel `start`, `high` at pixel `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        span = self.high - self.low
        return self.start + (self.end - self.start) * ((value - self.low) / span if span else 0.5)

    def ticks(self) -> list[float]:
        """Return round values between the ends."""
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = 10 ** np.floor(np.log10(span / _N_TICKS))
        step *= next(each for each in (1, 2, 5, 10) if span / (step * each) <= _N_TICKS)
        first = np.ceil(self.low / step)
        return [float(step * n) for n in np.arange(first, np.floor(self.high / step) + 1)]


def _axis(scale: _Scale, y: float, unit: str) -> list[str]:
    parts = [f'<path class="axis" d="M{scale.start:.1f},{y}H{scale.end:.1f}"/>']
    for tick in scale.ticks():
        parts.append(f'<path class="axis" d="M{scale.at(tick):.1f},{y}v4"/>')
        parts.append(f'<text class="dim" x="{scale.at(tick):.1f}" y="{y + 16}" text-anchor="middle">{tick:g}</text>')
    return [*parts, f'<text class="dim" x="{scale.end:.1f}" y="{y + 31}" text-anchor="end">{escape(unit)}</text>']


def _upright(scale: _Scale, x: float) -> list[str]:
    parts = [f'<path class="axis" d="M{x},{scale.start:.1f}V{scale.end:.1f}"/>']
    for tick in scale.ticks():
        parts.append(f'<text class="dim" x="{x - 6}" y="{scale.at(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    return parts


def _rule(x: float, bottom: float) -> str:
    return f'<path class="axis" stroke-dasharray="3 3" d="M{x:.1f},{_TOP}V{bottom}"/>'


def _short(label: str) -> str:
    return label if len(label) <= _CHARS else f"{label[: _CHARS - 1]}…"


def _svg(title: str, parts: Sequence[str], height: float) -> str:
    return (
        f'<svg class="c" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title><style>{STYLE}</style>{"".join(parts)}</svg>'
    )
