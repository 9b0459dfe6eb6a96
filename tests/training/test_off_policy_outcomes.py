"""What came of drawn decisions: within their days, theirs alone, by what counts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from serving.state.events import Event, EventType
from serving.state.known import Draw, Odds
from training.lift_doings import Doings
from training.off_policy_choices import Looked
from training.off_policy_outcomes import TAKEN, VALUE, choices_of, outcomes_of, taken_of

DAY = 86_400_000_000
AMONG = (Odds("a", 0.8, 1.0), Odds("b", 0.2, 0.5))
KINDS = {"tea-1": ("Tea", "Coffee and Tea"), "tea-2": ("Tea", "Coffee and Tea")}


def looked_at(
    customer_id: str,
    at_us: int = 10 * DAY,
    *,
    chosen: str = "a",
    counts: Mapping[str, str] | None = None,
    target: tuple[float, ...] = (0.0, 1.0),
    outside: float = 0.0,
) -> Looked:
    """Return a draw between a (0.8) and b (0.2), for a policy that always shows b."""
    probability = next(each.probability for each in AMONG if each.id == chosen)
    slot = "first_offer" if counts is None else "stretch"
    return Looked(customer_id, at_us, Draw(slot, chosen, probability, AMONG), counts, target, outside)


def purchases(*rows: tuple[str, float, float]) -> pd.DataFrame:
    """Return purchases of (customer, day, margin)."""
    found = pd.DataFrame(rows, columns=[c.CUSTOMER_ID, c.AT_US, c.MARGIN])
    found[c.AT_US] = (found[c.AT_US].astype(float) * DAY).astype("int64")
    found[c.QUANTITY] = 1.0
    return found


def nothing_bought() -> pd.DataFrame:
    return purchases()


def doings(bought: pd.DataFrame) -> Doings:
    left = pd.DataFrame([("anna", 12 * DAY, "unsubscribe")], columns=[c.CUSTOMER_ID, c.AT_US, c.TYPE])
    rewards = pd.DataFrame([("anna", 11 * DAY, 0.5)], columns=[c.CUSTOMER_ID, c.AT_US, c.COST])
    return Doings(bought, left, rewards, 100 * DAY)


def test_money_is_summed_over_each_decision_s_own_days() -> None:
    looked = [looked_at("anna"), looked_at("anna", 11 * DAY), looked_at("ben"), looked_at("anna", 12 * DAY)]
    bought = purchases(
        ("anna", 9.9, 100.0), ("anna", 10.0, 1.0), ("anna", 11.5, 2.0), ("anna", 12.0, 4.0), ("x", 11, 9)
    )
    found = outcomes_of(looked, doings(bought), np.zeros(4), 2, unsubscribe_cost=5.0)
    assert found["margin"].tolist() == [3.0, 6.0, 0.0, 4.0]
    assert found["left"].tolist() == [0.0, 1.0, 0.0, 1.0]
    assert found[VALUE].tolist() == [3.0 - 0.5, 6.0 - 0.5 - 5.0, 0.0, 4.0 - 5.0]
    assert found[TAKEN].tolist() == [0.0] * 4


def told(kind: EventType, day: float, **fields: object) -> Event:
    values = {"event_id": f"{day}", "customer_id": "anna", "product_id": None, "order_id": None, **fields}
    return Event(type=kind, at_us=int(day * DAY), accepted_us=0, **values)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("level", "named", "bought", "is_taken"),
    [
        ("category", "Coffee and Tea", "tea-2", 1.0),
        ("product", "tea-1", "tea-2", 0.0),
        ("product", "unknown-1", "unknown-1", 1.0),
        ("product_type", "Tea", "unknown-1", 0.0),
    ],
)
def test_a_stretch_is_taken_by_what_counts_towards_it(level: str, named: str, bought: str, is_taken: float) -> None:
    looked = [looked_at("anna", counts={"level": level, "id": named})]
    log = [told(EventType.PURCHASE, 11, product_id=bought), told(EventType.VIEW, 11, product_id=named)]
    assert taken_of(looked, log, KINDS.get, 2).tolist() == [is_taken]


def test_returns_other_days_and_other_customers_take_nothing() -> None:
    looked = [looked_at("anna", counts={"level": "product", "id": "tea-1"})]
    log = [
        told(EventType.PURCHASE, 11, product_id="tea-1", quantity=-1.0),
        told(EventType.PURCHASE, 9.9, product_id="tea-1"),
        told(EventType.PURCHASE, 12, product_id="tea-1"),
        told(EventType.PURCHASE, 11, product_id="tea-1", customer_id="ben"),
    ]
    assert taken_of(looked, log, KINDS.get, 2).tolist() == [0.0]


def test_an_offer_is_taken_when_it_is_redeemed() -> None:
    looked = [looked_at("anna"), looked_at("anna", chosen="b")]
    assert taken_of(looked, [told(EventType.REDEEM, 11, offer_id="b")], KINDS.get, 2).tolist() == [0.0, 1.0]


def test_options_come_with_their_weights_and_what_the_customer_bought_before() -> None:
    looked = [looked_at("ben", chosen="b", target=(0.4, 0.4), outside=0.2), looked_at("anna")]
    found = choices_of(looked, purchases(("anna", 9.0, 2.0), ("anna", 1.0, 50.0), ("anna", 10.5, 50.0)), 7)
    assert (found.start.tolist(), found.chosen.tolist()) == ([0, 2, 4], [1, 2])
    assert found.target.tolist() == pytest.approx([0.5, 0.5, 0.0, 1.0])
    assert found.weights.tolist() == pytest.approx([0.5 / 0.2, 0.0])
    # Weight, share of the best one's, best or not, of how many; margin and lines of the week before.
    assert found.features.tolist() == [
        [1.0, 1.0, 1.0, 2.0, 0.0, 0.0],
        [0.5, 0.5, 0.0, 2.0, 0.0, 0.0],
        [1.0, 1.0, 1.0, 2.0, 2.0, 1.0],
        [0.5, 0.5, 0.0, 2.0, 2.0, 1.0],
    ]
