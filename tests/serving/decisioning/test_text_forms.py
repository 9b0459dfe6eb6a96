"""How languages write values: plurals, money, moments, lists, and texts from the data."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.decisioning.text_forms import PLURALS, cut, plain
from serving.decisioning.texts import parse_texts, shipped_texts

EN = parse_texts(shipped_texts()["en"]).forms
DE = parse_texts(shipped_texts()["de"]).forms
BERLIN = ZoneInfo("Europe/Berlin")


def form_of(rule: str, n: int) -> int:
    return PLURALS[rule][1](n)


@pytest.mark.parametrize(
    ("rule", "forms"),
    [
        ("one", {0: 1, 1: 0, 2: 1, 21: 1}),
        ("zero_one", {0: 0, 1: 0, 2: 1, 21: 1}),
        ("east_slavic", {1: 0, 2: 1, 4: 1, 5: 2, 11: 2, 12: 2, 21: 0, 22: 1, 112: 2}),
        ("polish", {1: 0, 2: 1, 5: 2, 12: 2, 21: 2, 22: 1}),
        ("czech", {1: 0, 2: 1, 4: 1, 5: 2, 22: 2}),
        ("none", {0: 0, 1: 0, 5: 0}),
    ],
)
def test_a_plural_rule_chooses_the_form_of_each_number(rule: str, forms: dict[int, int]) -> None:
    assert {n: form_of(rule, n) for n in forms} == forms


@given(st.sampled_from(sorted(PLURALS)), st.integers(0, 10_000))
def test_a_rule_chooses_only_forms_that_the_language_has(rule: str, n: int) -> None:
    assert 0 <= form_of(rule, n) < PLURALS[rule][0]


def test_money_is_written_as_the_language_does() -> None:
    assert (EN.amount_of(1234.5, "USD"), DE.amount_of(1234.5, "EUR")) == ("$1,234.50", "1.234,50 €")


def test_a_currency_without_a_symbol_is_named_by_its_code() -> None:
    assert (EN.amount_of(3.0, "CHF"), DE.amount_of(3.0, "CHF")) == ("3.00 CHF", "3,00 CHF")


def test_days_and_times_are_written_as_the_language_does() -> None:
    moment = datetime(2018, 3, 4, 17, 5, tzinfo=BERLIN)
    assert (EN.day_of(moment), EN.hour_of(moment)) == ("Sunday, 4 March", "5:05 pm")
    assert (DE.day_of(moment), DE.hour_of(moment)) == ("Sonntag, 4. März", "17:05 Uhr")


def test_midnight_and_noon_have_an_hour_on_a_clock_of_twelve() -> None:
    hours = [EN.hour_of(datetime(2018, 3, 4, hour, 30, tzinfo=BERLIN)) for hour in (0, 11, 12, 23)]
    assert hours == ["12:30 am", "11:30 am", "12:30 pm", "11:30 pm"]


def test_what_ends_at_midnight_stands_until_the_day_before() -> None:
    assert EN.end_of(datetime(2018, 1, 8, 0, 0, tzinfo=BERLIN)) == "Sunday, 7 January"


def test_what_ends_within_a_day_names_the_time() -> None:
    assert DE.end_of(datetime(2018, 1, 8, 9, 0, tzinfo=BERLIN)) == "Montag, 8. Januar, 9:00 Uhr"


def test_distances_are_rounded_up_and_never_nothing() -> None:
    assert (EN.away(0.0), EN.away(0.3), EN.away(1.21), DE.away(1.21)) == ("0.1 km", "0.3 km", "1.3 km", "1,3 km")


def test_names_are_listed() -> None:
    assert [EN.listed(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


@given(st.text(max_size=200), st.integers(1, 60))
def test_a_text_from_the_data_is_one_line_without_steering_characters(text: str, limit: int) -> None:
    shown = plain(text, limit)
    assert len(shown) <= limit
    assert not any(each in shown for each in "\n\r\t\u2028\u202e\u200b\x00\x1b")
    assert shown == shown.strip()


@pytest.mark.parametrize("hidden", ["a\nb", "a\r\nb", "a\u202eb", "a\u200bb", "a\x1b[31mb", "a\u2029b", "a\x00b"])
def test_characters_that_steer_a_display_become_a_space(hidden: str) -> None:
    assert plain(hidden, 40).startswith("a ")


def test_a_cut_is_after_a_word_and_marked() -> None:
    assert cut("Plain Yogurt with Honey", 15) == "Plain Yogurt…"
    assert cut("Donaudampfschiff", 8) == "Donauda…"
    assert cut("short", 8) == "short"
