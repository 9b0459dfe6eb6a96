from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest

from serving.decisioning.policy import default_policy, default_policy_text, parse_policy, with_values
from serving.decisioning.policy_merchandising import BAN_CALLS, PIN_CALLS, Aim, Ban, Boost, Merchandising, Pin, Scope
from serving.errors import PolicyError

ALL = """
[[pins]]
products = ["milk-2", "milk-1"]
rank = 2
intents = ["discover"]
placements = ["home"]
from = 2018-01-03
to = "2018-02-01"

[[boosts]]
brands = ["Own"]
factor = 3
calls = ["offers"]
from = 2018-01-03T05:00:00Z

[[bans]]
categories = ["Wine"]
offers = ["o-1"]
stores = ["s-ny"]
"""


def rules(text: str) -> Merchandising:
    return parse_policy(default_policy_text() + text).merchandising


def mistakes(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        rules(text)
    return str(caught.value)


def test_a_policy_without_rules_has_none() -> None:
    assert default_policy().merchandising == Merchandising()


def test_rules_are_read_with_their_defaults() -> None:
    found = rules(ALL)
    assert found.pins == (
        Pin(
            Aim(products=("milk-2", "milk-1")),
            Scope(PIN_CALLS, date(2018, 1, 3), date(2018, 2, 1), placements=("home",)),
            rank=2,
            intents=("discover",),
        ),
    )
    starts = datetime(2018, 1, 3, 5, tzinfo=UTC)
    assert found.boosts == (Boost(Aim(brands=("Own",)), Scope(("offers",), starts), 3.0),)
    assert found.bans == (Ban(Aim(categories=("Wine",), offers=("o-1",)), Scope(BAN_CALLS, stores=("s-ny",))),)


def test_the_example_in_the_default_policy_can_be_taken_as_it_stands() -> None:
    block = default_policy_text().partition("# [[pins]]")[2].partition("\n\n")[0]
    found = rules("\n" + re.sub(r"^# ", "", "# [[pins]]" + block, flags=re.MULTILINE))
    assert [len(found.pins), len(found.boosts), len(found.bans)] == [1, 1, 1]


def test_all_mistakes_are_named_at_once_with_rule_and_line() -> None:
    text = """
[[pins]]
rank = 21
product = "x"
[[pins]]
products = []
intents = ["all"]
[[boosts]]
types = ["x"]
[[boosts]]
brands = ["x"]
factor = 0.01
from = 2018-01-02
to = 2018-01-02
[[bans]]
brands = ["x"]
from = 2018-01-02T00:00:00
calls = ["scores"]
"""
    first = default_policy_text().count("\n") + 2
    found = mistakes(text)
    assert f"pins 1 (line {first}): rank must lie in 1 to 20, found 21" in found
    assert f"pins 1 (line {first}): product: unknown key" in found
    assert f"pins 1 (line {first}): must name what it is about: products, product_types" in found
    assert f"pins 2 (line {first + 3}): products must name something" in found
    assert "intents: 'all' is none of buy_again, discover, mixed" in found
    assert f"boosts 1 (line {first + 6}): types: unknown key" in found
    assert f"boosts 1 (line {first + 6}): factor is missing" in found
    assert "factor must lie in 0.1 to 10, found 0.01" in found
    assert "from (2018-01-02) must be before to (2018-01-02)" in found
    assert "from must be a day (2018-01-08) or a moment with its zone" in found
    assert "calls: 'scores' is none of recommendations" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n[pins]\nproducts = ['a']\n", "pins: must be tables, each begun with [[pins]]"),
        ("\n[[bans]]\nproducts = 'a'\n", "products must be a list of words"),
        ("\n[[bans]]\nproducts = ['a', 1]\n", "products must be a list of words"),
        ("\n[[bans]]\nproducts = ['a']\nto = 3\n", "to must be a day"),
        ("\n[[bans]]\nproducts = ['a']\nto = 'soon'\n", "to must be a day"),
        ("\n[[boosts]]\nproducts = ['a']\nfactor = true\n", "factor must be of type float, found True"),
        ("\n[[boosts]]\nproducts = ['a']\nfactor = nan\n", "factor must lie in"),
    ],
)
def test_a_wrong_rule_is_refused(text: str, message: str) -> None:
    assert message in mistakes(text)


def test_rules_stay_when_a_value_is_changed() -> None:
    changed = with_values(default_policy_text() + ALL, {"stretch.link_bonus": 0.5})
    assert parse_policy(changed).merchandising == rules(ALL)


def test_mistakes_of_rules_and_of_sections_are_told_together() -> None:
    text = default_policy_text().replace("just_bought_share = 0.2 ", "just_bought_share = 7.0")
    with pytest.raises(PolicyError) as caught:
        parse_policy(text + "\n[[bans]]\n")
    assert "habit.just_bought_share" in str(caught.value)
    assert "bans 1" in str(caught.value)
