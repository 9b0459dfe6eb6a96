"""Arms by hash: sticky, balanced, independent between experiments, and stable when an arm grows."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import chi2, chi2_contingency, kstest

from serving.experiments import HOLDOUT, Arm, Assignment, Experiment, Experiments, Holdout, laid_out, point_of
from serving.experiments_toml import default_experiments

START = datetime(2018, 1, 8, tzinfo=UTC)
END = START + timedelta(days=56)
LIFT = default_experiments().lift
IDS = [f"customer-{i}" for i in range(100_000)]


def experiment(name: str, *shares: float) -> Experiment:
    arms = tuple(Arm(f"arm-{i}", share) for i, share in enumerate(shares))
    return Experiment(name, START, END, arms, name)


def experiments(*running: Experiment, holdout: float = 0.0) -> Experiments:
    return Experiments(Holdout(holdout), LIFT, running)


def held_out(share: float, ids: list[str]) -> set[str]:
    plan = experiments(holdout=share)
    return {each for each in ids if plan.assign(each, START) is not None}


def owner_at(shares: list[float], point: float) -> int:
    edges, owners = laid_out(shares)
    return owners[bisect_right(edges, point) - 1]


def test_the_arms_of_100_000_customers_have_their_shares() -> None:
    shares = {"arm-0": 0.5, "arm-1": 0.3, None: 0.2}
    tested = experiment("balance", 0.5, 0.3)
    arms = [tested.arm_of(each) for each in IDS]
    counts = Counter(None if arm is None else arm.name for arm in arms)
    statistic = sum((counts[arm] - len(IDS) * share) ** 2 / (len(IDS) * share) for arm, share in shares.items())
    assert chi2.sf(statistic, df=2) > 0.001


def test_points_are_spread_evenly_also_for_ids_that_look_alike() -> None:
    assert kstest([point_of(each, "even") for each in IDS[:20_000]], "uniform").pvalue > 0.001


def test_two_experiments_draw_independently_of_each_other() -> None:
    first, second = experiment("one", 0.5, 0.5), experiment("two", 0.2, 0.4, 0.4)
    table = np.zeros((2, 3))
    for each in IDS:
        one, two = first.arm_of(each), second.arm_of(each)
        assert one is not None
        assert two is not None
        table[int(one.name[-1]), int(two.name[-1])] += 1
    assert chi2_contingency(table).pvalue > 0.001


def test_the_holdout_is_independent_of_an_experiment_with_its_salt() -> None:
    tested = experiment("holdout-like", 0.5, 0.5)
    tested = Experiment(tested.name, START, END, tested.arms, HOLDOUT)
    held = held_out(0.1, IDS)
    n_first = sum(tested.arm_of(each) == tested.arms[0] for each in held)
    assert abs(n_first / len(held) - 0.5) < 4 * np.sqrt(0.25 / len(held))


def test_an_arm_stays_the_same_from_call_to_call() -> None:
    plan = experiments(experiment("sticky", 0.4, 0.4), holdout=0.1)
    later = END - timedelta(seconds=1)
    assert [plan.assign(each, START) for each in IDS[:500]] == [plan.assign(each, later) for each in IDS[:500]]


def test_nobody_is_in_an_experiment_outside_its_time() -> None:
    plan = experiments(experiment("timed", 0.5, 0.5))
    assert plan.assign("anna", START - timedelta(microseconds=1)) is None
    assert plan.assign("anna", START) is not None
    assert plan.assign("anna", END) is None


def test_the_holdout_goes_before_every_experiment_and_never_ends() -> None:
    plan = experiments(experiment("timed", 0.5, 0.5), holdout=0.2)
    held = held_out(0.2, IDS[:2000])
    assert 0.15 < len(held) / 2000 < 0.25
    for at in (START - timedelta(days=1000), START, END + timedelta(days=1000)):
        assert all(plan.assign(each, at) == Assignment(HOLDOUT, HOLDOUT, 0.2) for each in held)


def test_the_holdout_keeps_its_customers_as_it_grows() -> None:
    assert held_out(0.05, IDS[:5000]) < held_out(0.10, IDS[:5000])


def test_a_customer_is_in_the_first_experiment_that_has_a_place() -> None:
    first, second = experiment("first", 0.2, 0.2), experiment("second", 0.5, 0.5)
    plan = experiments(first, second)
    for each in IDS[:500]:
        found = plan.assign(each, START)
        assert found is not None
        assert found.experiment == ("second" if first.arm_of(each) is None else "first")


def test_an_assignment_carries_the_share_of_its_arm() -> None:
    found = experiments(experiment("only", 1.0)).assign("anna", START)
    assert found == Assignment("only", "arm-0", 1.0)
    assert found.label() == {"name": "only", "arm": "arm-0"}


shares_of = st.lists(st.floats(0.01, 1.0), min_size=2, max_size=5)


@given(shares_of, st.floats(0, 1))
def test_each_arm_has_its_share_of_the_line(raw: list[float], scale: float) -> None:
    shares = [each / sum(raw) * max(scale, 0.05) for each in raw]
    edges, owners = laid_out(shares)
    lengths = np.diff([*edges, 1.0])
    for arm, share in enumerate(shares):
        found = sum(length for length, owner in zip(lengths, owners, strict=True) if owner == arm)
        assert found == pytest.approx(share, abs=1e-9)
    assert list(edges) == sorted(edges)
    assert edges[0] == 0.0


@given(st.floats(0.01, 0.98), st.floats(0.01, 0.98), st.floats(0, 1), st.booleans())
def test_of_two_arms_each_keeps_all_its_customers_as_it_grows(a: float, b: float, growth: float, first: bool) -> None:
    assume(a + b <= 1)
    grown = [a, b]
    grown[0 if first else 1] += growth * (1 - a - b)
    for point in np.linspace(0, 0.9999, 401):
        before = owner_at([a, b], float(point))
        assert before in (-1, owner_at(grown, float(point)))


@given(st.integers(2, 6), st.data())
def test_arms_within_their_stretch_keep_all_their_customers_whichever_grow(n: int, drawn: st.DataObject) -> None:
    shares = drawn.draw(st.lists(st.floats(0.001, 1 / n), min_size=n, max_size=n))
    grown = [drawn.draw(st.floats(share, 1 / n)) for share in shares]
    for point in np.linspace(0, 0.9999, 301):
        before = owner_at(shares, float(point))
        assert before in (-1, owner_at(grown, float(point)))


@given(st.integers(3, 6), st.data())
def test_an_arm_that_borrows_alone_keeps_its_customers_and_takes_no_others(n: int, drawn: st.DataObject) -> None:
    others = drawn.draw(st.lists(st.floats(0.001, 1 / n), min_size=n - 1, max_size=n - 1))
    low, high = sorted(drawn.draw(st.tuples(*[st.floats(0.001, 1 - sum(others) + 1e-12)] * 2)))
    for point in np.linspace(0, 0.9999, 301):
        before = owner_at([low, *others], float(point))
        assert before in (-1, owner_at([high, *others], float(point)))
