"""Budgets when many promise, redeem, merge, forget and give back at once: never overdrawn, on a file and on Redis."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from serving.decisioning.policy import default_policy
from serving.state.holds import Hold, Promised
from serving.state.merging import Identity
from serving.state.shop import State
from serving.state.store import numbers_of
from tests.serving.state.builders import DAY, HOUR, KEY, MONDAY, event
from tests.serving.state.conftest import Opener
from tests.serving.state.promise_process import COST, OFFER, begin, promise_of
from tests.serving.state.redis_process import RedisProcess
from tests.serving.state.test_shop_races import at_once, workers
from tests.serving.state.writer_process import open_at

pytestmark = pytest.mark.usefixtures("persistent")
LATER = MONDAY + HOUR


def spent_and_reserved(state: State) -> tuple[float, float]:
    found = state.spending([OFFER], at_us=MONDAY)[OFFER]
    return found.spent, found.reserved


def holds(state: State) -> Iterator[Hold]:
    """Yield every hold that somebody has."""
    for person in state._persons():
        yield from person.holds


def check_the_books(state: State, *, swept: bool = False) -> None:
    """Fail unless what is reserved is what the open holds say, as a whole and by the minute."""
    open_holds = [each for each in holds(state) if each.redeemed_us is None and not swept]
    assert spent_and_reserved(state)[1] == pytest.approx(sum(each.cost for each in open_holds))
    ending = [numbers_of(document.value) for _, document in state._store.scan("held/")]
    assert sum(sum(each) for each in ending) == round(10_000 * sum(each.cost for each in open_holds))


def promise(state: State, who: str, budget: float) -> bool:
    return state.promise(who, promise_of(budget), now_us=MONDAY).kept is not None


def redeem(state: State, event_id: str, who: str) -> None:
    used = event(event_id, None, type="redeem", at=LATER, customer_id=who, offer_id=OFFER)
    state.accept([used], may_keep=lambda _live: True, kind_of=lambda _product: None, cost_of=lambda _offer: COST)


def test_of_many_who_ask_at_once_as_many_are_promised_as_the_budget_pays(open_again: Opener) -> None:
    states = workers(open_again)
    done = at_once(states, lambda n, state: sum(promise(state, f"c{n}-{i}", 20 * COST) for i in range(12)))
    assert sum(done) == 20
    assert spent_and_reserved(states[0]) == (0.0, 20 * COST)
    check_the_books(states[0])


def test_one_customer_on_all_workers_is_promised_an_offer_once(open_again: Opener) -> None:
    states = workers(open_again)
    basis = states[0].known("anna", offers=[OFFER], asked="offers/web").basis

    def ask(n: int, state: State) -> Promised:
        return state.promise("anna", replace(promise_of(100.0, name=f"d{n}"), basis=basis), now_us=MONDAY)

    done = at_once(states, ask)
    (winner,) = [each.kept for each in done if each.kept is not None]
    assert states[1].known("anna", asked="offers/web").kept["offers/web"] == winner
    assert spent_and_reserved(states[0]) == (0.0, COST)


def test_many_redeem_at_once_in_one_call_and_in_several(open_again: Opener) -> None:
    states = workers(open_again)
    names = [f"c{n}" for n in range(60)]
    assert all(states[0].promise(who, promise_of(1e6), now_us=MONDAY).kept for who in names)
    used = [event(f"r{who}", None, type="redeem", at=LATER, customer_id=who, offer_id=OFFER) for who in names]

    def tell(_n: int, state: State) -> int:
        sent = list(used)
        random.Random(_n).shuffle(sent)
        return state.accept(sent, may_keep=lambda _live: True, kind_of=lambda _product: None).accepted

    assert sum(at_once(states, tell)) == len(names)
    assert spent_and_reserved(states[0]) == (len(names) * COST, 0.0)


def test_the_books_are_right_whatever_happens_together(open_again: Opener) -> None:
    states = workers(open_again)
    budget = 15 * COST

    def work(n: int, state: State) -> Counter[str]:
        done: Counter[str] = Counter()
        dice = random.Random(n)
        for i in range(30):
            who = f"c{dice.randrange(20)}"
            kind = dice.choice(["promise"] * 5 + ["redeem", "merge", "forget", "sweep"])
            if kind == "promise":
                if not state.live(who).held_at(MONDAY):
                    done["promised"] += promise(state, who, budget)
            elif kind == "redeem":
                redeem(state, f"r{n}-{i}", who)
                done["redeemed"] += 1
            elif kind == "merge":
                state.link([Identity(who, "email", f"{dice.randrange(12)}@x")], is_loyal=lambda _: False, now_us=MONDAY)
            elif kind == "forget":
                state.forget(who, MONDAY - 1)
            else:
                state.sweep(MONDAY)
        return done

    done = sum(at_once(states, work), Counter[str]())
    assert done["promised"] > 0
    spent, reserved = spent_and_reserved(states[0])
    assert spent == done["redeemed"] * COST
    # What is redeemed without a hold is spent beyond the budget; no promise is made beyond it.
    assert reserved <= budget
    check_the_books(states[0])
    states[1].sweep(MONDAY + 2 * DAY)
    assert spent_and_reserved(states[2]) == (spent, 0.0)
    check_the_books(states[0], swept=True)


def test_what_has_ended_comes_back_once_although_all_workers_give_it_back(open_again: Opener) -> None:
    states = workers(open_again)
    names = [f"c{n}" for n in range(40)]
    for who in names:
        states[0].promise(who, promise_of(1e6), now_us=MONDAY)

    def work(n: int, state: State) -> None:
        for who in names[n :: len(states)]:
            redeem(state, f"r{who}", who)
            state.sweep(MONDAY + 3 * DAY)

    at_once(states, work)
    assert spent_and_reserved(states[0]) == (len(names) * COST, 0.0)


def run_writers(where: str, budget: float, *, n_writers: int, kills: int) -> Sequence[str]:
    """Return the names of those to whom writers said that they were promised; some writers are killed meanwhile."""
    writers = [begin(where, str(n), str(budget)) for n in range(n_writers)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    said: list[str] = []
    for writer in writers[:kills]:
        assert writer.stdout is not None
        said += [writer.stdout.readline().strip() for _ in range(30)]  # each has begun, and none has ended
    for writer in writers[:kills]:
        writer.kill()
    for writer in writers:
        assert writer.stdout is not None
        with writer.stdout as out:
            said += [line.strip() for line in out if line.startswith("c")]
        assert writer.wait(120) == (0 if writer not in writers[:kills] else -9)
    return said


def check_what_was_said(state: State, said: Sequence[str], budget: float) -> None:
    """Fail unless what writers said is kept, and all that is kept is in the books and within the budget."""
    spent, reserved = spent_and_reserved(state)
    assert spent + reserved <= budget
    assert all(state.live(who).holds for who in said)
    assert len(said) == len(set(said))
    check_the_books(state)
    assert spent == pytest.approx(COST * sum(each.redeemed_us is not None for each in holds(state)))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_processes_that_are_killed_leave_the_books_right_on_a_file(tmp_path: Path) -> None:
    where, budget = str(tmp_path / "state.db"), 3000 * COST
    said = run_writers(where, budget, n_writers=8, kills=4)
    state = State(open_at(where), KEY, default_policy().state)
    check_what_was_said(state, said, budget)
    spent, reserved = spent_and_reserved(state)
    assert spent + reserved > budget - COST  # those that were left used it up


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_processes_and_a_server_that_are_killed_leave_the_books_right_on_redis(own_redis: RedisProcess) -> None:
    budget = 2000 * COST
    said = run_writers(own_redis.url, budget, n_writers=8, kills=4)
    own_redis.stop(signal.SIGKILL)
    own_redis.start()
    state = State(open_at(own_redis.url), KEY, default_policy().state)
    check_what_was_said(state, said, budget)
