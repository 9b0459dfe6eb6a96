"""What keeps the SQL of the groups the same on DuckDB and on Spark, and time where it belongs."""

from __future__ import annotations

import re

import pytest

from features.asof import Moment, known_at, known_between
from features.build import GROUPS, LABELS

FILES = {group.file: group.template() for group in (*GROUPS.values(), LABELS)}
VIEWS = known_between(Moment(us=86_400_000_000, day=1), Moment(us=172_800_000_000, day=2))
FUNCTIONS = "hash|median|mode|first|any_value|list|now|epoch_us|to_timestamp|date_diff|date_trunc"
PHRASES = r"qualify|exclude|group by all|select \*|select distinct on|current_\w+|interval"
NOT_PORTABLE = re.compile(rf"\b(({FUNCTIONS})\(|({PHRASES})(?!\w))|::|//")
# It says what was known when an offer was sent, and "sent now" for what was not.
# The other says what was answered after it was sent.
SETS_OTHER_MOMENTS = {"groups/customer_offers.sql", "groups/customer_sends.sql"}


def without_comments(sql: str) -> str:
    return re.sub(r"--.*", "", sql).lower()


@pytest.mark.parametrize("name", [*FILES, *VIEWS])
def test_the_sql_keeps_to_what_both_engines_know(name: str) -> None:
    sql = without_comments(FILES.get(name) or VIEWS[name])

    assert NOT_PORTABLE.findall(sql) == []


@pytest.mark.parametrize("sql", ["select * from x", "median(a)", "a::int", "from x qualify b", "interval 1 day"])
def test_what_only_one_engine_knows_is_found(sql: str) -> None:
    assert NOT_PORTABLE.search(sql)


@pytest.mark.parametrize("name", [*FILES, *VIEWS])
def test_a_number_with_a_point_is_cast_as_spark_reads_it_as_a_decimal(name: str) -> None:
    sql = without_comments(FILES.get(name) or VIEWS[name])

    points = re.findall(r"(?<![\w.])\d+\.\d+", sql)
    assert len(points) == len(re.findall(r"cast\(-?\d+\.\d+ as double\)", sql))


@pytest.mark.parametrize("file", sorted(FILES.keys() - SETS_OTHER_MOMENTS))
def test_no_group_compares_with_the_moment_itself(file: str) -> None:
    sql = without_comments(FILES[file])

    assert not re.search(r"as_of_|[<>=]+\s*\w*\.?\w+_us\b|\w+_us\s*[<>=]", sql)


def test_every_view_but_the_timeless_ends_at_the_moment() -> None:
    timeless = {"types", "categories", "stores"}

    for name, sql in known_at(Moment(us=123_456, day=0)).items():
        assert ("123456" in sql) == (name not in timeless), name


@pytest.mark.parametrize("file", FILES)
def test_a_header_says_grain_and_inputs(file: str) -> None:
    first, second, *_ = FILES[file].splitlines()

    assert first.startswith("-- grain:  ")
    assert second.startswith("-- inputs: ")
