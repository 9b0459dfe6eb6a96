from __future__ import annotations

from serving.decisioning.policy import default_policy, default_policy_text, parse_policy, with_values
from training.replay_policy import policy_changes


def test_the_same_policy_changes_nothing() -> None:
    assert policy_changes(default_policy(), default_policy()) == ()


def test_each_key_that_differs_is_named_with_both_values() -> None:
    text = with_values(default_policy_text(), {"stretch.link_bonus": 0.5, "consent.email": True})
    text = text.replace("email_day = { high = 1,", "email_day = { high = 0,")
    found = policy_changes(default_policy(), parse_policy(text))
    assert found == ("consent.email: False → True", "stretch.link_bonus: 0.25 → 0.5", "caps.email_day.high: 1 → 0")


def test_words_and_rules_are_told_by_what_came_and_went() -> None:
    text = default_policy_text().replace('"wine", ', "").replace("excluded = []", 'excluded = ["salt", "fat"]')
    text += "\n[[bans]]\nproducts = ['a']\n[[bans]]\nproducts = ['b']\n[[pins]]\nproducts = ['c']\n"
    assert policy_changes(default_policy(), parse_policy(text)) == (
        "lists.excluded: with salt, fat",
        "lists.restricted: without wine",
        "pins: with 1 rule",
        "bans: with 2 rules",
    )


def test_another_order_is_said_to_be_one() -> None:
    text = default_policy_text().replace('"tobacco", "cigarette"', '"cigarette", "tobacco"')
    assert policy_changes(default_policy(), parse_policy(text)) == ("lists.restricted: in another order",)
