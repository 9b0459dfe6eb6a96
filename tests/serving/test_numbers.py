from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from serving.errors import BundleError
from serving.numbers import Numbers, between_days, numbers_from_json


def changed(**changes: Any) -> str:
    return json.dumps(json.loads(Numbers.plain().to_json()) | changes)


def test_numbers_come_back_from_their_text() -> None:
    numbers = replace(Numbers.plain(), completion={"intercept": 0.5, "log_joint": 0.9, "logit_shop": -0.1})
    assert numbers_from_json(numbers.to_json()) == numbers


def test_plain_numbers_spread_a_week_evenly() -> None:
    assert Numbers.plain().population_window == (1 / 7, 2 / 7, 3 / 7, 4 / 7, 5 / 7, 6 / 7, 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "can't be read"),
        ("[1]", "can't be read"),
        (changed(habit_window=[[0, 1]]), "an entry for each of 7 days"),
        (changed(stretch_window=[[0]] * 7), "can't be read"),
        (changed(population_window=[2.0] * 7), "lie in 0 to 1"),
        (changed(completion={"intercept": 1}), "exactly intercept, log_joint, logit_shop"),
        (changed(population={}), "can't be read"),
        (changed(population={"completion": float("nan")}), "finite"),
        (changed(population={"completion": "x"}), "can't be read"),
        (changed(leaving={"web": [1, 2]}).replace("[1, 2]", "[1e999, 2]"), "can't be read"),
    ],
)
def test_wrong_numbers_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        numbers_from_json(text)
    assert "\n" not in str(caught.value)


def test_what_is_said_by_the_day_starts_from_nothing() -> None:
    assert [between_days([0.2, 0.3], days) for days in (0.5, 1, 1.5, 2)] == pytest.approx([0.1, 0.2, 0.25, 0.3])
