"""`make simulate`: does the lift code tell the truth, and does the value equation pay? Tried on simulated customers.

A customer simulator is fitted to a source, lives through a past, and the pipeline trains a bundle on that past. Then
200 campaigns with an effect and 200 without go through the engine and the lift code, and policies are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from features.conform import prepare
from features.errors import TercetError
from training.home import Home
from training.progress import Progress
from training.simulation import evidence
from training.simulation.campaign import Stage
from training.simulation.choosing import (
    BestOffer,
    EngineChooser,
    LikeliestOffer,
    Nothing,
    Policy,
    RandomOffer,
    chances_of,
)
from training.simulation.evidence import Evidence
from training.simulation.likeness import likenesses_of
from training.simulation.staging import ShopSize, Staged, set_stage
from training.simulation.suite import campaigns_with_effect, campaigns_without_effect, run_all
from training.simulation.trial import Standing, Trial, standings, try_policies
from training.simulation.truth import Truth
from training.tracking import Tracker

Say = Callable[[str], None]
REPORT = "simulation"
FOLDER = "simulation"


@dataclass(frozen=True)
class Plan:
    """What is to be run: campaigns of each kind, the size of the shop, trials of the policies, processes."""

    campaigns: int = 200
    size: ShopSize = field(default_factory=ShopSize)
    trials: int = 3
    seed: int = 7
    jobs: int = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulation and return its exit status: 1 where a claim fails, or nothing can be said."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as in training.cli
    options = _parser().parse_args(arguments)
    plan = Plan(options.campaigns, ShopSize(customers=options.customers), options.trials, options.seed, options.jobs)
    try:
        with Progress() as progress:
            found = simulate(options.source, options.home, plan, progress)
    except TercetError as error:
        sys.stderr.write(f"tercet: {error}\n")
        return 1
    sys.stdout.write(evidence.markdown(found))
    return 0 if all(claim.holds for claim in found.claims) else 1


def simulate(source: str, home: Path, plan: Plan, say: Say) -> Evidence:
    """Return what was found, written under the home's reports and logged to MLflow.

    The simulated shop has a home of its own, the folder `simulation`: the bundles that serve are not touched.
    """
    begun, truth = time.monotonic(), Truth()
    tables = prepare(source, home, time_zone=None, progress=say).tables
    staged = set_stage(tables, home / FOLDER, plan.size, truth, plan.seed, say)
    stage = staged.stage
    n_reachable = int(stage.past.world.is_reached.sum())
    say(f"campaigns with effect: {plan.campaigns}")
    planned = campaigns_with_effect(plan.campaigns, truth, n_reachable, plan.seed)
    effect = run_all(stage, planned, plan.campaigns, plan.jobs, say)
    say(f"campaigns without effect: {plan.campaigns}")
    planned = campaigns_without_effect(plan.campaigns, n_reachable, plan.seed)
    nothing = run_all(stage, planned, plan.campaigns, plan.jobs, say)
    table = compare_policies(stage, plan, truth, say)
    about = _about(staged, plan, tables.source_name, n_reachable)
    like = likenesses_of(staged.lines, stage.past)
    found = Evidence(about, like, effect, nothing, table, staged.shop.currency)
    say("report")
    _write(home, found, time.monotonic() - begun)
    return found


def compare_policies(stage: Stage, plan: Plan, truth: Truth, say: Say) -> list[Standing]:
    """Return the table of policies, the engine's first."""
    trials = []
    for number in range(plan.trials):
        say(f"policies: trial {number + 1} of {plan.trials}")
        seed = plan.seed + 100 + number
        trials.append(try_policies(stage.past, stage.offers, policies_of(stage, seed), Trial(seed, truth)))
    return standings(trials, Nothing.name, np.random.default_rng([plan.seed, 10]))


def policies_of(stage: Stage, seed: int) -> list[Policy]:
    """Return the engine with its rules, and what it is compared with.

    What is most popular is told by the bundle's chances, as a shop would know it; nobody is told the truth.
    """
    bundle, offers = stage.engine.bundle, stage.offers
    ids = stage.past.population.customer_ids
    return [
        EngineChooser(stage.engine, offers),
        RandomOffer(seed),
        BestOffer("most popular", chances_of(bundle, offers, ids).mean(axis=0)),
        BestOffer("highest discount", offers.value),
        LikeliestOffer(bundle, offers, ids),
        Nothing(),
    ]


def _about(staged: Staged, plan: Plan, source: str, n_reachable: int) -> dict[str, str]:
    bundle = staged.stage.engine.bundle
    return {
        "customers": f"{plan.size.customers:,}, with the ways of {len(staged.shop.trip_gap):,} of {source}; "
        f"{n_reachable:,} can be reached by e-mail when the campaigns begin",
        "past": f"{plan.size.weeks} weeks with an offer each, to a quarter of the customers at random",
        "bundle": f"{bundle.manifest.version}, trained on that past (quick recipe), {len(bundle.offers.id)} offers run",
        "seed": str(plan.seed),
    }


def _write(home: Path, found: Evidence, seconds: float) -> None:
    folder = Home(home).report(REPORT)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in evidence.figures(found).items():
        figure.savefig(folder / name)
    text, record = evidence.markdown(found), evidence.record(found)
    (folder / "report.md").write_text(text, encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    with Tracker.under(home).run("simulation", f"seed {found.about['seed']}", dict(found.about)) as log:
        log.metrics({**evidence.flat_metrics(found), "seconds": seconds})
        log.text(text, "report.md")
        log.record(record, "report.json")
        log.pictures({each.name: each.read_bytes() for each in sorted(folder.glob("*.png"))})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("source", nargs="?", default="complete-journey")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("TERCET_HOME") or ".tercet"))
    parser.add_argument("--campaigns", type=int, default=Plan.campaigns, help="of each kind; fewer for a quick look")
    parser.add_argument("--customers", type=int, default=ShopSize.customers)
    parser.add_argument("--trials", type=int, default=Plan.trials, help="of the policies")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--jobs", type=int, default=Plan.jobs, help="processes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
