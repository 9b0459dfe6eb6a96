"""How like the real shop the simulated one is: the same numbers of both, and pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from features import columns as c
from training.plots import INK, OTHER, OURS, canvas
from training.simulation.arrays import Floats
from training.simulation.fitting import days_of, gaps_of
from training.simulation.past import Past

QUARTER_DAYS = 91
SETTLING_DAYS = 28
"""The first days are left out on both sides: simulated customers begin without having been sent anything."""


@dataclass(frozen=True)
class Likeness:
    """A number of the real shop and of the simulated one."""

    name: str
    real: float
    simulated: float


@dataclass(frozen=True)
class Likenesses:
    """All of them, and what the pictures show: the gaps between trips and between purchases of a type, and spending."""

    rows: tuple[Likeness, ...]
    gaps: dict[str, tuple[Floats, Floats]]


def likenesses_of(real: pd.DataFrame, past: Past) -> Likenesses:
    """Return the comparison of the lines that were learned from with the simulated past, as many weeks each."""
    simulated = lines_of(past)
    span = int(simulated[c.ORDERED_DAY].max() - simulated[c.ORDERED_DAY].min())
    recent = real[real[c.ORDERED_DAY] >= real[c.ORDERED_DAY].max() - span]
    one, other = _Seen.of(_settled(recent)), _Seen.of(_settled(simulated))
    rows = [Likeness(name, value, other.numbers[name]) for name, value in one.numbers.items()]
    return Likenesses(tuple(rows), {name: (one.values[name], other.values[name]) for name in one.values})


def lines_of(past: Past) -> pd.DataFrame:
    """Return the lines of a simulated past in the columns of those that were learned from."""
    lines, goods = past.log.lines, past.population.shop.goods
    return pd.DataFrame(
        {
            c.CUSTOMER_ROW: lines.customer,
            c.TYPE_ROW: lines.type,
            c.CATEGORY_ROW: goods.category[lines.type],
            c.ORDERED_DAY: past.log.lines_day,
            c.AMOUNT: lines.amount,
            c.DISCOUNT: lines.discount + lines.off,
        }
    )


def likeness_figures(found: Likenesses) -> dict[str, Figure]:
    """Return the pictures by file name: each a cumulative share, real and simulated."""
    figures = {}
    for name, (real, simulated) in found.gaps.items():
        figure, axes = canvas(f"{name}: real and simulated", name, "share of all up to here")
        for values, label, colour in ((real, "real", INK), (simulated, "simulated", OURS)):
            ordered = np.sort(values)
            axes.plot(ordered, np.linspace(0, 1, len(ordered)), color=colour, linewidth=1.5, label=label)
        axes.set_xlim(0, float(np.quantile(real, 0.97)))
        axes.axhline(0.5, color=OTHER, linestyle="--", linewidth=1)
        axes.legend(frameon=False)
        figures[f"like-{name.split(',')[0].replace(' ', '-')}.png"] = figure
    return figures


def _settled(lines: pd.DataFrame) -> pd.DataFrame:
    first = int(lines[c.ORDERED_DAY].min()) + SETTLING_DAYS
    kept: pd.DataFrame = lines[lines[c.ORDERED_DAY] >= first]
    return kept


@dataclass(frozen=True)
class _Seen:
    """What one shop shows."""

    numbers: dict[str, float]
    values: dict[str, Floats]

    @classmethod
    def of(cls, lines: pd.DataFrame) -> _Seen:
        keys = [c.CUSTOMER_ROW, c.TYPE_ROW]
        trips, bought = days_of(lines, [c.CUSTOMER_ROW]), days_of(lines, keys)
        n, by_customer = lines[c.CUSTOMER_ROW].nunique(), lines.groupby(c.CUSTOMER_ROW)
        weeks = (lines[c.ORDERED_DAY].max() + 1 - by_customer[c.ORDERED_DAY].min().to_numpy(np.float64)) / 7
        trip_gaps = gaps_of(trips, [c.CUSTOMER_ROW])[c.GAP_DAYS].to_numpy(np.float64)
        gaps = gaps_of(bought, keys)[c.GAP_DAYS].to_numpy(np.float64)
        spend = by_customer[c.AMOUNT].sum().to_numpy(np.float64) / weeks
        quarter = lines[lines[c.ORDERED_DAY] > lines[c.ORDERED_DAY].max() - QUARTER_DAYS]
        before = lines[lines[c.ORDERED_DAY] <= lines[c.ORDERED_DAY].max() - QUARTER_DAYS]
        of_type, of_category = (quarter.drop_duplicates([c.CUSTOMER_ROW, key]) for key in (c.TYPE_ROW, c.CATEGORY_ROW))
        known = set(map(tuple, before[[c.CUSTOMER_ROW, c.CATEGORY_ROW]].drop_duplicates().to_numpy()))
        pairs = map(tuple, of_category[[c.CUSTOMER_ROW, c.CATEGORY_ROW]].to_numpy())
        cut = lines[c.DISCOUNT].sum() / (lines[c.DISCOUNT] + lines[c.AMOUNT]).sum()
        numbers = {"trips a customer and week": len(trips) / float(weeks.sum())}
        numbers |= {
            f"days between trips, {q}th percentile": float(np.percentile(trip_gaps, q)) for q in (25, 50, 75, 90)
        }
        numbers |= {
            f"days between purchases of a type, {q}th percentile": float(np.percentile(gaps, q)) for q in (10, 50, 90)
        }
        numbers |= {
            "types a trip": len(bought) / len(trips),
            "spending a customer and week": float((spend * weeks).sum() / weeks.sum()),
            "spending a customer and week, median": float(np.median(spend)),
            "types a customer in 13 weeks": len(of_type) / n,
            "categories a customer in 13 weeks": len(of_category) / n,
            "of them never bought before": sum(pair not in known for pair in pairs) / n,
            "discount, share of the full price": float(cut),
        }
        values = {
            "days between trips": trip_gaps,
            "days between purchases of a type": gaps,
            "spending, money a customer and week": spend,
        }
        return cls(numbers, values)
