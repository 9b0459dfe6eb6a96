"""A shop with an experiment behind it: decisions and purchases of made-up customers in a state of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from serving.bundle import write_bundle
from serving.champion import write_champion
from serving.experiments import Experiments
from serving.experiments_toml import default_experiments_text, parse_experiments
from serving.live import epoch_us
from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.events import Event, EventType
from serving.state.opening import FILE
from serving.state_home import open_state
from tests.serving.tiny import AS_OF, tiny_contents

DAY_US = 86_400_000_000
START_US = epoch_us(AS_OF)
EXPERIMENT = f"""
[[experiment]]
name = "points"
start = {AS_OF.isoformat()}
end = {(AS_OF + timedelta(days=56)).isoformat()}

[[experiment.arm]]
name = "control"
share = 0.5

[[experiment.arm]]
name = "treated"
share = 0.5
[experiment.arm.policy]
"reward.kind" = "points"
"""


@dataclass(frozen=True)
class Told:
    """How many customers, what the treated buy more (money a customer), and who is left out of the treated arm."""

    n: int = 500
    extra: float = 0.0
    lost_share: float = 0.0
    seed: int = 1


def experiments_text(min_customers: int = 50) -> str:
    text = default_experiments_text().replace("min_customers = 200", f"min_customers = {min_customers}")
    return text.replace("planned_customers = 10000", "planned_customers = 400") + EXPERIMENT


def make_home(home: Path, told: Told, *, text: str = "", tables: Path | None = None) -> Path:
    """Fill a home with a champion, an experiment, and what its customers did: each is exposed on one of 14 days.

    What they bought is told to the state, or else written as a source's `tables`.
    """
    write_champion(home, write_bundle(tiny_contents(), home / "bundles"))
    (home / "experiments.toml").write_text(text or experiments_text())
    plan = parse_experiments((home / "experiments.toml").read_text())
    records, events = conduct(plan, told, version=(home / "champion").read_text().strip())
    opened = open_state(FILE, home)
    for record in records:
        opened.state.record(record)
    if tables is not None:
        write_transactions(tables, events)
        events = []
    for start in range(0, len(events), 1000):
        opened.state.accept(events[start : start + 1000], may_keep=lambda _live: True, kind_of=lambda _product: None)
    opened.close()
    return home


def conduct(plan: Experiments, told: Told, version: str) -> tuple[list[DecisionRecord], list[Event]]:
    """Return the decisions and purchases of customers who buy about once a week for what they are used to spend."""
    rng = np.random.default_rng(told.seed)
    records, events = [], []
    for i in range(told.n):
        customer_id = f"c{i}"
        assigned = plan.assign(customer_id, AS_OF)
        assert assigned is not None
        is_treated = assigned.arm == "treated"
        exposed_us = START_US + int(rng.integers(0, 14 * DAY_US))
        habit = float(rng.lognormal(3.0, 0.4))
        for day in rng.choice(np.arange(-28, 28), 8, replace=False):
            at_us = exposed_us + int(day) * DAY_US
            extra = told.extra / 2 if is_treated and day >= 0 else 0.0
            events.append(bought(f"{customer_id}-{day}", customer_id, at_us, habit + extra))
        if not (is_treated and rng.random() < told.lost_share):
            part = DecisionPart(customer_id, ({"product_id": "milk-1"},))
            label = dict(assigned.label())
            records.append(
                DecisionRecord(
                    f"d{i}",
                    "challenge",
                    exposed_us,
                    version,
                    (part,),
                    experiment=label,
                    probability=assigned.probability,
                )
            )
    # Somebody who was in nothing buys once everybody's days are over.
    events.append(bought("last", "somebody", START_US + 42 * DAY_US, 1.0))
    return records, events


def bought(event_id: str, customer_id: str, at_us: int, amount: float) -> Event:
    """Return the purchase of something whose cost nobody knows: a quarter of the amount counts as margin."""
    return Event(event_id, customer_id, EventType.PURCHASE, at_us, at_us, "unknown-1", f"o-{event_id}", 1.0, amount)


def write_transactions(folder: Path, events: list[Event]) -> None:
    """Write purchases as the table that a retailer gives."""
    folder.mkdir()
    lines = ["customer_id,order_id,product_id,ordered_at,quantity,amount"]
    for each in events:
        at = datetime.fromtimestamp(each.at_us / 1e6, UTC).isoformat()
        lines.append(f"{each.customer_id},{each.order_id},{each.product_id},{at},{each.quantity:g},{each.amount!r}")
    (folder / "transactions.csv").write_text("\n".join(lines) + "\n")
