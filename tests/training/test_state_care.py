"""What a training does for the state: erasures first, then merged ids and what is older than the policy keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.tables import TableSet
from serving.bundle import open_bundle, write_bundle
from serving.champion import read_champion, write_champion
from serving.state.events import Event, EventType
from tests.features.tiny import line, write_tables
from tests.serving.tiny import tiny_contents
from tests.training.told import state_of, tell
from training.state_care import carry_out_erasures, tend_state

DAY_US = 86_400_000_000


@pytest.fixture
def tables(tmp_path: Path) -> TableSet:
    """Ann, as whom `guest` is known as well by an identity of the source."""
    customers = [{"customer_row": 0, "customer_id": "ann"}]
    return write_tables(
        tmp_path / "t", [line(0, 0)], customers=customers, aliases=[{"customer_row": 0, "customer_id": "guest"}]
    )


def view(event_id: str, customer_id: str, at_us: int) -> Event:
    return Event(event_id, customer_id, EventType.VIEW, at_us, at_us)


def tend(home: Path, tables: TableSet) -> None:
    tend_state(home, "file", tables, as_of_us=5 * DAY_US)


def test_ids_that_the_tables_have_merged_are_one_in_the_state(tmp_path: Path, tables: TableSet) -> None:
    tell(tmp_path, [view("e1", "guest", 10), view("e2", "ann", 20)])
    tend(tmp_path, tables)
    tend(tmp_path, tables)
    with state_of(tmp_path) as state:
        assert state.resolve("guest") == "ann"
        assert [event.event_id for event in state.live("guest").events] == ["e1", "e2"]


def test_a_shop_without_a_state_gets_one_only_for_merged_ids(tmp_path: Path, tables: TableSet) -> None:
    alone = write_tables(tmp_path / "alone", [line(0, 0)])
    tend(tmp_path / "a", alone)
    assert not (tmp_path / "a").exists()
    tend(tmp_path / "b", tables)
    with state_of(tmp_path / "b") as state:
        assert state.aliases() == {"guest": "ann"}


def test_what_is_older_than_the_policy_keeps_is_dropped_by_the_logs_own_clock(tmp_path: Path, tables: TableSet) -> None:
    late_us = 1000 * DAY_US
    tell(tmp_path, [view("old", "x", 1), view("new", "x", 200 * DAY_US)])
    tend(tmp_path, tables)
    with state_of(tmp_path) as state:
        assert len(list(state.log())) == 2
    tell(tmp_path, [view("newer", "x", late_us)])
    tend(tmp_path, tables)
    with state_of(tmp_path) as state:
        assert [event.event_id for event in state.log()] == ["newer"]


def test_whoever_asked_is_erased_before_a_training(tmp_path: Path) -> None:
    write_champion(tmp_path, write_bundle(tiny_contents(), tmp_path / "bundles"))
    with state_of(tmp_path) as state:
        state.forget("anna", 10)
    said: list[str] = []
    carry_out_erasures(tmp_path, "file", said.append)
    assert said == ["erase 1 ids of customers who asked for it"]
    assert "anna" not in list(open_bundle(tmp_path / "bundles" / str(read_champion(tmp_path))).customers.id)
    with state_of(tmp_path) as state:
        assert not state.erased().pending


def test_where_nobody_asked_nothing_is_made(tmp_path: Path) -> None:
    carry_out_erasures(tmp_path / "home", "file", lambda _: None)
    assert not (tmp_path / "home").exists()
