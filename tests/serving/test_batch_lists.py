"""Tonight's lists: the engine's answers, budgets by value, nothing twice, and a summary beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from serving.api_actions import ActionsRequest
from serving.api_offers import OffersRequest
from serving.arms import ExperimentEngine
from serving.batch import BatchJob, write_batch
from serving.batch_tables import schema_of
from serving.bundle import Bundle, BundleContents, open_bundle, write_bundle
from serving.champion import write_champion
from serving.channels import Channel
from serving.decide import Decider
from serving.errors import BatchError
from serving.experiments_file import read_experiments
from serving.live import epoch_us
from serving.state.events import EventType
from serving.state_home import OpenState, open_state
from tests.serving.big_bundle import big_contents
from tests.serving.tiny import AS_OF, CUSTOMERS, Rows, tiny_contents
from tests.serving.tiny_offers import OFFERS, offer_groups

POLICY = {"consent.email": True}
AT: Any = AS_OF.isoformat()  # Any: text, as JSON has it


@dataclass
class Shop:
    home: Path
    bundle: Bundle
    opened: OpenState

    def run(self, job: BatchJob, customers: Path | None = None) -> list[dict[str, Any]]:
        out = self.home / "lists" / f"{job.kind}.parquet"
        n_rows = write_batch(self.home, job, out, customers, lambda _stage: None)
        table = pq.read_table(out)
        assert table.num_rows == n_rows
        assert table.schema.names == schema_of(job.kind).names
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows

    @property
    def decider(self) -> Decider:
        return Decider(ExperimentEngine(self.bundle, read_experiments(self.home)), self.opened, self.opened.ids)

    def summary(self, kind: str) -> str:
        return (self.home / "lists" / f"{kind}.parquet.summary.html").read_text()

    def gone(self) -> dict[str, float]:
        budgets = list(self.bundle.offers.id)
        found = self.opened.state.spending(budgets, at_us=epoch_us(AS_OF))
        return {offer_id: spending.gone for offer_id, spending in found.items() if spending.gone}


def shop_of(home: Path, contents: BundleContents) -> Shop:
    version = write_bundle(contents, home / "bundles")
    write_champion(home, version)
    return Shop(home, open_bundle(home / "bundles" / version), open_state("file", home))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    # Here every budget is enough for all.
    rich = {name: replace(offer, budget=offer.budget * 100) for name, offer in OFFERS.items()}
    shop = shop_of(tmp_path, tiny_contents(POLICY, **offer_groups(Rows(), rich)))
    yield shop
    shop.opened.close()


def scarce(n_customers: int, places: int) -> BundleContents:
    """Return a shop of one offer with money for so many, which everybody might get."""
    contents = big_contents(n_customers, 3, seed=4)
    offers = contents.offers
    budget = np.array([offers.cost[0] * places + offers.cost[0] / 2, np.nan, np.nan], dtype="<f4")
    return replace(contents, offers=replace(offers, budget=budget))


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Shop]:
    shop = shop_of(tmp_path, scarce(n_customers=70, places=5))
    yield shop
    shop.opened.close()


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "decision_id" and value is not None}


def test_a_list_of_offers_is_what_the_server_answers(shop: Shop) -> None:
    rows = shop.run(BatchJob("offers", k=2, channel="email"))
    assert {row["customer_id"] for row in rows} <= set(CUSTOMERS)
    for customer in CUSTOMERS:
        request = OffersRequest(customer_id=customer, channel=Channel.EMAIL, k=2, at=AT, dry_run=True)
        answer = shop.decider.decide(request, AS_OF)
        mine = [row for row in rows if row["customer_id"] == customer]
        if not answer["personalized"]:
            assert not mine  # nothing that is sent to them could be counted
            continue
        assert [row["offer_id"] for row in mine] == [offer["offer_id"] for offer in answer["offers"]]
        assert [row["rank"] for row in mine] == list(range(1, len(mine) + 1))
        for row, offer in zip(mine, answer["offers"], strict=True):
            assert {row[name] == offer[name] for name in ("expected_value", "valid_to", "product_ids")} == {True}
            assert row["shortfall_code"] == answer.get("shortfall", {}).get("code")


def test_a_list_of_actions_is_the_best_of_what_the_server_answers(shop: Shop) -> None:
    rows = {row["customer_id"]: row for row in shop.run(BatchJob("actions"))}
    for customer in CUSTOMERS:
        answers = [
            shop.decider.decide(ActionsRequest(customer_id=customer, trigger=trigger, at=AT, dry_run=True), AS_OF)
            for trigger in ExperimentEngine(shop.bundle, read_experiments(shop.home)).true_triggers(customer, AS_OF)
        ]
        worth = [
            (answer.get("offer") or answer["worth"])["expected_value"] for answer in answers if answer["kind"] != "none"
        ]
        assert (customer in rows) == bool(worth)
        if worth:
            mine = rows[customer]
            assert max(worth) == mine["offer_expected_value" if mine["offer_offer_id"] else "worth_expected_value"]
            assert mine["subject"]


def test_budgets_go_to_those_from_whom_most_is_expected(crowded: Shop) -> None:
    alone = crowded.run(BatchJob("offers", k=3, channel="web", with_rules=False))
    contested = "offer-000"
    rows = crowded.run(BatchJob("offers", k=3, channel="web"))
    got = {row["customer_id"]: row["expected_value"] for row in rows if row["offer_id"] == contested}
    assert len(got) == 5
    engine = crowded.decider
    wanted: dict[str, float] = {}
    for customer in {row["customer_id"] for row in alone}:
        request = OffersRequest(customer_id=customer, channel=Channel.WEB, k=3, at=AT, dry_run=True)
        found = {each["offer_id"]: each["expected_value"] for each in engine.decide(request, AS_OF)["offers"]}
        wanted |= {customer: found[contested]} if contested in found else {}
    assert len(wanted) > 5
    assert sorted(got.values()) == sorted(wanted.values())[-5:]
    assert crowded.gone() == {}  # a list that isn't issued reserves nothing


def test_who_gets_no_share_is_given_the_next_best(crowded: Shop) -> None:
    rows = crowded.run(BatchJob("offers", k=1, channel="web"))
    n_each = Counter(row["offer_id"] for row in rows)
    assert n_each["offer-000"] <= 5
    assert all(row["rank"] == 1 for row in rows)
    assert len(rows) == len({row["customer_id"] for row in rows}) > 20


def test_an_issued_list_is_kept_sent_and_reserved_once(crowded: Shop) -> None:
    job = BatchJob("offers", k=2, channel="email", issues=True)
    first = crowded.run(job)
    gone = crowded.gone()
    again = crowded.run(job)

    assert [plain(row) for row in again] == [plain(row) for row in first]
    assert [row["decision_id"] for row in again] == [row["decision_id"] for row in first]
    cost = float(crowded.bundle.offers.cost[0])
    n_given = sum(row["offer_id"] == "offer-000" for row in first)
    assert gone == crowded.gone() == {"offer-000": pytest.approx(n_given * cost, abs=1e-3)}
    assert sum(gone.values()) <= float(crowded.bundle.offers.budget[0])
    for customer in {row["customer_id"] for row in first}:
        sends = [each for each in crowded.opened.state.live(customer).events if each.type is EventType.SEND]
        assert [each.decision_id for each in sends] == [
            r["decision_id"] for r in first if r["customer_id"] == customer
        ][:1]


def test_a_run_that_was_cut_off_is_gone_on_with(crowded: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    job = BatchJob("offers", k=2, channel="email", issues=True)
    promise, n_promised = crowded.opened.state.__class__.promise, 0

    def dies(*args: Any, **named: Any) -> Any:
        nonlocal n_promised
        n_promised += 1
        if n_promised > 20:
            raise KeyboardInterrupt
        return promise(*args, **named)

    monkeypatch.setattr(crowded.opened.state.__class__, "promise", dies)
    with pytest.raises(KeyboardInterrupt):
        crowded.run(job)
    monkeypatch.undo()
    assert not list((crowded.home / "lists").iterdir())
    kept = {each.customer_id for each in crowded.opened.state.log() if each.type is EventType.SEND}
    rows = crowded.run(job)
    sends = [each.customer_id for each in crowded.opened.state.log() if each.type is EventType.SEND]
    assert 0 < len(kept) <= 20
    assert kept <= {row["customer_id"] for row in rows}
    assert sorted(sends) == sorted({row["customer_id"] for row in rows})
    assert sum(crowded.gone().values()) <= float(crowded.bundle.offers.budget[0])


def test_an_issued_list_of_actions_sends_each_message_once(shop: Shop) -> None:
    job = BatchJob("actions", issues=True)
    first = shop.run(job)
    again = shop.run(job)
    assert [row["decision_id"] for row in again] == [row["decision_id"] for row in first]
    sent = [each.customer_id for each in shop.opened.state.log() if each.type is EventType.SEND]
    assert sent == [row["customer_id"] for row in first if row["channel"] in {"email", "sms", "push"}]


def test_nothing_is_sent_that_could_not_be_counted(shop: Shop) -> None:
    rows = shop.run(BatchJob("offers", channel="email", issues=True))  # ben has refused personalization
    assert "ben" not in {row["customer_id"] for row in rows}
    assert "Nothing that is sent may be kept under their id" in shop.summary("offers")
    decided = [head.customer_ids for head in shop.opened.state.decided()]
    assert all(customers for customers in decided)


def test_what_a_server_has_reserved_is_not_given_again(crowded: Shop) -> None:
    rows = crowded.run(BatchJob("offers", k=3, channel="web"))
    winner = max((row for row in rows if row["offer_id"] == "offer-000"), key=lambda row: row["expected_value"])
    request = OffersRequest(customer_id=winner["customer_id"], channel=Channel.WEB, k=3, at=AT)
    crowded.decider.decide(request, AS_OF)
    later = crowded.run(BatchJob("offers", k=3, channel="web"))
    assert sum(row["offer_id"] == "offer-000" for row in later) == 5  # one of them holds it already
    assert winner["customer_id"] in {row["customer_id"] for row in later if row["offer_id"] == "offer-000"}


def test_the_ranking_alone_asks_no_rule(shop: Shop) -> None:
    with_rules = shop.run(BatchJob("offers", channel="web"))
    alone = shop.run(BatchJob("offers", channel="web", with_rules=False))
    assert len(alone) > len(with_rules)
    assert "ranking alone" in shop.summary("offers")


def test_each_customer_is_met_where_it_is_best(shop: Shop) -> None:
    rows = shop.run(BatchJob("offers"))
    by_customer = {row["customer_id"]: row["channel"] for row in rows}
    engine = ExperimentEngine(shop.bundle, read_experiments(shop.home))
    assert by_customer
    assert all(engine.best_channel(customer) == channel for customer, channel in by_customer.items())


def test_the_summary_says_what_a_marketer_asks(crowded: Shop) -> None:
    rows = crowded.run(BatchJob("offers", k=2, channel="web"))
    page = crowded.summary("offers")
    assert f"{len({row['customer_id'] for row in rows})} get {len(rows)} offers" in page
    expected = sum(row["expected_value"] for row in rows)
    assert f"{expected:,.2f}" in page
    for told in ("Budgets", "Withheld, and why", "Segments", "This is a draft", "Nothing is left of the offer"):
        assert told in page
    assert not any(customer in page for customer in crowded.bundle.customers.id)


def test_a_file_of_customers_is_answered_in_its_order_each_once(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "who.csv"
    file.write_text("customer_id\nfay\nnobody-knows\nanna\nfay\n")
    rows = shop.run(BatchJob("offers", channel="web"), file)
    found = list(dict.fromkeys(row["customer_id"] for row in rows))
    assert found[0] == "fay"
    assert len([row for row in rows if row["customer_id"] == "fay" and row["rank"] == 1]) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("customer\nanna\n", "has no column customer_id; it has customer"),
        ("customer_id,more\nanna,1\n,2\n", "customer_id is empty in row 2"),
    ],
)
def test_a_bad_file_of_customers_is_one_clear_line(shop: Shop, tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "who.csv"
    file.write_text(text)
    with pytest.raises(BatchError, match=told) as caught:
        shop.run(BatchJob("offers"), file)
    assert "\n" not in str(caught.value)


def test_an_out_that_cannot_be_written_is_one_clear_line(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BatchError, match="can't be written"):
        write_batch(shop.home, BatchJob("offers"), tmp_path / "file" / "o.parquet", None, lambda _stage: None)


def test_a_channel_is_for_lists_only(shop: Shop) -> None:
    with pytest.raises(BatchError, match="--channel is for offers and actions"):
        shop.run(BatchJob("scores", channel="web"))


def test_two_lists_at_once_never_overdraw_a_budget(crowded: Shop) -> None:
    jobs = [BatchJob("offers", k=1, channel=channel, issues=True) for channel in ("web", "app")]

    def run(job: BatchJob) -> None:
        write_batch(crowded.home, job, crowded.home / f"{job.channel}.parquet", None, lambda _stage: None)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, jobs))
    assert 0 < sum(crowded.gone().values()) <= float(crowded.bundle.offers.budget[0])
