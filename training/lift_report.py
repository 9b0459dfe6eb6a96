"""An experiment's lift for people: a table, a verdict, and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure

from features.asof import at_utc
from training.intervals import Interval
from training.judge import aligned
from training.lift_estimates import Effect
from training.lift_measure import ArmLift, Lift
from training.lift_outcomes import METRICS, MONEY, VALUE
from training.plots import Gain, comparison_figure, looks_figure

_HEADER = ["arm", "of a customer", "control", "arm's", "difference [95 %]", "CUPED [95 %]", "CUPED [always valid]"]


def lift_text(lift: Lift) -> str:
    """Return the whole report as plain text."""
    effects = [(each.arm, metric, effect) for each in lift.arms for metric, effect in each.effects.items()]
    tiers = [(each.arm, f"{VALUE}, tier {tier}", effect) for each in lift.arms for tier, effect in each.by_tier.items()]
    parts = [
        _heading(lift),
        aligned([_HEADER, *(_cells(*row) for row in effects)]),
        *([aligned([_HEADER, *(_cells(*row) for row in tiers)])] if tiers else []),
        "\n".join(_verdict(each, lift) for each in lift.arms),
        "\n".join(f"- {line}" for line in _notes(lift)),
    ]
    return "\n\n".join(parts)


def lift_figures(lift: Lift) -> dict[str, Figure]:
    """Return the pictures by file name: money by metric, by tier, and day by day."""
    figures: dict[str, Figure] = {}
    unit = f"{lift.currency} a customer, arm minus control, always-valid 95 % interval"
    for each in lift.arms:
        title = f"{lift.question.name}: {each.arm} against {lift.question.control}"
        money = {metric: each.effects[metric] for metric in MONEY}
        figures[f"{each.arm}-money.png"] = comparison_figure(_gains(money), title=title, unit=unit)
        if each.by_tier:
            figures[f"{each.arm}-tiers.png"] = comparison_figure(
                _gains(each.by_tier), title=f"{title}, {VALUE} by tier", unit=unit
            )
        if each.looks:
            looks = [Gain(VALUE, look.interval.value, look.interval.low, look.interval.high) for look in each.looks]
            days = np.array([look.at_us for look in each.looks], dtype="datetime64[us]")
            figures[f"{each.arm}-days.png"] = looks_figure(days, looks, title=title, unit=f"{lift.currency} a customer")
    return figures


def flat_metrics(lift: Lift) -> dict[str, float]:
    """Return every number by a dotted name, as MLflow keeps them."""
    values: dict[str, float] = {"sample_ratio_p": lift.sample_ratio}
    values |= {f"exposed.{arm}": float(n) for arm, n in lift.counts.items()}
    values |= {f"measured.{arm}": float(n) for arm, n in lift.measured.items()}
    for each in lift.arms:
        for metric, effect in each.effects.items():
            for kind, interval in (("plain", effect.plain), ("cuped", effect.adjusted), ("always", effect.always)):
                name = f"{each.arm}.{metric}.{kind}"
                values |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return values


def table_rows(lift: Lift) -> list[dict[str, object]]:
    """Return the table as rows of plain values."""
    return [
        {
            "arm": each.arm,
            "metric": metric,
            "control": effect.control_mean,
            "treated": effect.treated_mean,
            "difference": effect.plain.value,
            "cuped": effect.adjusted.value,
            "cuped_low": effect.adjusted.low,
            "cuped_high": effect.adjusted.high,
            "always_low": effect.always.low,
            "always_high": effect.always.high,
            "variance_kept": effect.variance_kept,
        }
        for each in lift.arms
        for metric, effect in each.effects.items()
    ]


def _heading(lift: Lift) -> str:
    exposed = ", ".join(f"{arm} {n:,}" for arm, n in lift.counts.items())
    measured = ", ".join(f"{arm} {n:,}" for arm, n in lift.measured.items())
    return "\n".join(
        [
            f"{lift.question.name}, up to {at_utc(lift.until_us):%Y-%m-%d %H:%M} UTC",
            f"customers exposed: {exposed} (sample ratio: p = {lift.sample_ratio:.3g})",
            f"measured over the {lift.policy.days} days after their first exposure: {measured}",
        ]
    )


def _cells(arm: str, metric: str, effect: Effect) -> list[str]:
    return [
        arm,
        metric + (" *" if metric == VALUE else ""),
        f"{effect.control_mean:.4f}",
        f"{effect.treated_mean:.4f}",
        _span(effect.plain),
        _span(effect.adjusted),
        f"[{effect.always.low:+.4f}, {effect.always.high:+.4f}]{' !' if effect.is_shown else ''}",
    ]


def _span(interval: Interval) -> str:
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def _verdict(brought: ArmLift, lift: Lift) -> str:
    arm, control, always = brought.arm, lift.question.control, brought.effects[VALUE].always
    said = f"{always.value:+.2f} {lift.currency} a customer, {always.low:+.2f} to {always.high:+.2f}"
    if always.low > 0:
        return f"{arm} brings more than {control}: {said}."
    if always.high < 0:
        return f"{arm} brings less than {control}: {said}."
    return f"No difference between {arm} and {control} is shown yet: {said}."


def _notes(lift: Lift) -> Iterator[str]:
    policy, currency = lift.policy, lift.currency
    yield f"* decides, by its always-valid interval, which holds however often one looks; ! leaves 0 out; in {currency}"
    yield "; ".join(f"{metric}: {meaning}" for metric, meaning in METRICS.items())
    yield f"a message channel that is left costs {policy.unsubscribe_cost:g} {currency} (experiments.toml, [lift])"
    kept = max(each.effects[VALUE].variance_kept for each in lift.arms)
    yield f"CUPED goes by the {policy.before_days} days before; it leaves {kept:.0%} of the variance of {VALUE}"
    n_waiting = sum(lift.counts.values()) - sum(lift.measured.values())
    if n_waiting:
        yield f"{n_waiting:,} customers wait for their {policy.days} days to be over"
    if lift.n_forgotten:
        yield f"{lift.n_forgotten:,} decisions were about customers who were forgotten since; they are not in it"


def _gains(effects: Mapping[str, Effect]) -> list[Gain]:
    return [Gain(label, each.always.value, each.always.low, each.always.high) for label, each in effects.items()]
