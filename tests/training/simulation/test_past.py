"""A simulated past as tables: the contract takes every row, and nothing of the truth is in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.conform import prepare
from training.simulation.offers import Offers
from training.simulation.past import Past, write_tables


@pytest.fixture(scope="module")
def folder(past: Past, running: Offers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("past") / "shop"
    write_tables(past, running, where)
    return where


def test_the_contract_takes_every_row(folder: Path, past: Past, tmp_path: Path) -> None:
    prepared = prepare(str(folder), tmp_path, time_zone=past.population.shop.time_zone, progress=lambda _: None)
    assert not (tmp_path / "quarantine").exists() or not list((tmp_path / "quarantine").glob("*.parquet"))
    lines = prepared.tables.read("lines")
    assert len(lines) == len(past.log.lines.customer)
    assert prepared.tables.last_day == past.end_day - 1


def test_offers_of_the_past_and_of_now_are_there(folder: Path, past: Past, running: Offers) -> None:
    offers = pd.read_parquet(folder / "offers.parquet")
    assert len(offers) == past.offers.n + running.n
    assert (offers["cost"] == offers["value"]).all()


def test_events_tell_what_was_sent_and_what_came_of_it(folder: Path, past: Past) -> None:
    events = pd.read_parquet(folder / "events.parquet")
    counts = events["type"].value_counts()
    assert counts["send"] == len(past.log.messages.customer) > counts["open"]
    assert counts["redeem"] == (past.log.lines.offer >= 0).sum() > 0
    assert events["event_id"].is_unique


def test_who_left_has_no_consent_any_more(folder: Path, past: Past) -> None:
    consent = pd.read_parquet(folder / "customers.parquet")["consent"]
    is_reached = np.array(['"email": true' in each for each in consent])
    np.testing.assert_array_equal(is_reached, past.world.is_reached)


def test_no_table_has_what_only_the_simulator_knows(folder: Path) -> None:
    columns = {name for file in folder.glob("*.parquet") for name in pd.read_parquet(file).columns}
    assert not columns & {"receptiveness", "strength", "sticks", "leaves"}
