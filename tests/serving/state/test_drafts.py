"""Frozen dataclasses made quickly are what they are when they are made plainly."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.drafts import quick
from serving.state.known import NO_STOCK, NOBODY, Known

CASES = [
    (DecisionPart, ("anna",)),
    (DecisionPart, ("anna", ({"product_id": "milk"},), (), {"k": 3}, (), None)),
    (DecisionRecord, ("d", "scores", 7, "v", ())),
    (Known, ()),
    (Known, (NOBODY, NO_STOCK, None)),
]


@pytest.mark.parametrize(("kind", "args"), CASES)
def test_what_is_made_quickly_is_the_same(kind: type, args: tuple[object, ...]) -> None:
    made, plain = quick(kind)(*args), kind(*args)

    assert type(made) is kind
    assert made == plain
    assert repr(made) == repr(plain)


def test_defaults_that_are_made_are_each_ones_own() -> None:
    make = quick(DecisionPart)

    assert make("a").asked is not make("b").asked


def test_fields_may_be_named() -> None:
    assert quick(DecisionPart)(customer_id="anna", asked={"k": 3}) == DecisionPart("anna", asked={"k": 3})


def test_it_stays_frozen() -> None:
    made = quick(DecisionPart)("anna")

    for each in fields(made):
        with pytest.raises(FrozenInstanceError):
            setattr(made, each.name, None)
