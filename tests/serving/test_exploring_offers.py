"""Offers that explore: the first is drawn among those that the rules left, the others keep their order."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from scipy.stats import chisquare

from serving.api_offers import OffersRequest
from serving.bundle import Bundle, obeying
from serving.channels import Channel
from serving.decide import Decider
from serving.decision_ids import DecisionIds
from serving.decisioning.policy import default_policy_text, parse_policy, with_values
from serving.desk import Desk
from serving.engine import Engine
from serving.offer_desk import OfferDesk
from serving.state.known import Known, Trace
from tests.serving.state.builders import OpenDoor, state_on
from tests.serving.tiny import AS_OF, CUSTOMERS

IDS = DecisionIds(b"k" * 32)


@pytest.fixture(scope="module")
def exploring(tiny_bundle: Bundle) -> OfferDesk:
    changes = {"exploration.offer_share": 0.8, "exploration.among": 3, "exploration.caution": 2.0}
    return OfferDesk(
        Desk(obeying(tiny_bundle, parse_policy(with_values(default_policy_text(), changes))), applies_rules=True)
    )


@pytest.fixture(scope="module")
def staid(tiny_bundle: Bundle) -> OfferDesk:
    return OfferDesk(Desk(tiny_bundle, applies_rules=True))


def asked(desk: OfferDesk, customer_id: str, decision_id: str, trace: Trace | None, k: int = 10) -> Any:
    request = OffersRequest(customer_id=customer_id, channel=Channel.WEB, k=k)
    return desk.offers(request, AS_OF, decision_id, Known(trace=trace))


def shown(answer: Any) -> list[str]:
    return [each["offer_id"] for each in answer["offers"]]


def test_the_first_offer_comes_as_often_as_the_odds_say_and_the_others_in_order(
    exploring: OfferDesk, staid: OfferDesk
) -> None:
    best = shown(asked(staid, "anna", "d1", None))
    fell: Counter[str] = Counter()
    for n in range(500):
        trace = Trace()
        first, *others = shown(asked(exploring, "anna", IDS.of(str(n)), trace))
        fell[first] += 1
        assert others == [each for each in best if each != first]
    (draw,) = trace.draws
    assert [each.id for each in draw.among] == best[:3]
    assert chisquare([fell[each.id] for each in draw.among], [500 * each.probability for each in draw.among]).pvalue > (
        0.001
    )


def test_what_is_asked_for_one_gets_the_one_that_was_drawn(exploring: OfferDesk) -> None:
    trace = Trace(wanted={"first_offer": "brie-off"})
    answer = asked(exploring, "anna", "d1", trace, k=1)
    assert shown(answer) == ["brie-off"] == [trace.draws[0].chosen]
    assert "ranked_below" in {str(each["reason"]["code"]) for each in answer["withheld"]}


def test_nothing_is_drawn_for_who_may_not_be_known_without_a_share_or_a_trace(
    exploring: OfferDesk, staid: OfferDesk
) -> None:
    for n in range(10):
        for customer_id in CUSTOMERS:
            assert shown(asked(exploring, customer_id, IDS.of(str(n)), None)) == shown(
                asked(staid, customer_id, "d1", None)
            )
    for desk, customer_id in ((exploring, "ben"), (staid, "anna")):
        trace = Trace()
        asked(desk, customer_id, "d1", trace)
        assert trace.draws == []


def test_an_answer_that_stands_is_no_new_draw_and_its_record_has_the_odds(exploring: OfferDesk) -> None:
    state = state_on()
    decider = Decider(Engine(exploring._desk.bundle), OpenDoor(state), IDS)
    request = OffersRequest(customer_id="anna", channel=Channel.WEB, k=1)
    first, again = (decider.decide(request, AS_OF + timedelta(minutes=n)) for n in range(2))
    assert first == again
    found = state.decision(first["decision_id"])
    assert found is not None
    (draw,) = found.record.parts[0].draws
    assert draw.chosen == shown(first)[0]
    assert draw.probability == next(each.probability for each in draw.among if each.id == draw.chosen)
