"""What a list comes to: who and what is on it, what it is expected to cost and bring, and what was withheld and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from serving.api_offer_codes import WithheldCode
from serving.bundle import Bundle
from serving.list_options import Options
from serving.list_sharing import NO_CLAIM, Allotment, Choices

UNKNOWN_NAME = "not known"
_MONEY = ("redemption_probability", "incremental_margin", "reward_cost", "fatigue_cost", "expected_value")


@dataclass(slots=True)
class Sum:
    """What some rows of a list come to: how many, redemptions expected of them, and money."""

    n: int = 0
    redemptions: float = 0.0
    margin: float = 0.0
    cost: float = 0.0
    fatigue: float = 0.0
    value: float = 0.0

    def add(self, n: int, amounts: Mapping[str, float]) -> None:
        """Add what further rows come to."""
        self.n += n
        self.redemptions += amounts["redemption_probability"]
        self.margin += amounts["incremental_margin"]
        self.cost += amounts["reward_cost"]
        self.fatigue += amounts["fatigue_cost"]
        self.value += amounts["expected_value"]


@dataclass
class Tally:
    """Adds up a list while it is made; its size does not grow with customers.

    `what` are sums by offer ("" for actions without one), the others counts: rows by trigger; customers with a row by
    channel, segment and tier. `withheld` counts customers by offer ("" for all that they would have got) and code.
    """

    bundle: Bundle
    prefix: str = ""
    n_asked: int = 0
    n_customers: int = 0
    total: Sum = field(default_factory=Sum)
    what: dict[str, Sum] = field(default_factory=dict)
    triggers: Counter[str] = field(default_factory=Counter)
    channels: Counter[str] = field(default_factory=Counter)
    segments: Counter[str] = field(default_factory=Counter)
    tiers: Counter[str] = field(default_factory=Counter)
    withheld: Counter[tuple[str, str]] = field(default_factory=Counter)
    reserved: Counter[str] = field(default_factory=Counter)
    """How many claims of each offer's budget were met."""

    def note(self, options: Options) -> None:
        """Count a customer who was asked about, and what was withheld from them."""
        self.n_asked += 1
        self.withheld.update(options.withheld)

    def lose(self, offers: list[str], block: Choices, allotment: Allotment) -> None:
        """Count the claims that were met, and the customers whom a budget did not reach."""
        chosen, claim = allotment.chosen(block), block["claim"]
        is_claim = claim != NO_CLAIM
        is_lost = np.zeros(len(block), dtype=bool)
        is_lost[is_claim] = block["key"][is_claim] < allotment.cuts[claim[is_claim]]
        for place, n in zip(*np.unique(claim[chosen & is_claim], return_counts=True), strict=True):
            self.reserved[offers[place]] += int(n)
        for place, n in zip(*np.unique(claim[is_lost], return_counts=True), strict=True):
            self.withheld[offers[place], WithheldCode.BUDGET_SPENT.value] += int(n)

    def add(self, table: pa.Table, rows: npt.NDArray[np.int32]) -> None:
        """Add rows of the list; `rows` are those of the bundle, -1 where it doesn't know the customer."""
        if not table.num_rows:
            return
        amounts = self._amounts(table)
        for name, place in self._grouped(table):
            mine = {key: float(values[place].sum()) for key, values in amounts.items()}
            self.what.setdefault(name, Sum()).add(len(place), mine)
            self.total.add(len(place), mine)
        if "trigger" in table.column_names:
            self.triggers.update(table.column("trigger").to_pylist())
        is_first = _first_of_each(table.column("customer_id"))
        self.n_customers += int(is_first.sum())
        self.channels.update(table.column("channel").filter(pa.array(is_first)).to_pylist())
        self._count(self.segments, list(self.bundle.segments), self.bundle.customers.segment, rows[is_first])
        self._count(self.tiers, list(self.bundle.tiers), self.bundle.customers.tier, rows[is_first])

    def _grouped(self, table: pa.Table) -> list[tuple[str, npt.NDArray[np.intp]]]:
        names = pc.fill_null(table.column(f"{self.prefix}offer_id"), "").combine_chunks().dictionary_encode()
        codes = np.asarray(names.indices)
        return [(name, np.flatnonzero(codes == code)) for code, name in enumerate(names.dictionary.to_pylist())]

    def _amounts(self, table: pa.Table) -> dict[str, npt.NDArray[np.float64]]:
        """Return the terms of the rows' offers; of an action without one, its own."""
        found = {}
        for name in _MONEY:
            column = table.column(f"{self.prefix}{name}")
            if self.prefix and f"worth_{name}" in table.column_names:
                column = pc.coalesce(column, table.column(f"worth_{name}"))
            found[name] = np.asarray(pc.fill_null(column, 0.0), dtype=np.float64)
        return found

    def _count(
        self,
        counts: Counter[str],
        names: list[str],
        codes: npt.NDArray[np.integer],
        rows: npt.NDArray[np.int32],
    ) -> None:
        # As a narrow type without a sign has no -1.
        own = codes[np.maximum(rows, 0)].astype(np.int64) if len(codes) else -1
        found = np.where(rows >= 0, own, -1)
        for code, n in zip(*np.unique(found, return_counts=True), strict=True):
            counts[names[code] if code >= 0 else UNKNOWN_NAME] += int(n)


def _first_of_each(customers: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Return which rows are the first of their customer; a customer's rows lie together."""
    ids = customers.combine_chunks()
    is_first = np.ones(len(ids), dtype=bool)
    is_first[1:] = np.asarray(pc.not_equal(ids[1:], ids[:-1]))
    return is_first
