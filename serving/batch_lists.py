"""Tonight's lists: offers, or the next best action, for many customers, with the budgets shared out by value.

First everybody is weighed, and nothing is kept: what each could be given, the best first, goes to files without a name.
Then the budgets are shared out (serving/list_sharing.py), and what came true is the list. A list that is issued is
decided again customer by customer, as if each had asked, where nothing is left of what others get: so it is promised,
sent and recorded by the same code as any other answer, and what was promised before stands.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from serving.api_codes import ShortfallCode
from serving.batch_tables import Row, schema_of, table_of
from serving.decide_offers import PromiseDecider
from serving.engine import Engine
from serving.list_options import Option, Options, Weigher
from serving.list_sharing import ANY_NUMBER, CHOICE, NO_CLAIM, Allotment, Choices, Claims, keys_of, share_out
from serving.list_tally import Tally
from serving.state.budgets import units_of
from serving.state.holds import Spending

_OPTIONS_A_BLOCK = 8_192
_CUSTOMERS_A_STAGE = 50_000
_ISSUED_AT_ONCE = 32
_ISSUED_A_CHUNK = 1_024

Progress = Callable[[str], None]
Write = Callable[[pa.Table], None]


@dataclass(frozen=True)
class ListMaker:
    """Makes one list; `weigher` says what each customer could be given, `spending` what is gone of budgets.

    Where it does not share budgets, everybody gets what they would get alone.
    """

    kind: str
    k: int
    at: datetime
    engine: Engine
    weigher: Weigher
    spending: Mapping[str, Spending]
    shares_budgets: bool
    progress: Progress

    def write(self, customers: Callable[[], Iterable[str]], folder: Path, write: Write, tally: Tally) -> None:
        """Write the list of all customers, in their order; nothing is kept. `folder` is for what is written between."""
        with Claims(folder) as claims, tempfile.TemporaryFile(dir=folder) as file:
            with pq.ParquetWriter(file, schema_of(self.kind)) as drafts:
                self._weigh(customers(), claims, drafts.write_table, tally)
            allotment = self._shared(claims, tally)
            self.progress("write")
            read = pq.ParquetFile(file)
            for place, block in enumerate(claims.blocks()):
                chosen = allotment.chosen(block)
                table = self._final(read.read_row_group(place).filter(pa.array(chosen)), block[chosen])
                tally.add(table, block[chosen]["row"])
                write(table)

    def issue(
        self,
        customers: Callable[[], Iterable[str]],
        folder: Path,
        write: Write,
        tally: Tally,
        *,
        decider: PromiseDecider,
    ) -> None:
        """Write the list as it is promised and sent, customer by customer: all in it is durable when this returns."""
        with Claims(folder) as claims:
            self._weigh(customers(), claims, lambda _table: None, tally)
            allotment = self._shared(claims, tally)
            asked = zip(customers(), self._turns(claims, allotment), strict=False)
            self.progress("promise")
            waiting: list[Row] = []
            rows: list[int] = []
            # What is promised waits for the disk: commits that wait together share one flush.
            with ThreadPoolExecutor(_ISSUED_AT_ONCE) as pool:
                n_done = 0
                while chunk := list(islice(asked, _ISSUED_A_CHUNK)):
                    for turn, found in zip(
                        chunk, pool.map(lambda each: self._issued(decider, each), chunk), strict=True
                    ):
                        waiting += found
                        rows += [turn[1].row] * len(found)
                    n_done += len(chunk)
                    if len(waiting) >= _OPTIONS_A_BLOCK:
                        self._flush(waiting, rows, write, tally)
                        waiting, rows = [], []
                    self._tell(n_done, "promised")
            self._flush(waiting, rows, write, tally)

    def _issued(self, decider: PromiseDecider, asked: tuple[str, _Turn]) -> list[Row]:
        customer_id, turn = asked
        request = self.weigher.request(customer_id, turn.what)
        if request is None:
            return []
        answer = decider.issue(request, self.at, turn.refused)
        return self.weigher.rows(customer_id, request, answer)

    def _flush(self, waiting: list[Row], rows: list[int], write: Write, tally: Tally) -> None:
        table = table_of(waiting, schema_of(self.kind))
        tally.add(table, np.array(rows, dtype=np.int32))
        write(table)

    def _weigh(self, customers: Iterable[str], claims: Claims, draft: Write, tally: Tally) -> None:
        """Weigh every customer: choices to the claims, their rows to the draft, block by block of the same length."""
        offers = {offer_id: place for place, offer_id in enumerate(self.engine.budgets)}
        schema = schema_of(self.kind)
        waiting: list[tuple[int, Options, Option]] = []
        self.progress("weigh")
        for serial, customer_id in enumerate(customers):
            options = self.weigher.options(customer_id)
            tally.note(options)
            waiting += ((serial, options, each) for each in options.found)
            if len(waiting) >= _OPTIONS_A_BLOCK:
                claims.add(_block(waiting, offers))
                draft(table_of([each.row for _, _, each in waiting], schema))
                waiting = []
            self._tell(serial + 1, "weighed")
        if waiting:
            claims.add(_block(waiting, offers))
            draft(table_of([each.row for _, _, each in waiting], schema))

    def _tell(self, n_done: int, what: str) -> None:
        if n_done % _CUSTOMERS_A_STAGE == 0:
            self.progress(f"{n_done:,} {what}")

    def _shared(self, claims: Claims, tally: Tally) -> Allotment:
        """Return the allotment of the budgets as they are left: every claim reserves the offer's cost."""
        self.progress("share budgets out")
        places = [self._places(offer_id, budget) for offer_id, budget in self.engine.budgets.items()]
        allotment = share_out(claims, np.array(places, dtype=np.int64), self.k)
        names = list(self.engine.budgets)
        for block in claims.blocks():
            tally.lose(names, block, allotment)
        return allotment

    def _places(self, offer_id: str, budget: float) -> int:
        cost = units_of(self.engine.offer_cost(offer_id) or 0.0)
        left = units_of(budget) - units_of(self.spending.get(offer_id, Spending()).gone)
        return max(left // cost, 0) if cost > 0 and self.shares_budgets else ANY_NUMBER

    def _final(self, table: pa.Table, block: Choices) -> pa.Table:
        """Return the rows that came true, with their ranks and what their customers go short of."""
        if self.kind != "offers" or not len(block):
            return table
        starts = np.flatnonzero(np.diff(block["customer"].astype(np.int64), prepend=-1))
        n_each = np.diff(np.append(starts, len(block)))
        ranks = np.arange(len(block)) - np.repeat(starts, n_each) + 1
        n_given = np.repeat(n_each, n_each)
        n_offers = len(self.engine.bundle.offers.id)
        codes = (ShortfallCode.OFFERS_WITHHELD, ShortfallCode.NO_OFFERS)
        short = [codes[given == n_offers] if given < self.k else None for given in n_given.tolist()]
        columns: dict[str, list[Any]] = {  # Any: values of a column's own type
            "rank": ranks.tolist(),
            "shortfall_code": [None if each is None else each.value for each in short],
            "shortfall_text": [None if each is None else each.explanation for each in short],
        }
        for name, values in columns.items():
            place = table.schema.get_field_index(name)
            field = table.schema.field(place)
            table = table.set_column(place, field, pa.array(values, field.type))
        return table

    def _turns(self, claims: Claims, allotment: Allotment) -> Iterator[_Turn]:
        """Yield every customer's turn, in their order and without end: who could be given nothing gets an empty one."""
        names = list(self.engine.budgets)
        serial = 0
        for block in claims.blocks():
            chosen = allotment.chosen(block)
            ends = np.flatnonzero(np.diff(block["customer"].astype(np.int64), append=-1)) + 1
            begin = 0
            for end in ends.tolist():
                whose = int(block["customer"][begin])
                yield from (_Turn() for _ in range(whose - serial))
                yield _turn(block[begin:end], chosen[begin:end], names)
                serial, begin = whose + 1, end
        while True:
            yield _Turn()


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one customer is to be given: of what kind, and which offers they don't get; `what` -1: nothing."""

    row: int = -1
    what: int = -1
    refused: frozenset[str] = frozenset()


def _turn(block: Choices, chosen: npt.NDArray[np.bool_], names: list[str]) -> _Turn:
    given = np.flatnonzero(chosen)
    first = int(given[0]) if len(given) else 0
    lost = block["claim"][~chosen & (block["claim"] != NO_CLAIM)]
    what = int(block["what"][first])
    return _Turn(int(block["row"][0]), what, frozenset(names[place] for place in lost.tolist()))


def _block(waiting: list[tuple[int, Options, Option]], offers: Mapping[str, int]) -> Choices:
    """Return choices as the claims' file has them; ties between customers fall by a hash, not by their order."""
    block = np.zeros(len(waiting), dtype=CHOICE)
    block["customer"] = [serial for serial, _, _ in waiting]
    block["row"] = [options.row for _, options, _ in waiting]
    block["what"] = [option.what for _, _, option in waiting]
    block["claim"] = [NO_CLAIM if option.claim is None else offers[option.claim] for _, _, option in waiting]
    values = np.array([option.value for _, _, option in waiting], dtype=np.float32)
    ties = np.array([_tie(options.customer_id, option.claim) for _, options, option in waiting], dtype=np.uint32)
    block["key"] = keys_of(values, ties)
    return block


def _tie(customer_id: str, offer_id: str | None) -> int:
    if offer_id is None:
        return 0
    return int.from_bytes(blake2b(f"{offer_id}\n{customer_id}".encode(), digest_size=4).digest(), "little")
