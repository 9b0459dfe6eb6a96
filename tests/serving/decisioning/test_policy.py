from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from serving.decisioning.policy import (
    DEFAULT_POLICY_PATH,
    ListPolicy,
    Policy,
    default_policy,
    default_policy_text,
    parse_policy,
    with_values,
)
from serving.errors import PolicyError


def mistakes(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_default_policy_assumes_personalisation_and_no_messages() -> None:
    policy = default_policy()
    assert policy.consent.personalize
    assert not any((policy.consent.email, policy.consent.sms, policy.consent.push, policy.consent.location))


def test_every_number_of_the_default_says_its_range_and_meaning() -> None:
    for line in DEFAULT_POLICY_PATH.read_text().splitlines():
        if re.match(r"\w+ = [\d.]+", line):
            assert re.search(r"# .*\[[-\d., ]+\]", line), line


def test_all_mistakes_are_named_at_once() -> None:
    text = default_policy_text().replace("step = 0.5", 'step = "x"').replace("[shop]", "extra = 1\n[shop]\nshopp = 1")
    text = text.replace("just_bought_share = 0.2 ", "just_bought_share = 1.35").replace("cost_rate = 1.0", "# gone")
    found = mistakes(text)
    assert "extra: unknown section" in found
    assert "shop.shopp: unknown key" in found
    assert "reward.step: must be of type float, found 'x'" in found
    assert "habit.just_bought_share: must lie in 0 to 1, found 1.35" in found
    assert "reward.cost_rate: missing" in found


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("shop.time_zone", "Mars/Base", "shop.time_zone: 'Mars/Base' is not a time zone"),
        ("shop.time_zone", "../../etc/passwd", "is not a time zone"),
        ("shop.currency", "usd", "three capitals"),
        ("reward.kind", "kiss", "none of discount"),
        ("reward.min_value", 50, "above reward.max_value"),
        ("reward.step", float("nan"), "reward.step: must lie in"),
        ("habit.regular_purchases", 2.5, "must be of type int"),
        ("consent.email", "yes", "must be of type bool"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(key: str, value: str | float, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        with_values(default_policy_text(), {key: value})


@pytest.mark.parametrize("text", ["", "[shop", "shop = 1", "[[shop]]", "[lists]\nrestricted = [1]"])
def test_what_is_no_policy_is_refused(text: str) -> None:
    mistakes(text)


def test_a_changed_value_keeps_the_comments_and_the_rest() -> None:
    text = with_values(default_policy_text(), {"shop.time_zone": "Asia/Kathmandu", "consent.push": True})
    policy = parse_policy(text)
    assert policy.shop.time_zone == "Asia/Kathmandu"
    assert policy.consent.push
    assert text.count("#") == default_policy_text().count("#")
    assert policy.reward == default_policy().reward


def test_a_key_that_is_not_there_cannot_be_changed() -> None:
    with pytest.raises(PolicyError, match="shop.colour"):
        with_values(default_policy_text(), {"shop.colour": "red"})


def test_a_whole_number_stands_for_a_float() -> None:
    assert parse_policy(with_values(default_policy_text(), {"reward.max_value": 7})).reward.max_value == 7.0


def test_a_policy_from_before_there_was_state_goes_by_the_defaults() -> None:
    before, _, after = default_policy_text().partition("[state]")
    assert parse_policy(before + after[after.index("[lists]") :]) == default_policy()


def test_the_lists_are_words() -> None:
    lists = default_policy().lists
    assert isinstance(lists, ListPolicy)
    assert "wine" in lists.restricted
    assert not set(lists.restricted) & set(lists.harmless)


def test_the_guide_to_decisions_names_only_keys_that_exist() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "decisions.md").read_text()
    policy = default_policy()
    keys = re.findall(r"`(\w+)\.(\w+)`", guide)
    sections = {each.name for each in fields(Policy)}
    named = [(section, name) for section, name in keys if section in sections]
    assert len(named) > 15
    for section, name in named:
        assert hasattr(getattr(policy, section), name), f"{section}.{name}"


def test_mistakes_within_and_between_sections_come_at_once() -> None:
    text = (
        default_policy_text()
        .replace('time_zone = ""', 'time_zone = "Mars"')
        .replace("half_life_days = 7.0", "half_life_days = 700.0")
        .replace("email_day = { high = 1", "email_day = { high = 9")
    )

    with pytest.raises(PolicyError) as raised:
        parse_policy(text)

    told = str(raised.value)
    assert "fatigue.half_life_days: must lie in 0.1 to 28" in told
    assert "shop.time_zone: 'Mars'" in told
    assert "caps.email_day.high: 9 is above caps.email_week.high" in told


@pytest.mark.parametrize("text", ["a =", "a = " + "[" * 3000, "a = " + "{a=" * 3000, "a = 1" + "0" * 5000])
def test_what_is_no_toml_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(PolicyError, match=r"^not TOML: [^\n]+$"):
        parse_policy(text)
