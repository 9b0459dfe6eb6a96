from __future__ import annotations

import tomllib

import pytest

from training.config import Study, parse_study
from training.errors import TuningError
from training.tuning.config_text import with_values

TEXT = """# A model.
n_cutoffs = 12  # weeks
kind = "a # b"

[trees]
rate = 0.1
sizes = [1, 2]

[quick]
n_cutoffs = 2

[quick.trees]
rate = 0.9

[search]
"trees.rate" = {low = 0.01, high = 1.0}
n_cutoffs = {choices = [4, 12]}
"""
STUDY = Study("m-1", 3, ("2017-08-14", "2017-09-11"), "auc", 0.5, "d1", "2017-12-31", seed=1, gain=-0.25)


def test_values_change_where_they_stand_and_all_else_stays() -> None:
    changed = with_values(TEXT, {"n_cutoffs": 4, "trees.rate": 1e-05, "trees.sizes": (3,), "kind": 'say "x"'}, None)
    expected = TEXT.replace("n_cutoffs = 12  #", "n_cutoffs = 4  #").replace(
        "[trees]\nrate = 0.1", "[trees]\nrate = 1e-05"
    )
    assert changed == expected.replace("[1, 2]", "[3]").replace('"a # b"', '"say \\"x\\""')


def test_a_value_that_stood_nowhere_comes_at_the_end_of_its_table() -> None:
    changed = with_values(TEXT, {"seed": 7, "trees.n_trees": 50, "blend.trees.rate": 0.5}, None)
    table = tomllib.loads(changed)
    assert (table["seed"], table["trees"]["n_trees"], table["blend"]["trees"]["rate"]) == (7, 50, 0.5)
    assert changed.index("[blend.trees]") < changed.index("[quick]")
    assert "sizes = [1, 2]\nn_trees = 50\n\n" in changed


def test_the_study_is_written_and_takes_the_place_of_the_one_before() -> None:
    once = with_values(TEXT, {}, STUDY)
    assert parse_study(once, where="") == STUDY
    assert once.startswith(TEXT.rstrip())
    assert with_values(once, {}, STUDY) == once
    assert with_values(once, {}, None) == TEXT


def test_a_study_between_tables_goes_without_its_neighbours() -> None:
    between = TEXT.replace("[search]", "# By hand.\n[study]\nname = 'old'\n\n[search]")
    assert with_values(between, {}, None) == TEXT


@pytest.mark.parametrize("text", ["trees = {rate = 0.1}\n", "trees.rate = 0.1\n"])
def test_a_value_in_a_form_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(TuningError, match=r"trees.rate can't be set"):
        with_values(text, {"trees.rate": 0.2}, None)
