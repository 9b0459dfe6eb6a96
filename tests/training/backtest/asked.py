"""What a task asks of tercet, answered from frames: for tests of tasks without a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from features.tables import TableSet
from serving.shares import Shares
from training.history import History


@dataclass(frozen=True)
class AskedFrames:
    """A `Served` whose lists are given, by (intent, level)."""

    history: History
    moment: Moment
    lists: dict[tuple[str, str], pd.DataFrame]
    bundle: Any = None
    models: dict[str, Any] = field(default_factory=dict)
    is_quick: bool = False

    @property
    def known(self) -> History:
        return self.history.until(self.moment)

    @property
    def customers(self) -> npt.NDArray[np.int64]:
        return self.known.features("customers", self.moment)[c.CUSTOMER_ROW].to_numpy(dtype=np.int64)

    def recommendations(self, intent: str, level: str, k: int) -> pd.DataFrame:
        found = self.lists[intent, level]
        return found[found["rank"] <= k]

    def also_bought(self, queries: Sequence[Sequence[int]], k: int) -> pd.DataFrame:
        raise NotImplementedError

    def scores(self) -> pd.DataFrame:
        raise NotImplementedError

    def challenges(self) -> pd.DataFrame:
        raise NotImplementedError


@dataclass(frozen=True)
class Told:
    """A fitted model that predicts a frame."""

    frame: pd.DataFrame

    def predict(self, _known: History, _moment: Moment) -> pd.DataFrame:
        return self.frame


def stretches_of(tables: TableSet, rows: pd.DataFrame, n_products: int) -> Any:
    """Return as much of a bundle as a task on stretches reads: `rows` has customer_row, category_row and p28.

    As in a past bundle, its customers are not all of the tables': its rows are its own (here those of `rows`, the last
    one first).
    """
    named = tables.read("customers", [c.CUSTOMER_ROW, c.CUSTOMER_ID]).set_index(c.CUSTOMER_ROW)[c.CUSTOMER_ID]
    there = np.sort(rows[c.CUSTOMER_ROW].unique())[::-1]
    rows = rows.assign(own=pd.Index(there).get_indexer(rows[c.CUSTOMER_ROW]))
    rows = rows.sort_values(["own", c.P28], ascending=[True, False], kind="stable")
    counts = np.bincount(rows["own"], minlength=len(there))
    n_categories = rows[c.CATEGORY_ROW].max() + 1
    stretch = SimpleNamespace(
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        category=rows[c.CATEGORY_ROW].to_numpy(),
        p7=Shares.of(rows[c.P28] / 4),
        place=np.tile([0, -1, -1], (len(rows), 1)),
    )
    return SimpleNamespace(
        stretch=stretch,
        novelty=SimpleNamespace(offsets=np.arange(n_categories + 1), product=np.arange(n_categories) % n_products),
        products=SimpleNamespace(price=np.linspace(0.5, 9.0, n_products)),
        customers=SimpleNamespace(
            id=[named.get(row, str(row)) for row in there], usual_price=np.linspace(1.0, 3.0, len(there))
        ),
    )
