"""A shop that explores: hundreds of customers like anna of the tiny shop, and what came of what they were shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from features.ids import IdIndex
from serving.api import ChallengeRequest
from serving.api_offers import OffersRequest
from serving.arms import ExperimentEngine
from serving.bundle import BundleContents, open_bundle, write_bundle
from serving.bundle_fields import columns_of
from serving.champion import bundle_folder, write_champion
from serving.channels import Channel
from serving.decide import Decider
from serving.decision_ids import DecisionIds
from serving.decisioning.policy import default_policy_text, with_values
from serving.experiments_toml import default_experiments, parse_experiments
from serving.live import epoch_us
from serving.shares import Shares
from serving.state.events import Event, EventType
from serving.state.opening import FILE
from serving.state_home import open_state
from serving.strings import StringTable
from tests.serving.tiny import AS_OF, Rows, tiny_contents

NOW = AS_OF + timedelta(hours=1)
DAY_US = 86_400_000_000
EXPLORING = {
    "exploration.stretch_share": 1.0,
    "exploration.offer_share": 1.0,
    "exploration.caution": 0.5,
    "exploration.min_effective": 40,
}
_BY_CUSTOMER = (
    *("customers", "habit", "again", "stretch", "discover", "recent", "propensity"),
    *("response", "redeemed", "sends", "contacts"),
)


class NumberedIds(DecisionIds):
    """Ids that come in the same order in every run, so that the same is drawn."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self._numbers = count()

    def fresh(self) -> str:
        return self.of(str(next(self._numbers)))


@dataclass(frozen=True)
class Told:
    """How many customers, how likely each stretch is taken (and the money that it brings), and what else is done."""

    n: int = 240
    takes: tuple[tuple[str, float], ...] = (("coffee-1", 0.2), ("brie-1", 0.7))
    policy: tuple[tuple[str, Any], ...] = ()
    experiments: str = ""
    call: str = "challenge"
    seed: int = 1


def clones(of: str, n: int, policy: dict[str, Any]) -> BundleContents:
    """Return the tiny shop with `n` customers, each like the one that is named."""
    contents, row = tiny_contents(policy), Rows().customers.row_of(of)
    index = IdIndex.of([f"c{i}" for i in range(n)])
    groups = {name: _cloned(getattr(contents, name), row, n) for name in _BY_CUSTOMER}
    groups["customers"] = replace(groups["customers"], id=StringTable.of(index.ids), hash=index.hashes)
    return replace(contents, **groups)


def _cloned(group: Any, row: int, n: int) -> Any:
    """Return a group of arrays by customer with one row repeated."""
    start, end = group.offsets[row : row + 2] if hasattr(group, "offsets") else (0, 0)
    axes = {name: each.axis for name, each in columns_of(type(group)).items() if name not in ("id", "offsets")}
    at = {name: slice(row, row + 1) if axis == "customers" else slice(start, end) for name, axis in axes.items()}
    arrays = {name: _tiled(getattr(group, name), at[name], n) for name in axes}
    if hasattr(group, "offsets"):
        arrays["offsets"] = np.arange(n + 1, dtype=np.int64) * (end - start)
    return replace(group, **arrays)


def _tiled(values: Any, at: slice, n: int) -> Any:
    return Shares(_tiled(values.codes, at, n)) if isinstance(values, Shares) else np.concatenate([values[at]] * n)


def make_home(home: Path, told: Told) -> Path:
    """Fill a home with exploring decisions, one a customer, and what came of them."""
    changes = {**EXPLORING, **dict(told.policy)}
    version = write_bundle(clones("anna", told.n, changes), home / "bundles")
    write_champion(home, version)
    (home / "policy.toml").write_text(with_values(default_policy_text(), changes))
    if told.experiments:
        (home / "experiments.toml").write_text(told.experiments)
    plan = parse_experiments(told.experiments) if told.experiments else default_experiments()
    engine = ExperimentEngine(open_bundle(bundle_folder(home, version)), plan)
    opened = open_state(FILE, home)
    decider, rng = Decider(engine, opened, NumberedIds(b"k" * 32)), np.random.default_rng(told.seed)
    events: list[Event] = []
    for i in range(told.n):
        events += _came_of(decider, f"c{i}", told, rng)
    at_us = epoch_us(NOW) + 20 * DAY_US
    events.append(Event("last", "somebody", EventType.PURCHASE, at_us, at_us, "milk-1", "o-last", 1.0, 2.0))
    for start in range(0, len(events), 1000):
        opened.state.accept(events[start : start + 1000], may_keep=lambda _live: True, kind_of=engine.kinds)
    opened.close()
    return home


def _came_of(decider: Decider, customer_id: str, told: Told, rng: np.random.Generator) -> list[Event]:
    at_us = epoch_us(NOW) + 2 * DAY_US
    if told.call == "offers":
        answer: Any = decider.decide(OffersRequest(customer_id=customer_id, channel=Channel.WEB, k=1), NOW)
        shown = answer["offers"][0]["offer_id"]
        if rng.random() >= dict(told.takes).get(shown, 0.0):
            return []
        return [Event(f"e-{customer_id}", customer_id, EventType.REDEEM, at_us, at_us, offer_id=shown)]
    answer = decider.decide(ChallengeRequest(customer_id=customer_id), NOW)
    shown = answer["items"][2]["product_id"]
    if rng.random() >= dict(told.takes)[shown]:
        return []
    order, amount = f"o-{customer_id}", 10.0
    return [Event(f"e-{customer_id}", customer_id, EventType.PURCHASE, at_us, at_us, shown, order, 1.0, amount)]
