from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from typing import Any

from training.demo_text import Places, challenge_text, consent_text, curl_text, where_text

ANSWER: dict[str, Any] = {
    "currency": "EUR",
    "items": [
        {
            "role": "habit",
            "name": "Sunbank milk",
            "category": "milk",
            "price": 1.3,
            "target_quantity": 2,
            "probability": 0.618,
            "reason": {"code": "due", "text": "You buy this about every 7 days; the last time was 6 days ago."},
        },
        {
            "role": "stretch",
            "name": "Hearth pesto",
            "category": "sauces",
            "price": None,
            "target_quantity": 1,
            "probability": 0.024,
            "reason": {"code": "linked", "text": "Often bought by those who buy pasta."},
        },
    ],
    "completion_probability": 0.0143,
    "reward": {"kind": "discount", "value": 1.5, "cost": 1.5},
    "expected_value": 0.31,
    "valid_to": "2018-01-08T05:00:00+00:00",
    "notes": [{"code": "no_costs", "text": "Costs are not known; prices stand in."}],
}


def test_a_challenge_reads_as_a_person_would_want_it() -> None:
    text = challenge_text(ANSWER, "c1", "America/New_York")
    assert "until Sunday 7 January 2018" in text
    assert "1. buy again  2 × Sunbank milk  (milk, 1.30 EUR)" in text
    assert "62 %  You buy this about every 7 days" in text
    assert "price not known" in text
    assert "All three: 1.50 EUR discount (1.4 % likely; worth 0.31 EUR to the shop" in text
    assert "Note: Costs are not known; prices stand in." in text


def test_a_challenge_without_a_reward_and_with_fewer_items_says_so() -> None:
    answer = {**ANSWER, "reward": None, "shortfall": {"code": "no_stretch", "text": "Nothing new fits."}}
    text = challenge_text(answer, "c1", "America/New_York")
    assert "All three: no reward (1.4 % likely)." in text
    assert "Fewer than three: Nothing new fits." in text


def test_the_curl_call_survives_a_shell() -> None:
    words = shlex.split(curl_text("http://127.0.0.1:3000", "c 1"))
    assert words[2] == "http://127.0.0.1:3000/v1/challenge"
    assert json.loads(words[-1]) == {"customer_id": "c 1"}


def test_where_to_look_names_the_three_pages_and_the_clock() -> None:
    places = Places("http://127.0.0.1:3000", "http://127.0.0.1:5000", ".tercet", "America/New_York")
    text = where_text(places, datetime(2018, 1, 1, 5, tzinfo=UTC))
    assert "2018-01-01 00:00" in text
    for part in ("http://127.0.0.1:3000/docs.json", "http://127.0.0.1:5000", "make mlflow", ".tercet"):
        assert part in text


def test_what_is_assumed_of_consent_is_said() -> None:
    assert "assumes it for email, sms;" in consent_text(["email", "sms"])
