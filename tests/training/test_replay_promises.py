"""Offers, actions and merchants' rules decided anew: by what was known then, as far as the record says it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import pytest

from serving.api import RecommendationsRequest, Request
from serving.api_actions import ActionsRequest
from serving.api_codes import Intent
from serving.api_offer_codes import Trigger
from serving.api_offers import OffersRequest
from serving.arms import ExperimentEngine
from serving.bundle import open_bundle, write_bundle
from serving.champion import write_champion
from serving.channels import Channel
from serving.decide import Decider
from serving.decisioning.policy import default_policy_text, with_values
from serving.experiments_toml import default_experiments
from serving.live import epoch_us
from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.events import Event, EventType
from serving.state.holds import Hold
from serving.state.known import Live, WithheldItem
from serving.state.stock_words import StockWord
from serving.state_home import open_state
from tests.serving.tiny import AS_OF, tiny_contents
from training.replay import ReplayJob, known_then, replay

NOW = AS_OF + timedelta(days=1, hours=10)
VALUES: dict[str, str | float | bool] = {
    "shop.time_zone": "America/New_York",
    "consent.email": True,
    "offers.min_expected_value": -100.0,
}
REQUESTS: tuple[Request, ...] = (
    *(OffersRequest(customer_id=each, channel=Channel.WEB, k=3) for each in ("anna", "cleo", "emil", "fay")),
    OffersRequest(customer_id="anna", channel=Channel.EMAIL, k=2),
    ActionsRequest(customer_id="anna", trigger=Trigger.CART, channel=Channel.WEB),
    ActionsRequest(customer_id="cleo", trigger=Trigger.CHURN_RISK),
    ActionsRequest(customer_id="anna", trigger=Trigger.REPLENISH, channel=Channel.EMAIL),
    ActionsRequest(customer_id="anna", trigger=Trigger.BACK_IN_STOCK, channel=Channel.EMAIL),
    ActionsRequest(customer_id="anna", trigger=Trigger.CART, channel=Channel.EMAIL),
    RecommendationsRequest(customer_id="anna", intent=Intent.DISCOVER, k=2, placement="home"),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the home of a shop that gave offers and actions on one day, when House Coffee was sold out."""
    home = tmp_path_factory.mktemp("promised")
    version = write_bundle(tiny_contents(policy=VALUES), home / "bundles")
    write_champion(home, version)
    engine = ExperimentEngine(open_bundle(home / "bundles" / version), default_experiments())
    opened = open_state("file", home)
    at_us = epoch_us(NOW - timedelta(hours=2))
    wants = [Event("e1", "anna", EventType.CART, at_us, at_us, "brie-1", channel="web")]
    opened.state.accept(wants, may_keep=lambda _live: True, kind_of=engine.kinds)
    opened.state.put_stock([StockWord("coffee-1", None, 0.0)])
    decider = Decider(engine, opened, opened.ids)
    for i, request in enumerate(REQUESTS):
        decider.decide(request, NOW + timedelta(seconds=i))
    opened.close()
    return home


def report(home: Path, tmp_path: Path, rules: str = "", values: Mapping[str, float] = MappingProxyType({})) -> str:
    path = tmp_path / "other.toml"
    path.write_text(with_values(default_policy_text(), {**VALUES, **values}) + rules)
    return replay(home, ReplayJob(path), lambda _stage: None)


def cells(text: str, call: str) -> list[str]:
    """Return the cells of a call's row in the first table."""
    line = next(each for each in text.split("\n\n")[1].splitlines() if each.startswith(call))
    return [each.strip() for each in line.split("  ") if each.strip()][1:]


def test_the_same_policy_gives_what_was_given_although_stock_and_holds_have_changed(home: Path, tmp_path: Path) -> None:
    text = report(home, tmp_path)
    for call, n in (("offers", "5"), ("actions", "5"), ("recommendations", "1")):
        assert cells(text, call)[:4] == [n, "100.0%", "0.0%", "0.0%"]
    assert "- nothing: it is the same policy" in text


def test_a_message_that_was_to_go_out_later_counts_as_it_did_then(home: Path, tmp_path: Path) -> None:
    text = report(home, tmp_path)
    assert cells(text, "actions")[-1] == "0.2000 → 0.2000"  # one of five, after which the cap was reached
    capped = next(each for each in text.splitlines() if "cap_reached" in each).split()
    assert capped[:3] == ["actions", "cap_reached", "1"]


def test_a_policy_that_asks_more_of_offers_gives_fewer_and_says_why(home: Path, tmp_path: Path) -> None:
    text = report(home, tmp_path, values={"offers.min_relevance": 1.0})
    _n, _as_recorded, changed, _items, value, *_ = cells(text, "offers")
    assert changed == "100.0%"
    own, other = (float(each) for each in value.split(" → "))
    assert own != 0.0
    assert other == 0.0
    assert "- offers.min_relevance: 0.05 → 1.0" in text
    withheld = next(each for each in text.splitlines() if "worth_nothing" in each).split()
    assert int(withheld[2].replace(",", "")) < int(withheld[3].replace(",", ""))
    assert "gives" in text
    assert "nothing" in text


def test_a_ban_is_seen_in_what_goes_out(home: Path, tmp_path: Path) -> None:
    text = report(home, tmp_path, "\n[[bans]]\nproducts = ['salad-1']\nplacements = ['home']\n")
    assert cells(text, "recommendations")[2] == "100.0%"
    assert cells(text, "offers")[2] == "0.0%"
    line = next(each for each in text.splitlines() if each.startswith("salad-1 Mixed Salad"))
    assert line.split()[-2:] == ["0", "1"]
    assert "- bans: with 1 rule" in text


def test_what_was_known_then_is_what_the_record_says() -> None:
    holds = (Hold("o-1", 1.0, 100, 900), Hold("o-2", 1.0, 500, 900), Hold("o-3", 1.0, 100, 400))
    withheld = (
        WithheldItem("sold-out", "out_of_stock"),
        WithheldItem("dull", "just_bought"),
        WithheldItem(None, "budget_spent", "o-4"),
        WithheldItem(None, "out_of_stock", "o-5"),
    )
    part = DecisionPart("anna", ({"product_id": "there"},), withheld)
    record = DecisionRecord("d", "offers", 500, "v", (part,))
    known = known_then(Live("anna", holds=holds), record, part)
    assert known.stock.available == {("sold-out", None): 0.0, ("there", None): float("inf")}
    assert [each.offer_id for each in known.live.holds] == ["o-1"]
    assert list(known.spending) == ["o-4"]
