"""Columns of scores: dictionaries and text say the same, whatever names and currencies are."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from serving.score_columns import Columns, ScoreWriter
from serving.tier import Tier

NAMES = st.none() | st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.floats(-1e12, 1e12)
CUSTOMER = st.tuples(
    NUMBERS,
    st.just("2018-01-02T03:04:05Z"),
    NUMBERS,
    NUMBERS,
    NAMES,
    st.sampled_from(Tier),
    NAMES,
    st.none() | st.integers(0, 23),
    st.lists(st.tuples(st.integers(0, 1), st.floats(0.0, 1.0)), max_size=3),
)


def columns_of(customers: list[tuple[Any, ...]]) -> Columns:
    """Return the columns of customers in rows, the last of each their categories with chances."""
    found = [each[-1] for each in customers]
    ends = [sum(len(each) for each in found[: place + 1]) for place in range(len(found))]
    chances = [chance for each in found for chance in each]
    rows: list[Any] = [list(column) for column in zip(*(each[:-1] for each in customers), strict=True)] or [[]] * 8
    return Columns(*[*rows, [row for row, _ in chances], [p for _, p in chances], ends])


@given(st.lists(CUSTOMER, max_size=4), st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2))
def test_texts_are_what_orjson_writes_of_the_dictionaries(customers: list[tuple[Any, ...]], names: list[str]) -> None:
    writer, columns = ScoreWriter(names, names[0]), columns_of(customers)
    assert [f"{{{each}}}".encode() for each in writer.texts(columns)] == [
        orjson.dumps(each) for each in writer.dictionaries(columns)
    ]


def test_categories_go_to_their_customers() -> None:
    seen = (0.5, "2018-01-02T03:04:05Z", 2.0, 50.0, None, Tier.LOW, "web", 9)
    columns = columns_of([(*seen, [(1, 0.5)]), (*seen, []), (*seen, [(0, 0.25), (1, 0.125)])])

    told: list[Any] = list(ScoreWriter(["dairy", "fruit"], "EUR").dictionaries(columns))

    assert [[(each["category"], each["probability"]) for each in one["categories"]] for one in told] == [
        [("fruit", 0.5)],
        [],
        [("dairy", 0.25), ("fruit", 0.125)],
    ]
