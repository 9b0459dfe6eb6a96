from __future__ import annotations

from typing import Any

import pytest

from serving.decisioning.policy import default_policy, default_policy_text, parse_policy, with_values
from serving.errors import PolicyError
from serving.tier import Tier

CAPS = {"high": 4, "medium": 3, "low": 2, "silent": 1, "untested": 2}
FACTORS = {"high": 0.5, "medium": 0.8, "low": 1.0, "silent": 1.5, "untested": 1.0}


def test_the_numbers_are_read_by_tier() -> None:
    policy = parse_policy(with_values(default_policy_text(), {"caps.email_week": CAPS, "fatigue.tier_factor": FACTORS}))
    assert [policy.caps.email_week.of(tier) for tier in Tier] == [4, 3, 2, 1, 2]
    assert policy.fatigue.tier_factor.of(Tier.SILENT) == 1.5


def test_by_default_a_message_may_be_sent_to_those_who_answer_and_not_at_night() -> None:
    policy = default_policy()
    assert all(getattr(policy.caps, f"{channel}_week").high > 0 for channel in ("email", "sms", "push", "all"))
    assert policy.quiet_hours.sms == policy.quiet_hours.push == "21:00-08:00"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"caps.email_day": CAPS | {"silent": -1}}, "caps.email_day: silent must lie in 0 to 1000, found -1"),
        ({"caps.email_day": CAPS | {"low": 1.5}}, "caps.email_day: low must be of type int, found 1.5"),
        ({"caps.email_day": {"high": 1}}, "caps.email_day: must have exactly high, medium, low, silent, untested"),
        ({"caps.email_day": CAPS | {"loud": 1}}, "caps.email_day: must have exactly"),
        ({"caps.email_day": 3}, "caps.email_day: must have exactly"),
        ({"caps.email_day": CAPS | {"high": 9}}, r"caps.email_day.high: 9 is above caps.email_week.high \(4\)"),
        ({"caps.all_day": CAPS | {"low": 9}}, r"caps.all_day.low: 9 is above caps.all_week.low \(3\)"),
        ({"caps.offer_sends_week": 9}, r"caps.offer_sends_week: 9 is above caps.offer_sends_4w \(2\)"),
        ({"quiet_hours.sms": "21-8"}, "quiet_hours.sms: '21-8' is not a span such as 21:00-08:00"),
        ({"quiet_hours.email": "08:00-08:00"}, "quiet_hours.email: '08:00-08:00' ends as it starts"),
        ({"quiet_hours.push": 21}, "quiet_hours.push: must be of type str"),
        ({"fatigue.tier_factor": FACTORS | {"high": 2.0}}, "fatigue.tier_factor: must not fall"),
        ({"fatigue.tier_factor": FACTORS | {"untested": 2.0}}, "fatigue.tier_factor: must not fall"),
        ({"fatigue.tier_factor": FACTORS | {"low": 101}}, "fatigue.tier_factor: low must lie in 0 to 100, found 101"),
        ({"fatigue.share_email": 0.95}, "must not add up to more than 1"),
        ({"fatigue.half_life_days": 0}, "fatigue.half_life_days: must lie in 0.1 to 28, found 0"),
        ({"fatigue.lost_days": 28}, "fatigue.lost_days: must lie in 84 to 3650"),
        ({"trust.usual_answer_share": 0}, "trust.usual_answer_share: must lie in 0.001 to 1"),
        (
            {"trust.answers_weight": 0, "trust.returns_weight": 0, "trust.completions_weight": 0},
            "trust: one of answers_weight, returns_weight and completions_weight must be above 0",
        ),
    ],
)
def test_what_can_not_be_is_refused_by_its_key(changes: dict[str, Any], message: str) -> None:  # Any: TOML values
    with pytest.raises(PolicyError, match=message) as caught:
        with_values(default_policy_text(), changes)
    assert "\n" not in str(caught.value)


def test_all_mistakes_are_named_at_once() -> None:
    changes: dict[str, Any] = {
        "caps.sms_week": CAPS | {"low": 5000, "high": -2},
        "caps.push_day": "often",
        "fatigue.prior_sms": 7,
        "trust.prior_baskets": "many",
    }
    text = default_policy_text().replace("[quiet_hours]", "[quiet_hours]\nlate = 3\n#")
    with pytest.raises(PolicyError) as caught:
        with_values(text, changes)
    found = str(caught.value)
    assert "caps.sms_week: high must lie in 0 to 1000, found -2, low must lie in 0 to 1000, found 5000" in found
    assert all(key in found for key in (*changes, "quiet_hours.late: unknown key"))


def test_a_policy_from_before_there_were_caps_goes_by_the_defaults() -> None:
    text = default_policy_text()
    old = text[: text.index("[fatigue]")] + text[text.index("[lists]") :]
    assert parse_policy(old).caps == default_policy().caps
