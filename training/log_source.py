"""The shop's own state as a source: what `tercet train` and its kin fold into the tables of the retailer."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from features import columns as c
from features.additions import Additions
from serving.decision_ids import home_key
from serving.errors import StateUnfit
from serving.state.codec import MISSHAPEN
from serving.state.events import Event
from serving.state.keys import Hashes
from serving.state.opening import FILE
from serving.state.shop import State
from serving.state.store import DAMAGED
from serving.state_home import OpenState, open_state

SETTLE_SECONDS = 2.0
"""An event is durable at most so long after the moment that it is stamped with (`serving/state/committer.py`)."""

_ROWS_A_GROUP = 100_000
_TEXTS = (
    *(c.EVENT_ID, c.CUSTOMER_ID, c.TYPE, c.PRODUCT_ID, c.ORDER_ID, c.STORE_ID, c.OFFER_ID, c.DECISION_ID),
    *(c.CHANNEL, c.VALUE),
)
_NUMBERS = (c.QUANTITY, c.AMOUNT, c.DISCOUNT)
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _TEXTS),
        *((name, pa.float64()) for name in _NUMBERS),
        (c.AT, pa.timestamp("us")),
    ]
)


@dataclass(frozen=True)
class Told:
    """What the state adds to a source; every event accepted before `log_until_us` is in it (0: there is no log)."""

    additions: Additions
    log_until_us: int = 0


@contextmanager
def told_under(home: Path, url: str = FILE, *, settle_seconds: float | None = None) -> Iterator[Told]:
    """Give what the shop's state adds to a source; the log's file is gone afterwards.

    A shop that has no state yet adds nothing, and none is made for it. StateUnavailable when there is one, and it can't
    be read: without it, whoever was erased would come back.
    """
    opened = open_if_there(home, url)
    if opened is None:
        yield Told(Additions(hash_of_identity=lambda kind, value: Hashes(home_key(home)).identity_name(kind, value)))
        return
    # What a run that was killed leaves there is removed by a later one (features.conform), or by an erasure.
    work = home / "features" / "tables" / f".building-{uuid4().hex}"
    try:
        yield told_of(opened.state, work / "log.parquet", SETTLE_SECONDS if settle_seconds is None else settle_seconds)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        opened.close()


def open_if_there(home: Path, url: str = FILE) -> OpenState | None:
    """Return the shop's state, None where it keeps none yet: reading makes nothing."""
    if url == FILE and not (home / "state" / "state.db").is_file():
        return None
    return open_state(url, home)


def told_of(state: State, place: Path, settle_seconds: float) -> Told:
    """Return what a state adds, its log written to `place`; StateUnfit where a document of it is damaged."""
    try:
        return _told(state, place, settle_seconds)
    except MISSHAPEN as error:
        raise StateUnfit(DAMAGED) from error


def _told(state: State, place: Path, settle_seconds: float) -> Told:
    until_us = _settled_until(state, settle_seconds)
    erased = state.erased()
    if until_us:
        place.parent.mkdir(parents=True, exist_ok=True)
        _write_log((event for event in state.log() if event.accepted_us < until_us), place)
    additions = Additions(
        events=place if until_us else None,
        aliases=state.aliases(),
        consents=state.consents(),
        stock=state.stock().available,
        erased=erased.moments,
        hash_of=erased.hashes.erased_key,
        hash_of_identity=erased.hashes.identity_name,
    )
    return Told(additions, until_us)


def _settled_until(state: State, settle_seconds: float) -> int:
    """Return a moment before which every accepted event can be read by now, 0 where there are none.

    Of two workers, the one that stamped an event first may be the last to have written it.
    """
    latest_us = max((event.accepted_us for event in state.log()), default=-1)
    if latest_us >= 0:
        time.sleep(settle_seconds)
    return latest_us + 1


def _write_log(events: Iterator[Event], place: Path) -> None:
    with pq.ParquetWriter(place, _SCHEMA, compression="zstd") as writer:
        rows: list[Event] = []
        for event in events:
            rows.append(event)
            if len(rows) == _ROWS_A_GROUP:
                writer.write_table(_table_of(rows))
                rows = []
        writer.write_table(_table_of(rows))


def _table_of(events: list[Event]) -> pa.Table:
    columns = {name: [getattr(event, name) for event in events] for name in (*_TEXTS, *_NUMBERS)}
    columns[c.TYPE] = [event.type.value for event in events]
    columns[c.AT] = [event.at_us for event in events]
    return pa.table(columns, schema=_SCHEMA)
