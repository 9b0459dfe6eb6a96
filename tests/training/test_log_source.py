"""The log is a source: what was told as events counts as if it stood in the tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from features import columns as c
from features.sources.synthetic import ShopConfig
from features.tables import TABLE_NAMES
from serving.decisioning.policy import default_policy
from serving.errors import StateUnfit
from serving.state.events import Event, EventType
from serving.state.merging import Identity
from serving.state.shop import State
from serving.state.stock_words import StockWord
from serving.state.store import Commit
from tests.serving.state.memory_store import MemoryStore
from tests.training.told import split_shop, state_of, tell, write_tables
from training import log_source
from training.log_source import told_of, told_under
from training.opening import OpenShop, open_shop

SMALL = ShopConfig(customers=30, weeks=10)


@pytest.fixture(autouse=True)
def _nobody_else_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_source, "SETTLE_SECONDS", 0.0)


def opened(source: Path, home: Path) -> OpenShop:
    return open_shop(str(source), home, None, "duckdb", lambda _: None)


def view(event_id: str, customer: str, at_us: int = 10**15, **values: object) -> Event:
    return Event(event_id, customer, EventType.VIEW, at_us, at_us, **values)  # type: ignore[arg-type] # any field


def test_lines_told_as_events_make_the_tables_that_lines_in_tables_make(tmp_path: Path) -> None:
    whole, earlier, told = split_shop(SMALL, days=14)
    tell(tmp_path / "home", told)
    by_log = opened(write_tables(tmp_path / "earlier", earlier), tmp_path / "home")
    by_table = opened(write_tables(tmp_path / "whole", whole), tmp_path / "other")
    assert by_log.as_of == by_table.as_of
    for name in TABLE_NAMES:
        expected, found = by_table.tables.read(name), by_log.tables.read(name)
        if name == "identities":  # each shop has its own key
            expected, found = (frame.drop(columns=c.VALUE_HASH) for frame in (expected, found))
        pd.testing.assert_frame_equal(found, expected)
    counts = by_log.report.counts_of("log")
    assert counts.read == len(told)
    assert counts.adds_up


def test_what_stands_in_the_table_as_well_counts_once(tmp_path: Path) -> None:
    whole, _, told = split_shop(SMALL, days=14)
    tell(tmp_path / "home", told)
    source = write_tables(tmp_path / "whole", whole)
    twice, once = opened(source, tmp_path / "home"), opened(source, tmp_path / "other")
    for name in ("lines", "returns", "events"):
        pd.testing.assert_frame_equal(twice.tables.read(name), once.tables.read(name))


def test_the_day_on_which_the_log_is_written_is_not_over(tmp_path: Path) -> None:
    _, earlier, told = split_shop(SMALL, days=14)
    source = write_tables(tmp_path / "earlier", earlier)
    before = opened(source, tmp_path / "other").as_of
    latest = max(told, key=lambda event: event.at_us)
    tell(tmp_path / "home", [replace(latest, accepted_us=latest.at_us)])
    as_of = opened(source, tmp_path / "home").as_of
    assert before.day < as_of.day
    assert as_of.us <= latest.at_us < as_of.us + timedelta(days=1) // timedelta(microseconds=1)


def test_without_a_state_nothing_is_added_and_none_is_made(tmp_path: Path) -> None:
    with told_under(tmp_path / "home") as told:
        assert (told.log_until_us, told.additions.events) == (0, None)
    assert not (tmp_path / "home").exists()


def test_every_event_before_the_moment_named_is_there_and_the_file_goes_afterwards(tmp_path: Path) -> None:
    tell(tmp_path, [view("a", "x", 5), view("b", "y", 9)])
    with told_under(tmp_path, settle_seconds=0) as told:
        assert told.log_until_us == 10
        path = told.additions.events
        assert path is not None
        assert sorted(pd.read_parquet(path)[c.EVENT_ID]) == ["a", "b"]
    assert not path.exists()


def test_an_event_that_comes_while_the_log_is_read_waits_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(tmp_path, [view("a", "x", 5)])
    monkeypatch.setattr(log_source.time, "sleep", lambda _: tell(tmp_path, [view("late", "y", 7)]))
    with told_under(tmp_path) as told:
        assert told.log_until_us == 6
        assert pd.read_parquet(told.additions.events)[c.EVENT_ID].tolist() == ["a"]  # type: ignore[arg-type] # is there


def test_the_state_tells_of_merges_consent_stock_and_erasures(tmp_path: Path) -> None:
    tell(tmp_path, [view("a", "guest", 5), view("b", "c", 6), view("e", "gone", 7)])
    with state_of(tmp_path) as state:
        both = [Identity("c", "email", "a@b.cd"), Identity("guest", "email", "A@b.cd ")]
        state.link(both, is_loyal=lambda each: each == "c", now_us=8)
        state.put_consent("guest", {"email": True}, 9)
        state.put_stock([StockWord("p", None, 0.0)])
        state.forget("gone", 10)
    with told_under(tmp_path, settle_seconds=0) as told:
        additions = told.additions
        assert additions.aliases == {"guest": "c"}
        assert additions.consents["c"]["email"] is True
        assert additions.consents["c"]["personalize"] is False
        assert additions.stock == {("p", None): 0.0}
        assert additions.erased_us("gone") == 10
        assert additions.erased_us("c") is None
        assert set(pd.read_parquet(additions.events)[c.CUSTOMER_ID]) == {"c"}  # type: ignore[arg-type] # is there


def test_the_same_state_makes_the_same_tables_again(tmp_path: Path) -> None:
    _, earlier, told = split_shop(SMALL, days=7)
    source = write_tables(tmp_path / "earlier", earlier)
    tell(tmp_path / "home", told[:100])
    first = opened(source, tmp_path / "home").tables.digest
    assert opened(source, tmp_path / "home").tables.digest == first
    tell(tmp_path / "home", told[100:110])
    assert opened(source, tmp_path / "home").tables.digest != first


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("log/anna/e-1", b'{"v":1,"e":["e-1","anna","sold",1,2]}'),
        ("log/anna/e-1", b'{"v":1,"e":["e-1","anna","view","noon",1514894400000000]}'),
        ("stock", b'{"v":1}'),
        ("person/anna", b'{"v":1,"id":"anna","also":7}'),
    ],
)
def test_a_damaged_document_stops_a_training_in_one_line(tmp_path: Path, key: str, value: bytes) -> None:
    store = MemoryStore()
    store.commit(Commit(put={key: value}))

    with pytest.raises(StateUnfit, match=r"^a document of the state is damaged; [^\n]+$"):
        told_of(State(store, b"k" * 32, default_policy().state), tmp_path / "log.parquet", 0.0)
