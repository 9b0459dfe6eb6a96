from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field
from typing import Literal

import pytest

from training.config import (
    SearchRange,
    Study,
    field_hints,
    field_names,
    field_value,
    load_config,
    load_study,
    nested,
    parse_config,
    parse_search,
    parse_study,
)
from training.errors import ConfigError


@dataclass(frozen=True)
class Trees:
    n_trees: int = 10
    rate: float = 0.1


@dataclass(frozen=True)
class Model:
    n_cutoffs: int = 4
    half_lives: tuple[int, ...] = (14, 56)
    kind: Literal["product", "type"] = "type"
    cap: int | None = None
    trees: Trees = field(default_factory=Trees)

    def __post_init__(self) -> None:
        if self.n_cutoffs < 1:
            raise ConfigError("n_cutoffs must be at least 1")


def parse(text: str, *, is_quick: bool = False) -> Model:
    return parse_config(Model, text, where="model.toml", is_quick=is_quick)


def test_what_is_left_out_keeps_its_default() -> None:
    assert parse("n_cutoffs = 12\n[trees]\nrate = 1\n") == Model(n_cutoffs=12, trees=Trees(rate=1.0))


def test_an_integer_is_taken_for_a_number_and_becomes_one() -> None:
    assert isinstance(parse("[trees]\nrate = 1\n").trees.rate, float)


def test_a_list_becomes_a_tuple_and_the_config_is_frozen() -> None:
    model = parse("half_lives = [7]")
    assert model.half_lives == (7,)
    with pytest.raises(FrozenInstanceError):
        model.n_cutoffs = 3  # type: ignore[misc]


def test_quick_lies_over_the_rest_only_when_asked() -> None:
    text = "n_cutoffs = 12\n[trees]\nrate = 0.3\n[quick]\nn_cutoffs = 2\ntrees = {n_trees = 5}\n"
    assert parse(text).n_cutoffs == 12
    assert parse(text, is_quick=True) == Model(n_cutoffs=2, trees=Trees(n_trees=5, rate=0.3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_cutofs = 1", "unknown key n_cutofs"),
        ("[trees]\ndepth = 1", r"unknown key trees\.depth"),
        ("[quick]\ndepth = 1", r"unknown key quick\.depth"),
        ("n_cutoffs = 1.5", "n_cutoffs is 1.5, expected int"),
        ("n_cutoffs = true", "expected int"),
        ("kind = 'brand'", "kind is 'brand'"),
        ("half_lives = ['x']", "half_lives"),
        ("trees = 3", "trees is 3"),
        ("n_cutoffs = 0", "at least 1"),
        ("n_cutoffs =", "not TOML"),
        ("n_cutoffs = " + "[" * 3000, "not TOML"),
        ("n_cutoffs = 1" + "0" * 5000, "not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(text)
    assert "model.toml" in str(caught.value)


def test_all_faults_are_listed_at_once() -> None:
    with pytest.raises(ConfigError, match=r"first.*second"):
        parse("first = 1\nsecond = 2")


def test_search_ranges_name_real_fields() -> None:
    text = '[search]\nn_cutoffs = {low = 4, high = 16}\n"trees.rate" = {choices = [0.1, 0.2]}\n'
    assert parse_search(Model, text, where="model.toml") == (
        SearchRange("n_cutoffs", low=4, high=16),
        SearchRange("trees.rate", choices=(0.1, 0.2)),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"trees.depth" = {low = 1, high = 2}', "no such field"),
        ("n_cutoffs = {low = 1, hihg = 2}", "unknown key hihg"),
        ("n_cutoffs = {low = 2, high = 1}", "low < high"),
        ("n_cutoffs = {low = 1, high = 2, choices = [1]}", "either"),
        ("n_cutoffs = {low = 0, high = 2, log = true}", "above 0"),
        ("n_cutoffs = 3", "not a table"),
        ("n_cutoffs = {low = 1.5, high = 3}", "1.5 is no int"),
        ("n_cutoffs = {choices = [2, 'x']}", "'x' is no int"),
        ("kind = {choices = ['type', 'brand']}", "'brand' is no"),
        ("kind = {low = 1, high = 2}", "a range is for numbers"),
    ],
)
def test_a_wrong_search_space_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_search(Model, f"[search]\n{text}\n", where="model.toml")


def test_fields_of_tables_have_dotted_names() -> None:
    assert field_names(Model) == ["n_cutoffs", "half_lives", "kind", "cap", "trees.n_trees", "trees.rate"]


def test_an_unknown_config_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="no config named"):
        load_config(Model, "no_such_model")


STUDY = """
[study]
name = "model-20171009"
trials = 40
cutoffs = ["2017-07-17", "2017-08-14"]
metric = "auc"
value = 1
data_digest = "3a0c"
date = "2017-12-31"
"""


def test_a_study_stands_beside_the_fields_and_is_none_of_them() -> None:
    text = f"n_cutoffs = 12\n{STUDY}"
    assert parse(text) == parse(text, is_quick=True) == Model(n_cutoffs=12)
    study = Study("model-20171009", 40, ("2017-07-17", "2017-08-14"), "auc", 1.0, "3a0c", "2017-12-31")
    assert parse_study(text, where="model.toml") == study
    assert parse_study("n_cutoffs = 12", where="model.toml") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[study]", r"name is missing.*trials is missing.*date is missing"),
        (STUDY + "trails = 4\n", "unknown key trails"),
        (STUDY.replace("40", "0"), "trials must be at least 1"),
        (STUDY.replace("40", "'many'"), "trials is 'many', expected int"),
        ("study = 3", "expected a table"),
    ],
)
def test_a_wrong_study_is_refused_with_its_file(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"model.toml.*{message}"):
        parse_study(text, where="model.toml")


def test_a_shipped_config_without_a_study_has_none() -> None:
    assert load_study("recipe") is None


def test_values_by_dotted_name_go_out_and_come_back() -> None:
    model = Model(n_cutoffs=3, trees=Trees(n_trees=7))
    values = {name: field_value(model, name) for name in field_names(Model)}
    assert parse_config(Model, "", where="") == Model()
    assert nested(values)["trees"] == {"n_trees": 7, "rate": 0.1}
    assert field_hints(Model)["trees.rate"] is float
