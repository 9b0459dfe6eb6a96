"""From a shop's state to its bundles and back: what was told is learned, and who asks to be forgotten is nowhere."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from features.sources.synthetic import ShopConfig
from features.tables import TableSet
from serving.api import ChallengeRequest, RecommendationsRequest, ScoresRequest
from serving.bundle import Bundle, open_bundle
from serving.bundle_fields import flatten
from serving.champion import read_champion
from serving.engine import Engine
from serving.shares import Shares
from serving.state.events import Event, EventType
from serving.state.merging import Identity
from tests.places import places_with
from tests.training.told import split_shop, state_of, tell, write_tables
from training import cli
from training.state_care import carry_out_erasures

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ANNA, EMAIL = "anna-11", "anna-11@example.com"  # neither can stand in a hash by chance, as "c00011" might
DAY_US = 86_400_000_000
SHOP = ShopConfig(customers=60, weeks=20)


def tercet(*arguments: str) -> int:
    return cli.run(list(arguments))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[Event]]:
    """The whole shop, the shop without its last two weeks, and these as events; one row of Anna's is bad."""
    folder = tmp_path_factory.mktemp("sources")
    whole, earlier, told = split_shop(SHOP, days=14)
    for tables in (whole, earlier):
        for name in ("transactions", "events", "customers", "identities"):
            tables[name] = tables[name].replace({"customer_id": {"c00011": ANNA}})
    told = [replace(each, customer_id=ANNA) if each.customer_id == "c00011" else each for each in told]
    emails = pd.DataFrame({"customer_id": [ANNA], "kind": ["email"], "value": [EMAIL]})
    for tables in (whole, earlier):
        tables["identities"] = pd.concat([tables["identities"], emails], ignore_index=True)
        bad = tables["transactions"][tables["transactions"]["customer_id"] == ANNA].head(1).assign(product_id=None)
        tables["transactions"] = pd.concat([tables["transactions"], bad], ignore_index=True)
    return write_tables(folder / "whole", whole), write_tables(folder / "earlier", earlier), told


@pytest.fixture(scope="module")
def told_home(sources: tuple[Path, Path, list[Event]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose shop was told of the last two weeks, with a bundle that was trained on them."""
    home = tmp_path_factory.mktemp("told")
    tell(home, sources[2])
    assert tercet("train", str(sources[1]), "--quick", "--home", str(home)) == 0
    return home


def only_bundle(home: Path) -> Bundle:
    (folder,) = (home / "bundles").iterdir()
    return open_bundle(folder)


def test_the_bundle_equals_the_one_from_the_same_lines_in_the_tables(
    sources: tuple[Path, Path, list[Event]], told_home: Path, tmp_path: Path
) -> None:
    assert tercet("train", str(sources[0]), "--quick", "--home", str(tmp_path)) == 0
    told, table = only_bundle(told_home), only_bundle(tmp_path)
    assert told.manifest.metrics == table.manifest.metrics
    assert told.manifest.as_of == table.manifest.as_of
    for (name, found), (_, expected) in zip(flatten(told), flatten(table), strict=True):
        if isinstance(found, Shares):
            np.testing.assert_array_equal(found.codes, expected.codes, err_msg=name)
        elif isinstance(found, np.ndarray):
            np.testing.assert_array_equal(found, expected, err_msg=name)
        else:
            assert list(found) == list(expected), name
    assert (told.manifest.log_until_us, table.manifest.log_until_us) == (sources[2][0].accepted_us + 1, 0)
    assert answers(told) == answers(table)


def answers(bundle: Bundle) -> list[dict[str, Any]]:  # Any: answers as the engine gives them
    engine, at = Engine(bundle), bundle.manifest.as_of
    found: list[Any] = []
    for customer_id in list(bundle.customers.id)[:20]:
        found.append(engine.challenge(ChallengeRequest(customer_id=customer_id), at, "d"))
        found.append(engine.recommendations(RecommendationsRequest(customer_id=customer_id), at, "d"))
    found.append(engine.scores(ScoresRequest(customer_ids=list(bundle.customers.id)[:20]), at, "d"))
    return [{name: value for name, value in each.items() if name != "model_version"} for each in found]


@pytest.fixture
def full_home(told_home: Path, tmp_path: Path) -> Path:
    """A copy of the home in which Anna is wherever a customer can be."""
    home = Path(shutil.copytree(told_home, tmp_path / "home"))
    with state_of(home) as state:
        both = [Identity(ANNA, "email", EMAIL), Identity("guest-7f3a", "email", EMAIL)]
        state.link(both, is_loyal=lambda each: each == ANNA, now_us=1)
        state.put_consent(ANNA, {"personalize": True}, 2)
    tell(home, [Event("g1", "guest-7f3a", EventType.VIEW, 10**15, 10**15, value=EMAIL)])
    assert tercet("batch", "recommendations", "--out", str(tmp_path / "out.parquet"), "--home", str(home)) == 0
    return home


def test_after_erase_a_search_finds_them_nowhere(
    full_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traces = [ANNA, EMAIL, "guest-7f3a"]
    roots = [full_home, tmp_path]
    kinds = {place.split("/")[0] for place in places_with([full_home], traces)}
    assert kinds == {"bundles", "features", "quarantine", "state"}
    assert "out.parquet" in places_with(roots, traces)
    before = str(read_champion(full_home))
    capsys.readouterr()

    assert tercet("erase", "--identity", f"email:{EMAIL}", "--home", str(full_home)) == 0

    receipt = capsys.readouterr().out
    assert places_with(roots, traces) == []
    after = str(read_champion(full_home))
    assert f"{before} is now {after}" in receipt
    assert not any(trace in receipt for trace in traces)
    assert len(open_bundle(full_home / "bundles" / after).customers.id) == SHOP.customers - 1


def test_earlier_rows_stay_out_and_later_ones_count(
    sources: tuple[Path, Path, list[Event]], full_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last_us = max(event.at_us for event in sources[2])
    asked_us = last_us - 7 * DAY_US
    bought = next(event for event in sources[2] if event.type is EventType.PURCHASE)
    with state_of(full_home) as state:
        state.forget(ANNA, asked_us)  # over the API
    tell(full_home, [replace(bought, event_id="back", customer_id=ANNA, at_us=last_us - DAY_US)])
    carry_out_erasures(full_home, "file", lambda _: None)
    capsys.readouterr()

    assert tercet("check", str(sources[1]), "--home", str(full_home)) == 0

    assert "earlier rows of customers who were erased" in capsys.readouterr().out
    (folder,) = (full_home / "features" / "tables").iterdir()
    tables = TableSet.load(folder)
    customers = tables.read("customers").set_index(c.CUSTOMER_ID)[c.CUSTOMER_ROW]
    lines = tables.read("lines")
    mine = lines.loc[lines[c.CUSTOMER_ROW] == customers[ANNA], c.ORDERED_US]
    assert mine.min() > asked_us
    assert last_us - DAY_US in mine.tolist()
    assert ANNA not in list(only_bundle(full_home).customers.id)
    assert lines[c.CUSTOMER_ROW].nunique() == SHOP.customers
