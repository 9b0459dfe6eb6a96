from __future__ import annotations

import itertools

import pytest

from serving.api_answers import ChallengeAnswer
from serving.state.challenges import Challenge, Line, kept, new_challenge, time_text, us_of, with_lines
from tests.serving.state.builders import BREAD, COFFEE, DAY, HOUR, KINDS, MILK, MONDAY, MONDAY_DAY, answer, item


def line(event_id: str, product_id: str, at_us: int = MONDAY, quantity: float = 1.0) -> Line:
    return Line(at_us, event_id, product_id, quantity)


def after(*lines: Line, made: ChallengeAnswer | None = None) -> Challenge:
    """Return the challenge after lines that came one by one."""
    challenge = new_challenge(MONDAY_DAY, made or answer(), MONDAY)
    for each in lines:
        challenge = with_lines(challenge, [each], KINDS, "r1")
    return challenge


ALL_THREE = (line("1", "milk-1", MONDAY), line("2", "bread-2", MONDAY + HOUR), line("3", "tea-1", MONDAY + 2 * HOUR))


def test_times_are_read_and_written_as_answers_have_them() -> None:
    assert us_of("2018-01-01T01:00:00+01:00") == MONDAY
    assert time_text(MONDAY + 1) == "2018-01-01T00:00:00Z"


def test_an_item_counts_its_product_its_type_or_its_category() -> None:
    made = answer(item("product", "milk-1"), item("product_type", "Milk"), item("category", "Dairy"))
    challenge = after(line("1", "milk-2"), line("2", "milk-1"), line("3", "tea-1"), made=made)
    assert kept(challenge, KINDS).quantities == (1, 2, 2)


def test_a_product_that_no_bundle_knows_counts_by_its_own_id_only() -> None:
    made = answer(item("product", "new-1"), item("product_type", "Milk"))
    assert kept(after(line("1", "new-1"), made=made), KINDS).is_done == (True, False)


def test_nothing_bought_is_nothing_done() -> None:
    assert kept(after(), KINDS).progress() == {"done": 0, "of": 3, "completed_at": None, "reward_id": None}


def test_the_purchase_that_makes_the_last_item_done_completes_it() -> None:
    assert kept(after(*ALL_THREE), KINDS).progress() == {
        "done": 3,
        "of": 3,
        "completed_at": "2018-01-01T02:00:00Z",
        "reward_id": "r1",
    }


@pytest.mark.parametrize("order", list(itertools.permutations(ALL_THREE)))
def test_the_outcome_is_the_same_in_whatever_order_purchases_come(order: tuple[Line, ...]) -> None:
    assert after(*order) == after(*ALL_THREE)


def test_quantities_add_up_to_the_target() -> None:
    made = answer(item("product_type", "Milk", target=3))
    assert after(line("1", "milk-1", quantity=2), made=made).completed_us is None
    assert after(line("1", "milk-1", quantity=2), line("2", "milk-2"), made=made).completed_us == MONDAY


def test_tenths_add_up_to_a_whole() -> None:
    made = answer(item("product_type", "Milk"))
    assert after(*(line(str(i), "milk-1", quantity=0.1) for i in range(10)), made=made).completed_us == MONDAY
    eleven = [line(str(i), "milk-1", MONDAY + i, quantity=0.1) for i in range(11)]
    together = with_lines(new_challenge(MONDAY_DAY, made, MONDAY), eleven, KINDS, "r1")
    assert together.completed_us == MONDAY + 9


def test_a_line_counts_once_however_often_it_comes() -> None:
    made = answer(item("product_type", "Milk", target=2))
    assert kept(after(line("1", "milk-1"), line("1", "milk-1"), made=made), KINDS).quantities == (1,)


def test_a_return_takes_progress_back_until_the_reward_is_granted() -> None:
    back = line("4", "milk-1", MONDAY + HOUR, quantity=-1)
    assert kept(after(ALL_THREE[0], back), KINDS).is_done == (False, False, False)
    assert kept(after(*ALL_THREE, back), KINDS).progress()["done"] == 3
    assert after(ALL_THREE[0], back, *ALL_THREE[1:]).reward_id is None


def test_only_what_happened_within_the_window_counts() -> None:
    ends = MONDAY + 7 * DAY
    outside = after(line("1", "milk-1", MONDAY - 1), line("2", "milk-1", ends))
    assert outside.lines == ()
    assert kept(after(line("1", "milk-1", ends - 1)), KINDS).is_done[0]


def test_what_is_bought_and_given_back_at_one_moment_was_never_bought() -> None:
    made = answer(MILK)
    lines = [line("1", "milk-1"), line("2", "milk-1", quantity=-1), line("3", "milk-1", MONDAY + HOUR)]
    challenge = with_lines(new_challenge(MONDAY_DAY, made, MONDAY), lines, KINDS, "r1")
    assert challenge.completed_us == MONDAY + HOUR


def test_a_challenge_without_a_reward_is_completed_and_grants_nothing() -> None:
    challenge = after(*ALL_THREE, made=answer(reward=None))
    assert challenge.completed_us == MONDAY + 2 * HOUR
    assert challenge.reward_id is None


def test_a_challenge_without_items_is_never_completed() -> None:
    made = answer() | {"items": []}
    assert after(*ALL_THREE, made=made).completed_us is None


def test_an_earlier_purchase_that_is_told_later_moves_completion_to_where_it_belongs() -> None:
    made = answer(MILK, BREAD)
    late = line("9", "milk-2", MONDAY)
    first_told = after(line("1", "milk-1", MONDAY + DAY), line("2", "bread-1", MONDAY + HOUR), made=made)
    assert first_told.completed_us == MONDAY + DAY
    assert with_lines(first_told, [late], KINDS, "r2").completed_us == MONDAY + HOUR
    assert with_lines(first_told, [late], KINDS, "r2").reward_id == "r1"


def test_what_stood_at_an_earlier_moment_can_be_asked() -> None:
    now = kept(after(*ALL_THREE), KINDS)
    assert now.as_of(MONDAY + 2 * HOUR).is_done == (True, True, False)
    assert now.as_of(MONDAY + 2 * HOUR).reward_id is None
    assert now.as_of(MONDAY + 2 * HOUR + 1).progress() == now.progress()
    assert now.as_of(MONDAY).progress()["done"] == 0


def test_the_answer_is_told_with_its_progress_and_kept_as_it_was_given() -> None:
    stands = kept(after(ALL_THREE[2]), KINDS)
    told = stands.told()
    assert [each["done"] for each in told["items"]] == [False, False, True]
    assert told["progress"]["done"] == 1
    assert [each["done"] for each in stands.answer["items"]] == [False, False, False]
    assert COFFEE["done"] is False
