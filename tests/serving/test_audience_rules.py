from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.audience_rules import MAX_DEPTH, parse_rule
from serving.errors import InvalidRequest


class FourCustomers:
    """Scores of four customers; of the last nothing is known that can be unknown."""

    def numbers(self, field: str) -> npt.NDArray[np.floating]:
        return {
            "churn_probability": np.array([0.1, 0.4, 0.5, 0.9], dtype=np.float32),
            "customer_score": np.array([10, 60, 70, 80], dtype=np.float32),
            "lifetime_value": np.array([1, 2, 3, 4], dtype=np.float32),
            "best_hour": np.array([9, 17, 9, np.nan], dtype=np.float32),
            "next_purchase_at": np.array([0.0, 86_400e6, 2 * 86_400e6, 3 * 86_400e6]),
        }[field]

    def labels(self, field: str) -> tuple[npt.NDArray[np.integer], Sequence[str]]:
        rows = np.array([0, 1, 0, -1], dtype=np.int16)
        return rows, {"segment": ["Regulars", "At Risk"], "engagement_tier": ["high", "low"]}.get(
            field, ["email", "app"]
        )

    def category(self, name: str) -> npt.NDArray[np.floating] | None:
        return np.array([0.3, 0.0, 0.2, 0.0], dtype=np.float32) if name == "Coffee" else None


def fit(rule: str) -> list[int]:
    return np.flatnonzero(parse_rule(rule)(FourCustomers())).tolist()


@pytest.mark.parametrize(
    ("rule", "customers"),
    [
        ("churn_probability > 0.4", [2, 3]),
        ("churn_probability >= .4", [1, 2, 3]),
        ("churn_probability = 0.1 or customer_score == 8e1", [0, 3]),
        ("churn_probability > 0.4 and customer_score < 80", [2]),
        ("customer_score != 60", [0, 2, 3]),
        ("customer_score<>60", [0, 2, 3]),
        ("customer_score in (10, 80)", [0, 3]),
        ("customer_score NOT IN (10, 80)", [1, 2]),
        ("lifetime_value > -1", [0, 1, 2, 3]),
        ('segment = "At Risk"', [1]),
        ("SEGMENT = 'at risk'", [1]),
        ("segment != 'At Risk'", [0, 2]),
        ("segment in ('Regulars', 'nothing like it')", [0, 2]),
        ("segment not in ('Regulars')", [1]),
        ("segment = 'nothing like it'", []),
        ("not segment = 'At Risk'", [0, 2, 3]),
        ("best_hour = 9", [0, 2]),
        ("best_hour != 9", [1]),
        ("next_purchase_at < '1970-01-03T00:00:00Z'", [0, 1]),
        ("categories['Coffee'] > 0.1", [0, 2]),
        # `and` binds closer than `or`, `not` closer than both.
        ("customer_score = 10 or customer_score = 60 and lifetime_value = 9", [0]),
        ("(customer_score = 10 or customer_score = 60) and lifetime_value = 2", [1]),
        ("not customer_score = 10 and not customer_score = 60", [2, 3]),
        ("not (customer_score = 10 or not customer_score = 60)", [1]),
    ],
)
def test_a_rule_picks_whom_it_says(rule: str, customers: list[int]) -> None:
    assert fit(rule) == customers


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("", "at character 1: expected one of churn_probability, "),
        ("churn > 0.4", "at character 1: expected one of churn_probability, "),
        ("churn_probability", "at character 18: expected one of = != < <= > >= in, found the end"),
        ("churn_probability >", "at character 20: expected a number to compare churn_probability with, found the end"),
        (
            "churn_probability > 'a'",
            "at character 21: expected a number to compare churn_probability with, found `'a'`",
        ),
        ("churn_probability > 0.4 customer_score > 1", "at character 25: expected `and`, `or` or the end, found"),
        ("(churn_probability > 0.4", "at character 25: expected `)`, found the end"),
        ("churn_probability > 0.4)", "at character 24: expected `and`, `or` or the end, found `)`"),
        ("churn_probability > 4x", "at character 21: '4' means nothing here"),
        ("segment > 'a'", "at character 9: segment is a text: compare it with =, != or in"),
        ("segment = Regulars", "at character 11: expected a text in quotes to compare segment with, found `Regulars`"),
        ("segment = 'Regulars", "at character 11: this text has no closing quote"),
        ("segment in ()", "at character 13: expected a text in quotes to compare segment with, found `)`"),
        ("segment not = 'a'", "at character 13: expected `in`, found `=`"),
        ("__import__('os')", "at character 1: expected one of"),
        ("customer_score > 1; drop", "at character 19: ';' means nothing here"),
        ("customer_score > 1e99", "at character 18: this number is too large"),
        ("next_purchase_at > '2018'", "at character 20: expected an ISO 8601 date and time with zone"),
        ("categories['Tea'] > 0", "at character 12: there is no category 'Tea'"),
        ("categories[Tea] > 0", "at character 12: expected a category in quotes, found `Tea`"),
        ("categories > 0", "at character 12: expected `[`, found `>`"),
        ("(" * 21 + "customer_score > 1" + ")" * 21, "at character 22: more than 20 parentheses or `not`"),
        ("not " * 21 + "customer_score > 1", "at character 85: more than 20 parentheses or `not`"),
        ("x" * 2001, "has more than 2,000 characters"),
    ],
)
def test_a_rule_that_cannot_be_read_says_where_and_what_was_expected(rule: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        fit(rule)
    assert caught.value.field == "rule"
    assert caught.value.message.startswith(message)


def test_as_deep_as_is_allowed_is_read() -> None:
    assert fit("(" * MAX_DEPTH + "customer_score > 70" + ")" * MAX_DEPTH) == [3]


_WORDS = (
    "churn_probability",
    "segment",
    "categories",
    *("and", "or", "not", "in"),
    *"()[],=<>",
    *("0.4", "'Regulars'", '"Coffee"', "best_hour"),
)


def refusal(rule: str) -> str:
    """Return why a rule is refused, empty where it picks a part of the four."""
    try:
        found = parse_rule(rule)(FourCustomers())
    except InvalidRequest as error:
        return error.message
    assert found.dtype == np.bool_
    assert found.shape == (4,)
    return ""


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(_WORDS), max_size=30).map(" ".join)))
def test_whatever_is_written_is_read_or_refused(rule: str) -> None:
    message = refusal(rule)
    assert not message or message.startswith("at character ")
