"""What a bundle says of offers and messages: values, costs, chances and contacts, as of the moment and no later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features import columns as c
from features.asof import Moment
from features.build import FeatureStore
from serving import bundle_offers as form
from serving.channels import CHANNELS, Channel
from serving.decisioning.policy import default_policy_text, parse_policy
from tests.features.tiny import DAY_0, DAY_US, Row, at, event, line, write_tables
from tests.serving.tiny import STORED
from training.history import History
from training.publish_catalogue import Catalogue
from training.publish_offers import PRIOR_CHANCE, PRIOR_SENDINGS, OfferArrays, leaving, no_offers

LISTS = parse_policy(default_policy_text()).lists
NOW = 40
NOBODY = pd.DataFrame({c.CUSTOMER_ROW: [], c.OFFER_ROW: [], c.P: []}).astype({c.CUSTOMER_ROW: int, c.OFFER_ROW: int})
CATEGORIES: list[Row] = [
    {"category_row": row, "category": name, "is_own": False} for row, name in enumerate(("Dairy", "Bakery"))
]
TYPES: list[Row] = [
    {"type_row": row, "product_type": f"type {row}", "category_row": int(row > 1), "is_own": False} for row in range(3)
]
PRODUCTS: list[Row] = [
    {
        "product_row": row,
        "product_id": f"p{row}",
        "type_row": row,
        "category_row": int(row > 1),
        "name": f"thing {row}",
        "department": "Food",
    }
    for row in range(3)
]


def offer(row: int, starts: float = 30, ends: float | None = 60, **values: object) -> Row:
    us = {"starts_us": round((DAY_0 + starts) * DAY_US)}
    us |= {} if ends is None else {"ends_us": round((DAY_0 + ends) * DAY_US)}
    return {"offer_row": row, "offer_id": f"o{row}", "kind": "discount", **us, **values}


def sent(row: int, on: int, customer: int = 0, **more: Any) -> Row:
    return event("send", on, offer_id=f"o{row}", customer_row=customer, **more)


def redeemed(row: int, on: int, customer: int = 0, **more: Any) -> Row:
    return event("redeem", on, offer_id=f"o{row}", customer_row=customer, **more)


def groups(
    folder: Path,
    offers: Sequence[Row],
    events: Sequence[Row] = (),
    responses: pd.DataFrame = NOBODY,
    moment: Moment | None = None,
    lines: Sequence[Row] | None = None,
) -> dict[str, Any]:
    """Return the groups of a shop of three customers and three products, two of them dairy."""
    moment = moment or at(NOW)
    bought = [line(10 * who + row, 20 + row, row, customer_row=who) for who in range(3) for row in range(3)]
    tables = write_tables(
        folder / "t",
        bought if lines is None else lines,
        products=PRODUCTS,
        types=TYPES,
        categories=CATEGORIES,
        offers=offers,
        events=events,
        customers=[{"customer_row": who, "customer_id": f"c{who}"} for who in range(3)],
    )
    history = History(FeatureStore(tables, folder / "f"), at(400))
    return OfferArrays(history, moment, Catalogue(history, moment, LISTS), _same, 3, responses).groups()


def _same(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


def test_offers_that_have_ended_are_left_out_and_those_to_come_are_there(tmp_path: Path) -> None:
    found = groups(tmp_path, [offer(0, 10, 20), offer(1), offer(2, 50, 70), offer(3, 10, NOW)])["offers"]
    assert list(found.id) == ["o1", "o2"]
    assert found.starts_us.tolist() == [(DAY_0 + 30) * DAY_US, (DAY_0 + 50) * DAY_US]


def test_open_ends_are_the_ends_of_time(tmp_path: Path) -> None:
    found = groups(tmp_path, [{**offer(0, ends=None), "starts_us": None}])["offers"]
    assert (found.starts_us[0], found.ends_us[0]) == (form.OPEN_START_US, form.OPEN_END_US)


def test_a_value_is_the_tables_else_what_its_redemptions_took_off_else_what_all_did(tmp_path: Path) -> None:
    offers = [offer(0, value=3.0), offer(1), offer(2), offer(3, 45, 60)]
    events = [redeemed(1, 35, discount=1.0), redeemed(1, 36, 1, discount=2.0), redeemed(0, 35, discount=6.0)]
    found = groups(tmp_path, offers, events)["offers"]
    assert found.value.tolist() == [3.0, 1.5, 3.0, 3.0]  # of all: (1 + 2 + 6) / 3
    assert found.cost.tolist() == found.value.tolist()


def test_a_cost_of_its_own_stands_and_what_nobody_knows_is_unknown(tmp_path: Path) -> None:
    found = groups(tmp_path, [offer(0, value=3.0, cost=1.25, budget=50.0), offer(1)], [redeemed(1, 35)])["offers"]
    assert found.cost[0] == 1.25
    assert found.budget[0] == 50.0
    assert np.isnan([found.value[1], found.cost[1], found.budget[1]]).all()


def test_a_redemption_after_the_moment_tells_nothing(tmp_path: Path) -> None:
    events = [sent(0, 31), redeemed(0, NOW, discount=9.0), event("send", NOW, channel="email")]
    found = groups(tmp_path, [offer(0)], events)
    assert np.isnan(found["offers"].value[0])
    assert len(found["redeemed"].offer) == found["contacts"].redeemed.sum() == found["contacts"].sent.sum() == 0
    assert len(found["sends"].at_us) == 1


def test_the_chance_is_drawn_to_that_of_all_and_counts_the_days_that_have_passed(tmp_path: Path) -> None:
    events = [sent(0, 10, who) for who in range(3)] + [redeemed(0, 12, 0), redeemed(0, 13, 1)]
    events += [sent(1, 30, who) for who in range(3)]
    found = groups(tmp_path, [offer(0, 10, 39.0), offer(1, 30, 50), offer(2)], events)["offers"]
    n_sent = 3 + 3 * 0.5  # half of offer 1's days have passed
    of_all = (2 + PRIOR_CHANCE * PRIOR_SENDINGS) / (n_sent + PRIOR_SENDINGS)
    of_one = (0 + of_all * PRIOR_SENDINGS) / (1.5 + PRIOR_SENDINGS)
    assert found.chance.tolist() == pytest.approx([of_one, of_all], rel=1e-6)


def test_without_sendings_the_chance_is_the_prior(tmp_path: Path) -> None:
    found = groups(tmp_path, [offer(0)])
    assert found["offers"].chance.tolist() == pytest.approx([PRIOR_CHANCE])
    assert found["response"].p[:].tolist() == pytest.approx([PRIOR_CHANCE] * 3, abs=STORED)


def test_an_offer_is_for_its_products_its_category_and_its_department(tmp_path: Path) -> None:
    lists = [offer(0, category="Dairy"), offer(1, department="Food"), offer(2), offer(3, category="Nothing")]
    found = groups(tmp_path, lists)
    products = [
        found["offer_products"].product[a:b].tolist()
        for a, b in zip(found["offer_products"].offsets, found["offer_products"].offsets[1:], strict=False)
    ]
    assert products == [[0, 1], [0, 1, 2], [], []]
    assert found["product_offers"].offer.tolist() == [0, 1, 0, 1, 1]
    assert found["product_offers"].offsets.tolist() == [0, 2, 4, 5]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, set(CHANNELS)),
        ("[]", set(CHANNELS)),
        ('["Email", "app"]', {Channel.EMAIL, Channel.APP}),
        ('["billboard"]', set()),
    ],
)
def test_channels_are_bits(tmp_path: Path, names: str | None, expected: set[Channel]) -> None:
    bits = int(groups(tmp_path, [offer(0, channels=names)])["offers"].channels[0])
    assert {channel for channel in CHANNELS if bits & form.channel_bit(channel)} == expected


def test_everybody_has_a_chance_for_every_offer(tmp_path: Path) -> None:
    said = pd.DataFrame({c.CUSTOMER_ROW: [1, 1, 2], c.OFFER_ROW: [0, 1, 0], c.P: [0.2, 0.4, 0.9]})
    found = groups(tmp_path, [offer(0), offer(1), offer(2, 50, 70)], responses=said)
    response, chance = found["response"], found["offers"].chance
    assert response.offsets.tolist() == [0, 3, 6, 9]
    assert response.offer.tolist() == [0, 1, 2] * 3
    # Of an offer that begins later: the mean of what is said of the customer's others.
    expected = [*chance, 0.2, 0.4, 0.3, 0.9, chance[1], 0.9]
    assert response.p[:].tolist() == pytest.approx([float(each) for each in expected], abs=STORED)


def test_messages_of_four_weeks_are_there_in_order_of_time(tmp_path: Path) -> None:
    events = [
        event("send", 39, customer_row=1, channel="sms"),
        sent(0, 31, 1, channel="Email"),
        event("send", 20, customer_row=1),
        event("send", NOW - 29, customer_row=1, channel="email"),
        event("open", 32, customer_row=1, channel="email"),
    ]
    sends = groups(tmp_path, [offer(0)], events)["sends"]
    assert sends.offsets.tolist() == [0, 0, 3, 3]
    assert sends.channel.tolist() == [form.NO_CHANNEL, CHANNELS.index(Channel.EMAIL), CHANNELS.index(Channel.SMS)]
    assert sends.offer.tolist() == [form.NO_OFFER, 0, form.NO_OFFER]
    assert sends.is_answered.tolist() == [0, 1, 0]
    assert (np.diff(sends.at_us) > 0).all()


def test_contacts_count_what_was_sent_and_what_came_of_it(tmp_path: Path) -> None:
    events = [
        event("send", 10, channel="email"),
        event("send", 11, channel="billboard"),
        event("open", 11, channel="email"),
        event("unsubscribe", 12, channel="email"),
        redeemed(0, 33),
    ]
    contacts = groups(tmp_path, [offer(0)], events)["contacts"]
    email = CHANNELS.index(Channel.EMAIL)
    assert (contacts.sent[0, email], contacts.answered[0, email], contacts.left[0, email]) == (1, 1, 1)
    assert contacts.sent.sum() == 1
    assert contacts.n_sent.tolist() == [2, 0, 0]
    assert contacts.redeemed.tolist() == [1, 0, 0]


def test_discounts_are_of_half_a_year_and_returns_of_all_time(tmp_path: Path) -> None:
    lines = [
        line(0, 0, 0, amount=9.0, discount=1.0, quantity=1.0),
        line(1, 390, 1, amount=6.0, discount=2.0, quantity=2.0),
        line(2, 391, 1, amount=8.0, discount=0.0, quantity=1.0),
    ]
    contacts = groups(tmp_path, [], lines=lines, moment=at(395))["contacts"]
    assert contacts.discount_share.tolist() == pytest.approx([2 / 16, 0.0, 0.0])
    assert contacts.discounted_lines.tolist() == pytest.approx([2 / 3, 0.0, 0.0])
    assert contacts.return_share.tolist() == [0.0, 0.0, 0.0]


def test_no_offers_are_groups_without_entries(tmp_path: Path) -> None:
    found, empty = groups(tmp_path, []), no_offers(3, 3)
    assert found.keys() == empty.keys()
    for name, group in empty.items():
        for field, values in vars(group).items():
            assert len(values) == len(getattr(found[name], field)), f"{name}.{field}"


def test_leaving_counts_all_customers_by_channel(tmp_path: Path) -> None:
    events = [
        event("send", 10, channel="email"),
        event("send", 11, channel="email", customer_row=1),
        event("unsubscribe", 12, channel="email", customer_row=1),
        event("notification_block", NOW, channel="push"),
    ]
    tables = write_tables(tmp_path / "t", [line(0, 0)], events=events)
    found = leaving(History(FeatureStore(tables, tmp_path / "f"), at(100)), at(NOW))
    assert found["email"] == (1, 2)
    assert {found[channel] for channel in CHANNELS if channel is not Channel.EMAIL} == {(0, 0)}
