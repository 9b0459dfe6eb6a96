"""What the simulation showed, for people: tables, pictures and a verdict on each claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from matplotlib.figure import Figure

from training.plots import INK, OTHER, OURS, Gain, canvas, comparison_figure
from training.simulation.campaign import Outcome
from training.simulation.likeness import Likenesses, likeness_figures
from training.simulation.suite import Campaigned, Verdict, verdict
from training.simulation.trial import Standing

COVERAGE = (0.92, 0.98)
MOST_WINS = 0.05


@dataclass(frozen=True)
class Claim:
    """Something that must hold, and whether it does."""

    text: str
    holds: bool


@dataclass(frozen=True)
class Evidence:
    """All that was found; `about` says how it was made."""

    about: Mapping[str, str]
    like: Likenesses
    effect: Campaigned
    nothing: Campaigned
    table: Sequence[Standing]
    currency: str

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims, the same as the issue's."""
        found, none = verdict(self.effect.outcomes), verdict(self.nothing.outcomes)
        ours, others = self.table[0], self.table[1:]
        behind = [each.name for each in others if each.behind.low <= 0.0]
        beaten = "every other policy" if not behind else f"all but {', '.join(behind)}"
        return (
            Claim(
                f"the 95 % interval covers the truth in {found.n_covered} of {found.n} campaigns "
                f"({found.coverage:.1%}; {COVERAGE[0]:.0%} to {COVERAGE[1]:.0%} are asked for)",
                COVERAGE[0] <= found.coverage <= COVERAGE[1],
            ),
            Claim(
                f"{none.n_wins} of {none.n} campaigns without effect are called a win by who looks every day "
                f"({none.win_rate:.1%}; at most {MOST_WINS:.0%} are allowed)",
                none.win_rate <= MOST_WINS,
            ),
            Claim(f"{ours.name} brings more true margin a customer than {beaten}", not behind),
        )


def markdown(found: Evidence) -> str:
    """Return the whole report."""
    parts = [
        "# Campaigns on simulated customers",
        "\n".join(f"- {name}: {value}" for name, value in found.about.items()),
        "\n".join(f"- {'holds' if each.holds else '**FAILS**'}: {each.text}" for each in found.claims),
        "## Campaigns\n\n" + _lines(_campaign_rows(found)),
        f"## Policies: true margin, {found.currency} a customer\n\n" + _lines(policy_rows(found.table)),
        "## How like the real shop\n\n" + _lines(_likeness_rows(found.like)),
    ]
    return "\n\n".join(parts) + "\n"


def figures(found: Evidence) -> dict[str, Figure]:
    """Return the pictures by file name."""
    unit = f"true margin, {found.currency} a customer beyond sending nothing, 95 % interval by customer"
    gains = [Gain(each.name, each.gain.value, each.gain.low, each.gain.high) for each in found.table]
    return {
        "policies.png": comparison_figure(gains, title="What each policy brings", unit=unit),
        "campaigns.png": _campaigns_figure(found.effect.outcomes, found.currency),
        **likeness_figures(found.like),
    }


def record(found: Evidence) -> dict[str, object]:
    """Return everything as plain values, as `report.json` has it."""
    return {
        "about": dict(found.about),
        "claims": [asdict(each) for each in found.claims],
        "with_effect": asdict(verdict(found.effect.outcomes)) | {"n_refused": found.effect.n_refused},
        "without_effect": asdict(verdict(found.nothing.outcomes)) | {"n_refused": found.nothing.n_refused},
        "policies": [asdict(each) for each in found.table],
        "likeness": [asdict(each) for each in found.like.rows],
        "campaigns": [_flat(each) for each in (*found.effect.outcomes, *found.nothing.outcomes)],
    }


def flat_metrics(found: Evidence) -> dict[str, float]:
    """Return the numbers by a dotted name, as MLflow keeps them."""
    effect, nothing = verdict(found.effect.outcomes), verdict(found.nothing.outcomes)
    values = {"coverage": effect.coverage, "bias": effect.bias, "without_effect.win_rate": nothing.win_rate}
    for each in found.table:
        name = each.name.replace(" ", "_")
        values |= {f"{name}.gain": each.gain.value, f"{name}.sent": each.sent, f"{name}.left": each.left}
    return values


def policy_rows(table: Sequence[Standing]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table of policies, its header first."""
    yield (
        "policy",
        "gain [95 %]",
        f"{table[0].name} brings more by [95 %]",
        "messages",
        "redeemed",
        "rewards cost",
        "left the channel",
    )
    for each in table:
        behind = "" if each is table[0] else _span(each.behind.value, each.behind.low, each.behind.high)
        yield (
            each.name,
            _span(each.gain.value, each.gain.low, each.gain.high),
            behind,
            f"{each.sent:.2f}",
            f"{each.redeemed:.2f}",
            f"{each.off:.2f}",
            f"{each.left:.1%}",
        )


def _campaign_rows(found: Evidence) -> Iterator[tuple[str, ...]]:
    yield (
        "campaigns",
        "n",
        "interval holds the truth",
        "always-valid holds it",
        "called a win",
        "a loss",
        "a win by one-look intervals",
        "bias",
        "width",
        "refused and replaced",
    )
    for name, campaigned in (("with effect", found.effect), ("without", found.nothing)):
        each: Verdict = verdict(campaigned.outcomes)
        yield (
            name,
            str(each.n),
            f"{each.coverage:.1%}",
            f"{each.n_always_covered / each.n:.1%}",
            f"{each.n_wins}",
            f"{each.n_losses}",
            f"{each.n_hasty_wins}",
            f"{each.bias:+.3f}",
            f"{each.width:.2f}",
            str(campaigned.n_refused),
        )


def _likeness_rows(found: Likenesses) -> Iterator[tuple[str, ...]]:
    yield "of those who were learned from", "real", "simulated"
    for each in found.rows:
        yield each.name, f"{each.real:.2f}", f"{each.simulated:.2f}"


def _lines(rows: Iterator[tuple[str, ...]]) -> str:
    header = next(rows)
    body = [f"| {' | '.join(value for _, value in zip(header, row, strict=True))} |" for row in rows]
    return "\n".join([f"| {' | '.join(header)} |", "| " + " | ".join("---" for _ in header) + " |", *body])


def _campaigns_figure(outcomes: Sequence[Outcome], currency: str) -> Figure:
    """Return each campaign's interval about its truth, in order of the truth; those that miss it stand out."""
    figure, axes = canvas(
        "Intervals and the truth of each campaign", "campaign, by its truth", f"{currency} a customer"
    )
    ordered = sorted(outcomes, key=lambda each: each.truth)
    for place, each in enumerate(ordered):
        colour = OTHER if each.is_covered else "#c0392b"
        axes.plot([place, place], [each.cuped.low, each.cuped.high], color=colour, linewidth=1)
    axes.plot(np.arange(len(ordered)), [each.truth for each in ordered], ".", color=OURS, markersize=4, label="truth")
    axes.axhline(0.0, color=INK, linestyle="--", linewidth=1)
    axes.legend(frameon=False)
    return figure


def _flat(outcome: Outcome) -> dict[str, object]:
    return {
        "name": outcome.name,
        "truth": outcome.truth,
        "cuped": asdict(outcome.cuped),
        "always": asdict(outcome.always),
        "covered": outcome.is_covered,
        "win": outcome.is_called_a_win,
        "n": outcome.n,
        "sent": outcome.n_sent,
        "redeemed": outcome.n_redeemed,
        "sample_ratio": outcome.sample_ratio,
    }


def _span(value: float, low: float, high: float) -> str:
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
