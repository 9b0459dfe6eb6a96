"""What cutoffs show together, and the rules that an interval obeys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.backtest.observation import OURS, Fact, Findings, Observation, Table
from training.backtest.statistics import measure, results_of

DAYS = ("2017-10-09", "2017-11-06", "2017-12-04")


def households(n: int = 60, seed: int = 1) -> dict[str, Observation]:
    """Each household is alike at every cutoff and in each of its rows: 12 rows that say one thing."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=n)
    customers = np.repeat(np.arange(n), 4)
    found = {}
    for day in DAYS:
        ours = taste[customers] + 0.1 * rng.normal(size=len(customers))
        found[day] = Observation("t", "m", {OURS: ours, "peer": np.zeros(len(customers))}, customers)
    return found


def test_an_interval_is_that_of_households_over_all_cutoffs() -> None:
    """Twelve rows of a household are one opinion: rows drawn alone would claim √12 as much certainty."""
    by_day = households()
    by_household = measure(by_day).ours
    rng, n = np.random.default_rng(0), 60
    means = np.zeros(n)
    for each in by_day.values():
        means += np.bincount(each.customers, weights=each.values[OURS]) / 12
    drawn = [means[rng.integers(n, size=n)].mean() for _ in range(2000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert by_household.high - by_household.low == pytest.approx(high - low, rel=0.1)


def test_rows_or_cutoffs_drawn_alone_would_make_an_interval_too_narrow() -> None:
    """The mistakes made on purpose: a household a row, and a household a cutoff."""
    by_day = households()
    right = measure(by_day).gains["peer"]
    rows = measure({day: replace(each, customers=_rows_of(each, place)) for place, (day, each) in _places(by_day)})
    cutoffs = measure(
        {day: replace(each, customers=each.customers + 1000 * place) for place, (day, each) in _places(by_day)}
    )
    width = right.high - right.low
    assert rows.gains["peer"].high - rows.gains["peer"].low < width / 2.5  # √12 = 3.5
    assert cutoffs.gains["peer"].high - cutoffs.gains["peer"].low < width / 1.4  # √3 = 1.7


def _places(by_day: dict[str, Observation]) -> list[tuple[int, tuple[str, Observation]]]:
    return list(enumerate(by_day.items()))


def _rows_of(each: Observation, place: int) -> np.ndarray:
    return np.arange(len(each.customers)) + 10_000 * place


def test_a_paired_difference_is_surer_than_either_value() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(size=200)
    rows = Observation("t", "m", {OURS: base + 0.05 + 0.01 * rng.normal(size=200), "peer": base}, np.arange(200))
    found = measure({DAYS[0]: rows})
    assert found.gains["peer"].low > 0
    assert found.ours.low < found.values["peer"].value


def test_a_gain_is_above_0_for_better_whatever_the_direction() -> None:
    values = {OURS: np.array([1.0, 1.0]), "peer": np.array([3.0, 3.0])}
    loss = Observation("t", "MAE", values, np.arange(2), higher_is_better=False)
    assert measure({DAYS[0]: loss}).gains["peer"].value == 2.0
    assert measure({DAYS[0]: replace(loss, higher_is_better=True)}).gains["peer"].value == -2.0
    ratio = replace(loss, statistic="expected_over_observed", outcomes=np.array([1.0, 0.0]))
    assert measure({DAYS[0]: ratio}).gains["peer"].value == (6.0 - 1.0) - (2.0 - 1.0)


def test_the_best_peer_is_by_value_and_never_one_of_ours() -> None:
    values = {
        OURS: np.array([0.5]),
        "EASE": np.array([0.3]),
        "ALS": np.array([0.4]),
        f"{OURS}, chance × margin": np.array([0.9]),
    }
    found = measure({DAYS[0]: Observation("t", "m", values, np.arange(1))})
    assert found.best_peer == "ALS"
    assert found.best_gain is not None
    assert found.best_gain.value == pytest.approx(0.1)
    assert measure({DAYS[0]: Observation("t", "m", {OURS: np.ones(1)}, np.arange(1))}).best_peer is None


def test_a_peer_that_has_not_all_rows_is_compared_on_those_that_it_has() -> None:
    first = Observation("t", "m", {OURS: np.array([1.0, 1.0]), "peer": np.array([0.5, 0.5])}, np.arange(2))
    second = Observation("t", "m", {OURS: np.array([0.0, 0.0])}, np.arange(2))
    found = measure({DAYS[0]: first, DAYS[1]: second})
    assert (found.ours.value, found.values["peer"].value, found.gains["peer"].value) == (0.5, 0.5, 0.5)
    assert set(found.by_cutoff) == {DAYS[0], DAYS[1]}


def test_an_ece_has_its_floor_its_curve_and_an_interval_about_itself() -> None:
    rng = np.random.default_rng(3)
    chance = rng.random(400)
    perfect = Observation(
        "t",
        "ECE",
        {OURS: chance},
        np.arange(400),
        statistic="ece",
        higher_is_better=False,
        outcomes=(rng.random(400) < chance).astype(np.float64),
        bins=10,
    )
    found = measure({DAYS[0]: perfect})
    assert found.floor is not None
    assert found.curve is not None
    assert found.floor.mean < found.floor.p95
    assert found.ours.value < found.floor.p95
    assert found.ours.low < found.ours.value < found.ours.high
    assert found.curve.counts.tolist() == [40] * 10


def test_findings_become_a_result_for_each_name_in_the_report() -> None:
    def found(value: float, title: str) -> Findings:
        return Findings(
            [
                Observation("types", "recall@10", {OURS: np.array([value])}, np.arange(1)),
                Observation("products", "recall@10", {OURS: np.array([value])}, np.arange(1)),
            ],
            [Fact("types", "coverage", {OURS: value, "peer": np.nan})],
            [Table("types", title, ("a",), (("1",),))],
            ("no hours",),
        )

    types, products = results_of("Repeat", {DAYS[1]: found(1.0, "later"), DAYS[0]: found(0.0, "earlier")})
    assert (types.task, types.cutoffs, types.notes) == ("types", (DAYS[0], DAYS[1]), ("no hours",))
    assert types.measured[0].ours.value == products.measured[0].ours.value == 0.5
    assert types.facts[0].by_ranker[OURS] == 0.5
    assert [each.title for each in types.tables] == ["later"]
    assert products.notes == ()
    assert results_of("Repeat", {DAYS[0]: Findings(notes=("nothing",))}) == []
