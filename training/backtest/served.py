"""What a bundle of a past moment answers, by the code of `tercet batch`: lists by row, made once and kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features import columns as c
from features.asof import Moment
from serving.api_codes import Level
from serving.batch import Answered, answers
from serving.batch_job import BatchJob, moment_of
from serving.batch_tables import rows_of
from serving.bundle import Bundle
from serving.decide import Ranking
from serving.decision_ids import DecisionIds
from serving.engine import Engine
from training.backtest.files import read_frame, write_frame
from training.errors import BacktestError
from training.history import History

IntArray = npt.NDArray[np.int64]

K_CATEGORIES = 100
SAMPLE_SEED = 7
_NO_IDS = DecisionIds(b"nobody sees these decisions")

ROW_OF_LEVEL: Mapping[str, str] = {
    Level.PRODUCT.value: c.PRODUCT_ROW,
    Level.PRODUCT_TYPE.value: c.TYPE_ROW,
    Level.CATEGORY.value: c.CATEGORY_ROW,
}
_NAME_OF_LEVEL = {
    Level.PRODUCT.value: "product_id",
    Level.PRODUCT_TYPE.value: "product_type",
    Level.CATEGORY.value: "category",
}
_TABLES = {
    Level.PRODUCT.value: ("products", c.PRODUCT_ID, c.PRODUCT_ROW),
    Level.PRODUCT_TYPE.value: ("types", c.PRODUCT_TYPE, c.TYPE_ROW),
    Level.CATEGORY.value: ("categories", c.CATEGORY, c.CATEGORY_ROW),
}


@dataclass(frozen=True)
class ServedBundle:
    """The answers of one bundle (training.backtest.task.Served).

    Attributes
    ----------
    history, moment, bundle
        All that the source knows, the cutoff, and what answers.
    folder
        Where lists are kept.
    fitted
        Gives the models behind the bundle, when somebody asks.
    sample
        At most how many customers are asked; None is all of them.
    """

    history: History
    moment: Moment
    bundle: Bundle
    folder: Path
    fitted: Callable[[], dict[str, Any]] = field(repr=False)  # Any: each task knows the fitted class that it needs
    sample: int | None = None

    @property
    def is_quick(self) -> bool:
        """Return whether only a sample is asked."""
        return self.sample is not None

    @cached_property
    def known(self) -> History:
        """Return what was known at the cutoff."""
        return self.history.until(self.moment)

    @property
    def models(self) -> dict[str, Any]:  # Any: as in `fitted`
        """Return the models behind the answers, by name."""
        return self.fitted()

    @cached_property
    def customers(self) -> IntArray:
        """Return the rows of the customers who are asked, ascending: who had bought before the cutoff."""
        rows = np.sort(
            self.known.features("customers", self.moment, [c.CUSTOMER_ROW])[c.CUSTOMER_ROW].to_numpy(np.int64)
        )
        if self.sample is None or len(rows) <= self.sample:
            return np.asarray(rows, dtype=np.int64)
        return np.sort(np.random.default_rng(SAMPLE_SEED).choice(rows, self.sample, replace=False))

    def recommendations(self, intent: str, level: str, k: int) -> pd.DataFrame:
        """Return `customer_row`, the level's item row, `rank`, `probability` and `personalized` of every list."""
        return self._kept(
            f"recommendations-{intent}-{level}-{k}",
            lambda: self._recommendations(
                BatchJob("recommendations", k=k, intent=intent, level=level, with_rules=False)
            ),
        )

    def also_bought(self, queries: Sequence[Sequence[int]], k: int) -> pd.DataFrame:
        """Return `query` (place in `queries`), `product_row`, `rank` and `score`; nothing is kept."""
        ids = self._products
        asked = {str(place): [ids[int(row)] for row in rows] for place, rows in enumerate(queries) if len(rows)}
        job = BatchJob("also-bought", k=k, with_rules=False)
        rows = self._rows[Level.PRODUCT.value]
        found = [
            (int(query), rows[item["product_id"]], rank, item["score"])
            for query, answer in self._answers(job, asked)
            for rank, item in enumerate(answer["items"], start=1)
        ]
        return _frame(found, {"query": np.int64, c.PRODUCT_ROW: np.int32, "rank": np.int64, "score": np.float64})

    def scores(self) -> pd.DataFrame:
        """Return `customer_row` and the columns of `tercet batch scores`, `categories` as a list of objects."""
        return self._kept("scores", lambda: self._table(BatchJob("scores", k=K_CATEGORIES, with_rules=False)))

    def challenges(self) -> pd.DataFrame:
        """Return `customer_row`, the columns of `tercet batch challenge`, and `counts_row`, three rows a challenge.

        They obey the rules, as a server gives them to somebody of whom it knows no more than the bundle.
        """
        return self._kept("challenges", self._challenges)

    def _recommendations(self, job: BatchJob) -> pd.DataFrame:
        rows, name = self._rows[job.level], _NAME_OF_LEVEL[job.level]
        found = [
            (self._customer_rows[customer], rows[item[name]], rank, item["probability"], answer["personalized"])
            for customer, answer in self._answers(job, self._asked)
            for rank, item in enumerate(answer["items"], start=1)
        ]
        types = {
            c.CUSTOMER_ROW: np.int32,
            ROW_OF_LEVEL[job.level]: np.int32,
            "rank": np.int64,
            "probability": np.float64,
            "personalized": np.bool_,
        }
        return _frame(found, types)

    def _challenges(self) -> pd.DataFrame:
        frame = self._table(BatchJob("challenge"))
        if len(frame):
            pairs = zip(frame["counts_level"], frame["counts_id"], strict=True)
            frame["counts_row"] = np.array([self._rows[level][each] for level, each in pairs], dtype=np.int32)
            frame[c.PRODUCT_ROW] = frame["product_id"].map(self._rows[Level.PRODUCT.value]).astype(np.int32)
        return frame

    def _table(self, job: BatchJob) -> pd.DataFrame:
        """Return the rows of a batch as they are, with the customer's row in place of the id."""
        found = [
            {**row, c.CUSTOMER_ROW: self._customer_rows[customer]}
            for customer, answer in self._answers(job, self._asked)
            for row in rows_of(c.CUSTOMER_ID, customer, answer)
        ]
        return pd.DataFrame(found).drop(columns=[c.CUSTOMER_ID, "decision_id"], errors="ignore")

    def _answers(self, job: BatchJob, asked: Mapping[str, list[str]]) -> Iterator[Answered]:
        engine = Engine(self.bundle, applies_rules=job.with_rules)
        return answers(Ranking(engine, _NO_IDS), job, asked, moment_of(None, self.bundle))

    def _kept(self, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        path = self.folder / (name if self.sample is None else f"{name}-of-{self.sample}")
        found = read_frame(path)
        if found is None:
            write_frame(path, make())
            found = read_frame(path)
        if found is None:
            raise BacktestError(f"{path} can't be read right after it was written: is the disk full or damaged?")
        return found

    @cached_property
    def _products(self) -> dict[int, str]:
        """Return the id of each product row."""
        return {row: name for name, row in self._rows[Level.PRODUCT.value].items()}

    @cached_property
    def _asked(self) -> dict[str, list[str]]:
        """Return the ids of those who are asked, in the order of `customers`: a bundle has rows of its own."""
        everyone = self.history.tables.read("customers", [c.CUSTOMER_ROW, c.CUSTOMER_ID])
        ids = everyone.set_index(c.CUSTOMER_ROW)[c.CUSTOMER_ID]
        return {str(each): [] for each in ids.reindex(pd.Index(self.customers))}

    @cached_property
    def _customer_rows(self) -> dict[str, int]:
        return dict(zip(self._asked, self.customers.tolist(), strict=True))

    @cached_property
    def _rows(self) -> dict[str, dict[str, int]]:
        """Return for every level the row of each id or name."""
        named = {level: self.history.tables.read(table, [name, row]) for level, (table, name, row) in _TABLES.items()}
        return {
            level: dict(zip(frame[_TABLES[level][1]], frame[ROW_OF_LEVEL[level]].tolist(), strict=True))
            for level, frame in named.items()
        }


def _frame(found: list[tuple[Any, ...]], types: Mapping[str, Any]) -> pd.DataFrame:  # Any: cells, and their dtypes
    """Return rows as a frame with these columns, also of no rows."""
    columns = list(zip(*found, strict=True)) or [()] * len(types)
    return pd.DataFrame({name: np.array(cells, dtype=types[name]) for name, cells in zip(types, columns, strict=True)})
