"""A shop whose last weeks were told as events, and the same shop with these lines in its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from features.sources.synthetic import ShopConfig, make_shop
from serving.state.events import Event, EventType
from serving.state.shop import State
from serving.state_home import open_state

ACCEPTED_LATER_US = 3 * 86_400_000_000


@contextmanager
def state_of(home: Path) -> Iterator[State]:
    opened = open_state("file", home)
    try:
        yield opened.state
    finally:
        opened.close()


def tell(home: Path, events: Sequence[Event], at_once: int = 500) -> None:
    """Let the state of a home accept the events, whoever they are from."""
    with state_of(home) as state:
        for first in range(0, len(events), at_once):
            state.accept(events[first : first + at_once], may_keep=lambda live: True, kind_of=lambda product: None)


def write_tables(folder: Path, tables: dict[str, pd.DataFrame]) -> Path:
    folder.mkdir(parents=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
    return folder


def split_shop(config: ShopConfig, days: int) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame], list[Event]]:
    """Return the tables with all lines, those without the lines and events of the last days, and these as events."""
    tables = dict(make_shop(config).tables)
    lines = tables["transactions"].drop_duplicates().reset_index(drop=True)
    cut = lines["ordered_at"].max() - pd.Timedelta(days=days)
    is_told, is_heard = lines["ordered_at"] > cut, tables["events"]["at"] > cut
    accepted_us = _us(lines["ordered_at"].max()) + ACCEPTED_LATER_US
    sold = lines[is_told].rename(columns={"ordered_at": "at"}).assign(type="purchase")
    sold["event_id"] = [f"sold-{i}" for i in range(len(sold))]
    # The table's own purchase events tell of lines that stand in transactions, and so are told already.
    told = pd.concat([sold, tables["events"][is_heard & (tables["events"]["type"] != "purchase")]])
    earlier = tables | {"transactions": lines[~is_told], "events": tables["events"][~is_heard]}
    # In no order: late ones among early ones.
    told = told.sample(frac=1, random_state=1)
    return tables | {"transactions": lines}, earlier, [_event(row, accepted_us) for row in told.to_dict("records")]


def _event(row: dict[str, object], accepted_us: int) -> Event:
    given = {
        name: row[name]
        for name in ("product_id", "order_id", "quantity", "amount", "discount", "store_id", "offer_id", "channel")
        if name in row and not pd.isna(row[name])
    }
    return Event(
        str(row["event_id"]), str(row["customer_id"]), EventType(str(row["type"])), _us(row["at"]), accepted_us, **given
    )  # type: ignore[arg-type] # a row's values are of the columns' types


def _us(moment: object) -> int:
    return int(pd.Timestamp(moment).value) // 1000  # type: ignore[arg-type] # a moment of a table
