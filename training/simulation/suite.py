"""Many campaigns, some of them without effect, on as many processes as are given; the same whoever runs them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from serving.bundle import open_bundle
from serving.experiments import LiftPolicy
from serving.experiments_toml import default_experiments_text, parse_experiments
from training.errors import LiftRefused, SimulationError
from training.simulation.campaign import Campaign, Outcome, Stage, run_campaign
from training.simulation.offers import Offers
from training.simulation.past import Past
from training.simulation.staging import stage_of
from training.simulation.truth import NO_EFFECT, Truth

SCALES = (0.5, 4.0)
SHARES = (0.3, 0.5)
SPREAD_DAYS = (14, 28)
SIZES = (0.3, 0.6)
"""How many of the reachable customers are in a campaign, where that is not too few to measure."""

LEAST_CUSTOMERS = 240

MOST_CALLS = 2
MIN_CUSTOMERS = 50
SPARES = 10
"""So many more campaigns stand by, for those that a check refuses."""

Say = Callable[[str], None]

_STAGE: Stage | None = None


@dataclass(frozen=True)
class Verdict:
    """What campaigns showed together: how many there were, and how many of the intervals held the truth.

    `n_wins` and `n_losses` were called so on some day by the always-valid interval, `n_hasty_wins` by the one for one
    look. `bias` is the mean of estimate
    minus truth, `width` that of the CUPED intervals, money a customer.
    """

    n: int
    n_covered: int
    n_always_covered: int
    n_wins: int
    n_losses: int
    n_hasty_wins: int
    bias: float
    width: float

    @property
    def coverage(self) -> float:
        """The share of campaigns whose CUPED interval holds the truth."""
        return self.n_covered / self.n

    @property
    def win_rate(self) -> float:
        """The share of campaigns that were called a win on some day."""
        return self.n_wins / self.n


def campaigns_with_effect(n: int, truth: Truth, n_reachable: int, seed: int) -> list[Campaign]:
    """Return campaigns whose offers do more or less, of different sizes and shares; with spares."""
    rng = np.random.default_rng([seed, 8])
    return [
        _campaign(f"effect-{number:03d}", rng, truth.scaled(float(rng.uniform(*SCALES))), n_reachable, seed)
        for number in range(n + SPARES)
    ]


def campaigns_without_effect(n: int, n_reachable: int, seed: int) -> list[Campaign]:
    """Return campaigns whose messages change nothing at all; with spares."""
    rng = np.random.default_rng([seed, 9])
    return [_campaign(f"nothing-{number:03d}", rng, NO_EFFECT, n_reachable, seed) for number in range(n + SPARES)]


@dataclass(frozen=True)
class Campaigned:
    """The outcomes of campaigns, and how many were refused by a check of the lift code: nothing is said of those.

    Of arms drawn by chance the sample-ratio check refuses one in a thousand: that is its threshold.
    """

    outcomes: tuple[Outcome, ...]
    n_refused: int


def run_all(stage: Stage, campaigns: Sequence[Campaign], wanted: int, jobs: int, say: Say) -> Campaigned:
    """Return the first outcomes, as many as are wanted, in the order given; a spare one takes a refused one's place.

    With several jobs each process opens the bundle itself. SimulationError where more are refused than stand by.
    """
    found: list[Outcome] = []
    n_refused = 0
    for outcome in _outcomes(stage, campaigns, jobs):
        if outcome is None:
            n_refused += 1
            continue
        found.append(outcome)
        if len(found) % 20 == 0:
            say(f"campaign {len(found)} of {wanted}")
        if len(found) == wanted:
            break
    if len(found) < wanted:
        raise SimulationError(
            f"{n_refused} of {len(campaigns)} campaigns were refused by the checks of `tercet lift`: "
            "too few customers to measure; simulate more of them"
        )
    return Campaigned(tuple(found), n_refused)


def verdict(outcomes: Sequence[Outcome]) -> Verdict:
    """Return what campaigns showed together."""
    errors = [each.cuped.value - each.truth for each in outcomes]
    return Verdict(
        len(outcomes),
        sum(each.is_covered for each in outcomes),
        sum(each.always.low <= each.truth <= each.always.high for each in outcomes),
        sum(each.is_called_a_win for each in outcomes),
        sum(any(look.high < 0.0 for look in (*each.looks, each.always)) for each in outcomes),
        sum(each.would_be_called_a_win for each in outcomes),
        float(np.mean(errors)),
        float(np.mean([each.cuped.high - each.cuped.low for each in outcomes])),
    )


def _campaign(name: str, rng: np.random.Generator, truth: Truth, n_reachable: int, seed: int) -> Campaign:
    n = min(max(int(rng.uniform(*SIZES) * n_reachable), LEAST_CUSTOMERS), n_reachable)
    lift: LiftPolicy = parse_experiments(default_experiments_text()).lift
    return Campaign(
        f"{name}-{seed}",
        int(rng.integers(2**32)),
        truth,
        n,
        float(rng.uniform(*SHARES)),
        int(rng.integers(SPREAD_DAYS[0], SPREAD_DAYS[1] + 1)),
        int(rng.integers(1, MOST_CALLS + 1)),
        replace(lift, min_customers=MIN_CUSTOMERS, planned_customers=n),
    )


def _outcomes(stage: Stage, campaigns: Sequence[Campaign], jobs: int) -> Iterator[Outcome | None]:
    if jobs == 1:
        yield from (_measured(stage, campaign) for campaign in campaigns)
        return
    given = (stage.past, stage.offers, stage.engine.bundle.folder)
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _open_stage, given) as pool:
        yield from pool.map(_run, campaigns)


def _measured(stage: Stage, campaign: Campaign) -> Outcome | None:
    """Return what a campaign showed, None where a check says that nothing may be said."""
    try:
        return run_campaign(stage, campaign)
    except LiftRefused:
        return None


def _open_stage(past: Past, offers: Offers, bundle: Path) -> None:
    global _STAGE  # what a process of the pool works on, set once when it begins
    _STAGE = stage_of(past, offers, open_bundle(bundle, verify=False))


def _run(campaign: Campaign) -> Outcome | None:
    assert _STAGE is not None  # the pool's initializer sets it
    return _measured(_STAGE, campaign)
