"""Templates of messages: what they may say, and every way out of the sandbox that we could think of."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from serving.decisioning.text_templates import MAX_SOURCE, Fact, Template
from serving.decisioning.texts import parse_texts, shipped_texts
from serving.errors import TextsError

FORMS = parse_texts(shipped_texts()["en"]).forms
FACTS = {"product": Fact(), "n": Fact(is_number=True), "price": Fact(may_be_missing=True)}


def template(source: str) -> Template:
    return Template(source, FACTS, FORMS)


def test_facts_are_filled_in() -> None:
    assert template("{{ product }} at {{ n }}").filled({"product": "Milk", "n": 3, "price": None}) == "Milk at 3"


def test_a_fact_that_is_missing_may_be_left_out() -> None:
    text = template("{{ product }}{% if price %} for {{ price }}{% endif %}")
    known: dict[str, str | int | None] = {"product": "Milk", "n": 1}
    assert text.filled({**known, "price": "$2.00"}) == "Milk for $2.00"
    assert text.filled({**known, "price": None}) == "Milk"


def test_plurals_follow_the_number() -> None:
    text = template("{{ n }} {{ n | plural('day', 'days') }}")
    assert [text.filled({"product": "", "n": n, "price": None}) for n in (1, 2)] == ["1 day", "2 days"]


def test_a_language_has_as_many_forms_as_it_says() -> None:
    polish = replace(FORMS, plural="polish")
    text = Template("{{ n }} {{ n | plural('dzień', 'dni', 'dni') }} {{ product }}", FACTS, polish)
    assert [text.filled({"product": "", "n": n, "price": None}) for n in (1, 3, 5)] == ["1 dzień", "3 dni", "5 dni"]
    with pytest.raises(TextsError, match="takes this language's 3 forms"):
        Template("{{ n | plural('dzień', 'dni') }}", FACTS, polish)


def test_what_is_in_a_fact_is_never_a_template() -> None:
    nasty = "{{ product }} {% for x in y %} {{ ''.__class__ }} <b>&amp;"
    assert template("{{ product }}!").filled({"product": nasty, "n": 1, "price": None}) == f"{nasty}!"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ product.__class__ }}", "Getattr is not allowed"),
        ("{{ product['__class__'] }}", "Getitem is not allowed"),
        ("{{ product[0] }}", "Getitem is not allowed"),
        ("{{ product|attr('__class__') }}", "no filter attr"),
        ("{{ product.upper() }}", "Call is not allowed"),
        ("{{ ''.join(['a', 'b']) }}", "Call is not allowed"),
        ("{{ range(10000000) }}", "Call is not allowed"),
        ("{{ lipsum() }}", "Call is not allowed"),
        ("{{ self._TemplateReference__context }}", "self is no fact"),
        ("{{ cycler.__init__.__globals__ }}", "cycler is no fact"),
        ("{{ namespace }}", "namespace is no fact"),
        ("{% for i in product %}{{ i }}{% endfor %}", "For is not allowed"),
        ("{% for i in product recursive %}{{ loop(product) }}{% endfor %}", "For is not allowed"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "Macro is not allowed"),
        ("{% set product = 'x' %}{{ product }}", "Assign is not allowed"),
        ("{% set ns %}{{ product }}{% endset %}", "AssignBlock is not allowed"),
        ("{% include 'en.toml' %}", "Include is not allowed"),
        ("{% import 'os' as os %}", "Import is not allowed"),
        ("{% from 'os' import path %}", "FromImport is not allowed"),
        ("{% extends 'base' %}", "Extends is not allowed"),
        ("{% block a %}x{% endblock %}", "Block is not allowed"),
        ("{% filter upper %}x{% endfilter %}", "FilterBlock is not allowed"),
        ("{% with a = 1 %}{{ a }}{% endwith %}", "With is not allowed"),
        ("{% autoescape true %}{{ product }}{% endautoescape %}", "ScopedEvalContextModifier is not allowed"),
        ("{% do product %}", "no template"),
        ("{{ 'a' * 1000000000 }}", "Mul is not allowed"),
        ("{{ 9 ** 999999999 }}", "Pow is not allowed"),
        ("{{ n + 1 }}", "Add is not allowed"),
        ("{{ product ~ product }}", "Concat is not allowed"),
        ("{{ '%s' % product }}", "Mod is not allowed"),
        ("{{ '%1000000000d' % n }}", "Mod is not allowed"),
        ("{{ [product] }}", "List is not allowed"),
        ("{{ {'a': product} }}", "Dict is not allowed"),
        ("{{ (product, n) }}", "Tuple is not allowed"),
        ("{{ product is defined }}", "Test is not allowed"),
        ("{{ product | e }}", "no filter e"),
        ("{{ product | plural('a', 'b') }}", "for a fact that is a number"),
        ("{{ n | plural('day') }}", "takes this language's 2 forms"),
        ("{{ n | plural('a', product) }}", "takes this language's 2 forms"),
        ("{{ n | plural(*product) }}", "takes this language's 2 forms"),
        ("{{ customer_id }}", "customer_id is no fact"),
        ("{{ price }}", "may be missing"),
        ("{% if price > 2 %}dear{% endif %}{{ product }}", "not supported between"),
        ("{% if price %}{{ price }}{% endif %}", "says nothing"),
        ("{{ product", "no template"),
        ("{% if product %}", "no template"),
        ("", "says nothing"),
        ("   \n ", "says nothing"),
    ],
)
def test_a_template_that_reaches_for_more_is_refused(source: str, said: str) -> None:
    with pytest.raises(TextsError, match=".") as caught:
        template(source)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_mistakes_of_a_template_are_named_at_once() -> None:
    with pytest.raises(TextsError) as caught:
        template("{{ a }}{{ b.c }}{% for i in d %}{% endfor %}")
    assert all(said in str(caught.value) for said in ("a is no fact", "Getattr", "For is not"))


@pytest.mark.parametrize("nested", ["(" * 900 + "n" + ")" * 900, "not " * 450 + "n", "-" * 900 + "n", "[" * 900])
def test_deep_nesting_is_refused_or_harmless_and_quick(nested: str) -> None:
    started = time.perf_counter()
    try:
        text = template("{{ " + nested + " }}").filled({"product": "x", "n": 1, "price": None})
    except TextsError:
        text = ""
    assert len(text) < 10
    assert time.perf_counter() - started < 5.0


def test_a_source_that_is_too_long_is_refused() -> None:
    with pytest.raises(TextsError, match=r"has 2,001 characters, at most 2,000"):
        template("a" * (MAX_SOURCE + 1))


def test_the_sandbox_holds_also_where_the_tree_is_not_looked_at() -> None:
    from serving.decisioning.text_templates import _sandbox

    sandbox = _sandbox(FORMS)
    for source in ("{{ product.__class__ }}", "{{ product['x'] }}", "{{ product.upper() }}", "{{ 'a' * n }}"):
        with pytest.raises(Exception, match="may not|not safely|is unsafe|undefined"):
            sandbox.from_string(source).render(product="Milk", n=10**9)
