from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from training.config import SearchRange
from training.tuning.space import Space


@dataclass(frozen=True)
class Trees:
    n_trees: int = 10
    rate: float = 0.123456


@dataclass(frozen=True)
class Model:
    kind: Literal["a", "b"] = "a"
    half_lives: tuple[int, ...] = (14, 56)
    cap: int | None = None
    trees: Trees = field(default_factory=Trees)


def space(*ranges: SearchRange) -> Space:
    return Space.of(Model(), ranges)


def test_what_ships_belongs_to_the_space_even_where_the_range_left_it_out() -> None:
    found = space(
        SearchRange("trees.n_trees", low=20, high=40),
        SearchRange("trees.rate", low=0.2, high=0.3, log=True),
        SearchRange("kind", choices=("b",)),
    )
    assert [(each.low, each.high) for each in found.dimensions[:2]] == [(10.0, 40), (0.123456, 0.3)]
    assert found.dimensions[2].choices == ("b", "a")
    assert found.shipped == {"trees.n_trees": 10, "trees.rate": 0.123456, "kind": "a"}


def test_whole_numbers_stay_whole_and_others_have_four_digits() -> None:
    found = space(SearchRange("trees.n_trees", low=1, high=40), SearchRange("trees.rate", low=0.01, high=1.0))
    assert found.read({"trees.n_trees": 7, "trees.rate": 0.0123456}) == {"trees.n_trees": 7, "trees.rate": 0.01235}


def test_a_choice_is_drawn_by_its_place_and_may_be_a_list() -> None:
    found = space(SearchRange("half_lives", choices=([7], [14, 56])))
    assert found.read({"half_lives": 0}) == {"half_lives": (7,)}
    assert found.drawn(found.shipped) == {"half_lives": 1}


def test_a_setting_without_a_value_has_no_place_in_a_range_and_stays() -> None:
    found = space(SearchRange("cap", low=1, high=9))
    assert found.dimensions[0].choices == (None,)
    assert found.read({"cap": 0}) == {"cap": None}


def test_spaces_are_known_again_by_their_record() -> None:
    one, other = SearchRange("trees.n_trees", low=1, high=40), SearchRange("trees.n_trees", low=1, high=41)
    assert space(one).record() == space(one).record() != space(other).record()
