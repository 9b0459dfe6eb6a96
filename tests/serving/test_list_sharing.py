from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.list_sharing import ANY_NUMBER, CHOICE, NO_CLAIM, Allotment, Claims, keys_of, share_out

Wishes = list[list[tuple[int, int]]]  # for each customer their choices: the offer claimed and its key


def shared(tmp_path: Path, wishes: Wishes, places: list[int], k: int, size: int = 3) -> list[list[int]]:
    """Return for each customer the offers of the choices that came true."""
    with Claims(tmp_path) as claims:
        for start in range(0, len(wishes), size):
            rows = [
                (who, who, 0, claim, key)
                for who, choices in enumerate(wishes[start : start + size], start)
                for claim, key in choices
            ]
            claims.add(np.array(rows, dtype=CHOICE))
        allotment = share_out(claims, np.array(places, dtype=np.int64), k)
        found: list[list[int]] = [[] for _ in wishes]
        for block in claims.blocks():
            for choice in block[allotment.chosen(block)]:
                found[int(choice["customer"])].append(int(choice["claim"]))
    return found


def proposed(wishes: Wishes, places: list[int], k: int) -> list[list[int]]:
    """Return the same by customers who propose one after the other: slow and obvious."""
    refused: list[set[int]] = [set() for _ in wishes]
    while True:
        held = [[each for each in choices if each[0] not in refused[who]][:k] for who, choices in enumerate(wishes)]
        for offer, n in enumerate(places):
            asking = sorted(((key, who) for who, mine in enumerate(held) for claim, key in mine if claim == offer))
            for _, who in asking[: max(len(asking) - n, 0)]:
                refused[who].add(offer)
                break
            else:
                continue
            break
        else:
            return [[claim for claim, _ in mine] for mine in held]


def test_the_most_valuable_claims_are_met_and_the_others_take_their_next_choice(tmp_path: Path) -> None:
    wishes = [[(0, 5), (NO_CLAIM, 0)], [(0, 9), (NO_CLAIM, 0)], [(0, 7), (1, 1)]]
    assert shared(tmp_path, wishes, [1, 1], k=1) == [[NO_CLAIM], [0], [1]]


def test_a_next_choice_may_turn_away_another_in_turn(tmp_path: Path) -> None:
    wishes = [[(0, 5), (1, 8)], [(0, 9)], [(1, 3), (NO_CLAIM, 0)]]
    assert shared(tmp_path, wishes, [1, 1], k=1) == [[1], [0], [NO_CLAIM]]


def test_who_has_enough_otherwise_claims_nothing(tmp_path: Path) -> None:
    wishes = [[(NO_CLAIM, 0), (0, 9)], [(NO_CLAIM, 0), (NO_CLAIM, 0), (0, 1)]]
    assert shared(tmp_path, wishes, [1], k=2) == [[NO_CLAIM, 0], [NO_CLAIM, NO_CLAIM]]


def test_claims_that_nothing_tells_apart_are_met_all_or_none(tmp_path: Path) -> None:
    assert shared(tmp_path, [[(0, 4)], [(0, 4)], [(0, 6)]], [2], k=1) == [[], [], [0]]


@pytest.mark.parametrize("places", [0, ANY_NUMBER])
def test_an_offer_may_have_no_place_or_any_number(tmp_path: Path, places: int) -> None:
    assert shared(tmp_path, [[(0, 4)], [(0, 5)]], [places], k=1) == ([[], []] if places == 0 else [[0], [0]])


def test_a_list_without_claims_is_shared_at_once(tmp_path: Path) -> None:
    assert shared(tmp_path, [[], [(NO_CLAIM, 0)]], [], k=1) == [[], [NO_CLAIM]]


@st.composite
def shops(draw: st.DrawFn) -> tuple[Wishes, list[int], int]:
    n_offers = draw(st.integers(1, 4))
    n_customers = draw(st.integers(0, 9))
    keys = iter(draw(st.permutations(range(2**60, 2**60 + n_customers * n_offers))))
    wishes: Wishes = []
    for _ in range(n_customers):
        order = draw(st.lists(st.integers(NO_CLAIM, n_offers - 1), max_size=n_offers + 1, unique=True))
        wishes.append([(claim, 0 if claim == NO_CLAIM else next(keys) << draw(st.integers(0, 3))) for claim in order])
    return wishes, draw(st.lists(st.integers(0, 4), min_size=n_offers, max_size=n_offers)), draw(st.integers(1, 3))


@given(shops())
@settings(max_examples=150, deadline=None)
def test_shares_are_those_of_one_proposal_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, shop: tuple[Wishes, list[int], int]
) -> None:
    wishes, places, k = shop
    folder = tmp_path_factory.getbasetemp()
    keys = [key for choices in wishes for claim, key in choices if claim != NO_CLAIM]
    if len(set(keys)) < len(keys):
        return  # equal keys are met all or none: another test
    found = shared(folder, wishes, places, k)
    assert found == proposed(wishes, places, k)
    taken = [each for mine in found for each in mine if each != NO_CLAIM]
    assert all(taken.count(offer) <= n for offer, n in enumerate(places))


def test_keys_are_in_the_order_of_values_then_ties() -> None:
    values = np.array([-2.5, -0.0, 0.0, 1e-9, 3.0, 3.0], dtype=np.float32)
    ties = np.array([7, 1, 2, 0, 0, 4_294_967_295], dtype=np.uint32)
    assert np.argsort(keys_of(values, ties)).tolist() == [0, 1, 2, 3, 4, 5]


def test_customers_may_follow_one_another_in_any_numbering() -> None:
    block = np.array([(who, who, 0, NO_CLAIM, 0) for who in (0, 0, 4, 7, 7)], dtype=CHOICE)
    chosen = Allotment(np.zeros(0, dtype=np.uint64), 1).chosen(block)
    assert chosen.tolist() == [True, False, True, True, False]
