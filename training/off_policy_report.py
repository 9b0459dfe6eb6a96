"""A policy's value for people: a table, a verdict, a picture, and a run of `tercet/replay-value` in MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from features.asof import at_utc
from training.home import Home
from training.intervals import Interval
from training.judge import aligned
from training.off_policy import DR, IPS, SNIPS
from training.off_policy_outcomes import MARGIN, OUTCOMES, VALUE
from training.off_policy_value import N_WEIGHED, SlotValue, Valuation
from training.plots import Gain, comparison_figure
from training.tracking import Tracker

_HEADER = ["drawn", "of a decision", "log", *(f"{name} [95 %]" for name in (IPS, SNIPS, DR)), "DR minus log [95 %]"]


@dataclass(frozen=True)
class ValueReport:
    """The report as text, and the folder with its picture."""

    text: str
    folder: Path


def write_report(place: Home, found: Valuation) -> ValueReport:
    """Return the report after writing it under the home's reports, and logging it to MLflow."""
    text, folder = value_text(found), place.report(f"value-{Path(found.name).stem}")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    for each in found.slots:
        value_figure(each, found).savefig(folder / f"{each.slot}.png")
    (folder / "report.txt").write_text(text + "\n", encoding="utf-8")
    until = at_utc(found.to_us)
    with Tracker.under(place.folder).run("replay-value", f"{Path(found.name).stem} {until:%Y-%m-%d}") as log:
        log.params({"policy": found.name, "days": found.days, "from_us": found.from_us, "to_us": found.to_us})
        log.metrics(flat_metrics(found))
        log.table(pd.DataFrame(table_rows(found)), "value.json")
        log.text(text, "report.txt")
        log.pictures({each.name: each.read_bytes() for each in sorted(folder.glob("*.png"))})
    return ValueReport(text, folder)


def value_text(found: Valuation) -> str:
    """Return the whole report as plain text."""
    rows = [_cells(each, outcome) for each in found.slots for outcome in each.found]
    span = " to ".join(f"{at_utc(us):%Y-%m-%d %H:%M}" for us in (found.from_us, found.to_us))
    parts = [
        f"{found.name} against what was drawn, {span} UTC, over {found.days} days after each decision",
        "\n".join(_overlap(each) for each in found.slots),
        aligned([_HEADER, *rows]),
        "\n".join(_verdict(each, found) for each in found.slots),
        "\n".join(f"- {line}" for line in _notes(found)),
    ]
    return "\n\n".join(parts)


def value_figure(slot: SlotValue, found: Valuation) -> Figure:
    """Return the other policy minus the log, by outcome in money and by estimate."""
    money = [outcome for outcome in slot.found if outcome in (MARGIN, VALUE)]
    gains = [
        Gain(f"{outcome}, {name}", each.gain.value, each.gain.low, each.gain.high)
        for outcome in money
        for name, each in slot.found[outcome].items()
    ]
    unit = f"{found.currency} a decision, {Path(found.name).stem} minus the log, 95 % interval"
    return comparison_figure(gains, title=f"{slot.slot}: what another policy would have brought", unit=unit)


def table_rows(found: Valuation) -> list[dict[str, object]]:
    """Return the table as rows of plain values."""
    return [
        {
            "drawn": slot.slot,
            "outcome": outcome,
            "log": slot.logged[outcome],
            "estimate": name,
            **_named("value", each.value),
            **_named("gain", each.gain),
        }
        for slot in found.slots
        for outcome, by_name in slot.found.items()
        for name, each in by_name.items()
    ]


def flat_metrics(found: Valuation) -> dict[str, float]:
    """Return every number by a dotted name, as MLflow keeps them."""
    values: dict[str, float] = {}
    for slot in found.slots:
        overlap = {f"{slot.slot}.{name}": float(value) for name, value in vars(slot.overlap).items()}
        values |= {**overlap, f"{slot.slot}.exploring_cost": slot.cost}
        for outcome, by_name in slot.found.items():
            values[f"{slot.slot}.{outcome}.log"] = slot.logged[outcome]
            for name, each in by_name.items():
                key = f"{slot.slot}.{outcome}.{name.lower()}"
                values |= {f"{key}.{part}": number for part, number in _named("value", each.value).items()}
                values |= {f"{key}.{part}": number for part, number in _named("gain", each.gain).items()}
    return values


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _overlap(slot: SlotValue) -> str:
    overlap = slot.overlap
    return (
        f"{slot.slot}: {overlap.n:,} decisions of {overlap.n_customers:,} customers tell as much as "
        f"{overlap.effective:,.0f} (effective sample); largest weight {overlap.max_weight:.1f}, the {N_WEIGHED} "
        f"heaviest carry {overlap.heaviest:.1%}; {overlap.outside:.1%} of what it would show is outside of the log; "
        f"exploring gave up {slot.cost:.1%} of what the best are ranked by"
    )


def _cells(slot: SlotValue, outcome: str) -> list[str]:
    by_name = slot.found[outcome]
    return [
        slot.slot,
        outcome + (" *" if outcome == VALUE else ""),
        f"{slot.logged[outcome]:.4f}",
        *(_span(by_name[name].value) for name in (IPS, SNIPS, DR)),
        _span(by_name[DR].gain, sign="+"),
    ]


def _span(interval: Interval, sign: str = "") -> str:
    value, low, high = (f"{each:{sign}.4f}" for each in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def _verdict(slot: SlotValue, found: Valuation) -> str:
    gain = slot.found[VALUE][DR].gain
    said = f"{gain.value:+.4f} {found.currency} a decision, {gain.low:+.4f} to {gain.high:+.4f}"
    if gain.low > 0:
        return f"{slot.slot}: {found.name} would have brought more: {said}."
    if gain.high < 0:
        return f"{slot.slot}: {found.name} would have brought less: {said}."
    return f"{slot.slot}: no difference is shown: {said}."


def _notes(found: Valuation) -> Iterator[str]:
    yield f"* decides, by the doubly robust estimate (DR); intervals are 95 %, by customer; money in {found.currency}"
    yield "; ".join(f"{outcome}: {meaning}" for outcome, meaning in OUTCOMES.items())
    yield "an interval holds for one look at one policy: whoever tries many and takes the best one fools themselves"
    for slot, reason in found.refused.items():
        yield f"{slot} can't be valued: {reason}"
    for reason, n in sorted(found.left_out.items()):
        yield f"left out, as {reason}: {n:,}"
    if found.n_waiting:
        yield f"{found.n_waiting:,} decisions wait for their {found.days} days to be over"
