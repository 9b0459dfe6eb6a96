"""Files of texts: those that ship are whole, and a merchant's own are refused with every mistake at once."""

from __future__ import annotations

import re
import tomllib

import pytest

from serving.api_action_codes import REASONS_TO_ACT, ActionCode
from serving.api_offer_codes import ActionKind
from serving.decisioning.texts import FACTS, KINDS, OFFER_KINDS, language_named, parse_texts, shipped_texts
from serving.errors import PolicyError, TextsError

EN = shipped_texts()["en"]
ALL: dict[str, str | int | None] = {
    "product": "Rye Bread",
    "products": "Rye Bread and Oat Milk",
    "n": 2,
    "price": "$3.50",
    "last_bought": "Monday, 1 January",
    "category": "Bakery",
    "offer": "$1.00 off",
    "valid_to": "Sunday, 7 January",
    "distance": "0.3 km",
    "closes": "10:00 pm",
    "done": 1,
    "of": 3,
    "left": 2,
    "ends": "Sunday, 7 January",
    "reward": "$2.00 off",
}


def mistakes_of(source: str) -> str:
    with pytest.raises(TextsError) as caught:
        parse_texts(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("language", sorted(shipped_texts()))
def test_a_language_that_ships_has_a_message_for_every_reason_and_kind(language: str) -> None:
    texts = language_named(language, {})
    for code, kinds in KINDS.items():
        for kind in kinds:
            written = texts.written(code, kind, ALL, subject_chars=200, text_chars=2000)
            assert written.subject
            assert written.text
            assert written.why
            assert not re.search(r"[{}]|None|  ", f"{written.subject} {written.text} {written.why}")


@pytest.mark.parametrize("language", sorted(shipped_texts()))
def test_a_message_says_only_what_is_known(language: str) -> None:
    texts = language_named(language, {})
    for code, kinds in KINDS.items():
        for kind in kinds:
            least = {**ALL, "price": None, "last_bought": None, "category": None, "closes": None, "distance": None}
            if code is not ActionCode.REWARD_WAITING:
                least["reward"] = None
            written = texts.written(code, kind, least, subject_chars=200, text_chars=2000)
            said = f"{written.subject} {written.text} {written.why}"
            assert not any(word in said for word in ("$3.50", "1 January", "Bakery", "10:00 pm", "0.3 km"))


def test_every_reason_to_act_has_messages() -> None:
    assert set(FACTS) == REASONS_TO_ACT == set(KINDS)


def test_subject_and_text_are_cut_to_their_length() -> None:
    texts = language_named("en", {})
    long = {**ALL, "product": "x" * 39 + " " + "y" * 39}
    written = texts.written(ActionCode.WISHED, ActionKind.ITEMS, long, subject_chars=30, text_chars=60)
    assert len(written.subject) <= 30
    assert len(written.text) <= 60
    assert written.subject.endswith("…")


def test_a_subject_begins_with_a_capital() -> None:
    facts = {**ALL, "product": "oat milk"}
    written = language_named("en", {}).written(
        ActionCode.SCANNED, ActionKind.ITEMS, facts, subject_chars=60, text_chars=400
    )
    assert written.subject == "Oat milk"


def test_every_kind_of_offer_has_words_with_and_without_a_value() -> None:
    texts = language_named("en", {})
    assert [texts.offer_words(kind, "$2.00") for kind in OFFER_KINDS] == [
        "$2.00 off",
        "free delivery",
        "points worth $2.00",
        "a gift worth $2.00",
    ]
    assert [texts.offer_words(kind, None) for kind in OFFER_KINDS] == [
        "a discount",
        "free delivery",
        "extra points",
        "a gift",
    ]


def test_a_merchants_own_texts_go_before_those_that_ship() -> None:
    own = {"en": EN.replace("Your basket is still here", "Forgot something?")}
    written = language_named("en", own).written(
        ActionCode.LEFT_IN_BASKET, ActionKind.ITEMS, ALL, subject_chars=60, text_chars=400
    )
    assert written.subject == "Forgot something?"


def test_a_language_that_nobody_has_is_a_mistake_of_the_policy() -> None:
    with pytest.raises(PolicyError, match=r"actions.language: there are no texts in 'xx', only in de, en"):
        language_named("xx", {})


def test_all_mistakes_of_a_file_are_named_at_once() -> None:
    broken = (
        EN.replace('plural = "one"', 'plural = "one"\ncolour = "red"')
        .replace("From your wish list: {{ offer }}", "{{ ofer }}")
        .replace('[messages.due]\nwhy = "', '[messages.due]\nwhy = "{{ product.x }}')
        .replace("[messages.looked_at.items]\nsubject", "[messages.looked_at.items]\ntitle")
        .replace('free_shipping = "free delivery"', "free_shipping = 5")
    )
    said = mistakes_of(broken.replace('colour = "red"', "") + "\n[extra]\n")
    for each in (
        "extra: unknown section",
        "messages.wished.offer.subject: line 1: ofer is no fact",
        "messages.due.why: line 1: Getattr",
        "messages.looked_at.items.title: unknown key",
        "messages.looked_at.items.subject: missing",
        "offers.free_shipping: must be a text",
    ):
        assert each in said
    assert "form.colour: unknown key" in mistakes_of(broken)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ('plural = "two"', "form.plural: must be one of one, zero_one"),
        ('money = "{amount.__class__}"', "form.money: may hold {amount}, {symbol} only"),
        ('money = "{amount!r}"', "form.money: may hold"),
        ('money = "{amount:>999999999}"', "form.money: may hold"),
        ('money = "{0}"', "form.money: may hold"),
        ('money = "{amount"', "form.money: is no pattern"),
        ('date = "{year}"', "form.date: may hold {weekday}, {day}, {month} only"),
        ("distance_km = 0", "form.distance_km: must be a number above 0"),
        ("distance_km = nan", "form.distance_km: must be a number above 0"),
        ('days = ["Monday"]', "form.days: must be a list of 7 words"),
        ("list_and = 1", "form.list_and: must be a text"),
    ],
)
def test_a_form_that_is_wrong_is_named(form: str, said: str) -> None:
    name = form.split(" =")[0]
    assert said in mistakes_of(re.sub(rf"(?m)^{name} = .*$", form, EN, count=1))


def test_a_form_that_is_missing_is_named() -> None:
    assert "form.list_and: missing" in mistakes_of(re.sub(r"(?m)^list_and = .*$", "", EN))


def test_what_is_no_toml_is_said_in_one_line() -> None:
    for text in ("a = ", "a = " + "[" * 3000, "a = 1" + "0" * 5000):
        assert "not TOML" in mistakes_of(text)


def test_the_languages_have_the_same_keys() -> None:
    def keys(value: object, path: str = "") -> set[str]:
        if not isinstance(value, dict):
            return {path}
        return {each for name, inner in value.items() for each in keys(inner, f"{path}.{name}")}

    shapes = {name: keys(tomllib.loads(source)) for name, source in shipped_texts().items()}
    assert len({frozenset(shape) for shape in shapes.values()}) == 1
