"""What merchants' rules do to offers: pinned, boosted and banned, and never against a rule of the engine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from serving.api_actions import ActionsRequest
from serving.api_offer_codes import Trigger
from serving.api_offers import OffersRequest
from serving.bundle import Bundle
from serving.channels import Channel
from tests.serving.happenings import event, known
from tests.serving.merchants import engine_with
from tests.serving.tiny import AS_OF

ID = "0123456789abcdef" * 2
NOW = AS_OF + timedelta(hours=10)
FREE = {"offers.min_expected_value": -100.0, "offers.min_customer_value": 0.0, "offers.min_relevance": 0.0}


def offers(bundle: Bundle, rules: str = "", customer: str = "anna", **fields: Any) -> Any:
    engine = engine_with(bundle, rules, **FREE)
    return engine.offers(OffersRequest(customer_id=customer, channel=Channel.WEB, **fields), NOW, ID)


def given(answer: Any) -> list[str]:
    return [each["offer_id"] for each in answer["offers"]]


def withheld(answer: Any) -> dict[str, str]:
    return {each["offer_id"]: str(each["reason"]["code"]) for each in answer["withheld"]}


def test_a_pinned_offer_stands_at_its_rank_with_its_own_terms(tiny_bundle: Bundle) -> None:
    plain = offers(tiny_bundle)
    assert len(given(plain)) >= 3
    last = given(plain)[-1]
    for rank in (1, 2):
        answer = offers(tiny_bundle, f"\n[[pins]]\noffers = ['{last}']\nrank = {rank}\n")
        assert given(answer)[rank - 1] == last
        assert {each["offer_id"]: each["expected_value"] for each in answer["offers"]} == {
            each["offer_id"]: each["expected_value"] for each in plain["offers"]
        }


def test_a_pinned_offer_that_a_rule_withholds_is_not_given(tiny_bundle: Bundle) -> None:
    kept_back = withheld(offers(tiny_bundle))
    rules = "".join(f"\n[[pins]]\noffers = ['{each}']\n" for each in kept_back)
    answer = offers(tiny_bundle, rules)
    assert withheld(answer) == kept_back
    assert "gone-off" in kept_back


def test_pins_of_one_rank_stand_in_the_order_of_the_file(tiny_bundle: Bundle) -> None:
    *_, second, first = given(offers(tiny_bundle))
    for pair in ([first, second], [second, first]):
        assert given(offers(tiny_bundle, f"\n[[pins]]\noffers = {pair}\n"))[:2] == pair
        apart = "".join(f"\n[[pins]]\noffers = ['{each}']\n" for each in pair)
        assert given(offers(tiny_bundle, apart))[:2] == pair


def test_a_boost_moves_an_offer_and_not_what_it_says_of_itself(tiny_bundle: Bundle) -> None:
    plain = offers(tiny_bundle)
    last = plain["offers"][-1]
    for aim in (f"offers = ['{last['offer_id']}']", f"products = {last['product_ids'][:1]}"):
        if last["product_ids"] or aim.startswith("offers"):
            answer = offers(tiny_bundle, f"\n[[boosts]]\n{aim}\nfactor = 10\n")
            place = given(answer).index(last["offer_id"])
            assert place < len(given(answer)) - 1
            assert answer["offers"][place] == last


def test_a_ban_takes_out_an_offer_by_its_id_or_all_that_it_is_for(tiny_bundle: Bundle) -> None:
    first = offers(tiny_bundle)["offers"][0]
    by_id = offers(tiny_bundle, f"\n[[bans]]\noffers = ['{first['offer_id']}']\n")
    assert first["offer_id"] in withheld(by_id)
    everything = offers(tiny_bundle, "\n[[bans]]\ndepartments = ['Food']\n")
    assert [each["product_ids"] for each in everything["offers"]] in (
        [],
        [[]],
    )  # only what is for nothing in particular
    one = offers(tiny_bundle, "\n[[bans]]\nproducts = ['coffee-1']\n")
    coffee = [each for each in one["offers"] if each["offer_id"] == "coffee-off"]
    assert [each["product_ids"] for each in coffee] in ([], [["coffee-2"]])


@pytest.mark.parametrize("calls", ["", "calls = ['challenge']\n"])
def test_a_ban_holds_for_actions_too(tiny_bundle: Bundle, calls: str) -> None:
    engine = engine_with(tiny_bundle, f"\n[[bans]]\nproducts = ['salad-1']\n{calls}")
    live = known(event("cart", "salad-1", hours=7))
    request = ActionsRequest(customer_id="anna", trigger=Trigger.CART, channel=Channel.WEB)
    answer = engine.action(request, NOW, ID, live)
    shown = [each["product_id"] for each in answer.get("items", ())]
    offered = answer["offer"]["product_ids"] if "offer" in answer else []
    assert ("salad-1" in [*shown, *offered]) == bool(calls)


def test_no_rules_cost_no_offer(tiny_bundle: Bundle) -> None:
    nothing = (
        "\n[[pins]]\noffers = ['unknown']\n[[boosts]]\nbrands = ['Nobody']\nfactor = 2\n[[bans]]\noffers = ['no']\n"
    )
    for customer in ("anna", "cleo", "emil", "nobody"):
        assert offers(tiny_bundle, nothing, customer)["offers"] == offers(tiny_bundle, "", customer)["offers"]
