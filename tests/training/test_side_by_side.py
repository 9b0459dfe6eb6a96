"""Models learned side by side are those learned one after another; what goes wrong in a process is said in this one."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from training.errors import EmbargoError
from training.history import History
from training.judge import Judgement
from training.judging import Bench, fitting
from training.learners import Learner, learners, with_config
from training.recipe import Recipe
from training.side_by_side import fitted_side_by_side, judged_side_by_side, processes_for

EVEN_SMALL = Recipe(n_judged=1, side_by_side_lines=0)
QUICK_ONES = ("churn", "best_hour", "segments")


def bench(history: History, said: list[str], recipe: Recipe = EVEN_SMALL) -> Bench:
    return Bench(history, recipe, said.append)


def quick_ones() -> list[Learner]:
    return [each for each in learners(is_quick=True) if each.name in QUICK_ONES]


def as_config(learner: Learner, n_cutoffs: int) -> Learner:
    return with_config(learner.name, replace(learner.config, n_cutoffs=n_cutoffs))


def killed(history: History) -> Any:
    os._exit(1)


def looks_ahead(history: History) -> Any:
    return history.features("customers", replace(history.known_until, us=history.known_until.us + 1))


def nothing(*_: Any) -> Any:
    return Judgement("odd", (), ())


def odd_ones(fit: Any) -> list[Learner]:
    return [Learner(name, Recipe(), fit, nothing, nothing) for name in ("one", "another")]


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)


@pytest.mark.slow
@pytest.mark.usefixtures("two_cores")
def test_models_judged_side_by_side_are_those_judged_one_after_another(shop_history: History) -> None:
    said: list[str] = []
    alone = bench(shop_history, [])
    churn = next(each for each in quick_ones() if each.name == "churn")
    models = [*quick_ones(), as_config(churn, 2)]  # two recipes of one model: challenger and champion
    beside = judged_side_by_side(bench(shop_history, said), models)
    assert len(beside.made) == len(models)
    for learner in models:
        one, other = alone.judged(learner), beside.judged(learner)
        assert other.judgement.flat() == pytest.approx(one.judgement.flat(), rel=1e-9)  # BLAS adds in another order
        assert other.pictures.keys() == one.pictures.keys()
        moment = max(one.fits)
        expected = one.fits[moment].predict(shop_history, moment)
        pd.testing.assert_frame_equal(other.fits[moment].predict(shop_history, moment), expected, rtol=1e-9)
        assert beside.meter.cost(fitting(learner.name)).cpu_seconds > 0
    assert {line.split(":")[0] for line in said} == {f"judge {name}" for name in QUICK_ONES}


@pytest.mark.slow
@pytest.mark.usefixtures("two_cores")
def test_an_error_in_a_process_is_raised_here(shop_history: History) -> None:
    with pytest.raises(EmbargoError, match="nothing after day"):
        fitted_side_by_side(bench(shop_history, []), odd_ones(looks_ahead))


@pytest.mark.slow
@pytest.mark.usefixtures("two_cores")
def test_a_killed_process_leaves_the_work_to_this_one(shop_history: History) -> None:
    said: list[str] = []
    assert fitted_side_by_side(bench(shop_history, said), odd_ones(killed)) == {}
    assert "killed" in said[-1]


@pytest.mark.usefixtures("two_cores")
def test_one_process_is_enough_for_a_small_source_one_model_or_one_core(
    shop_history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert processes_for(bench(shop_history, []), 5) == 2
    assert processes_for(bench(shop_history, []), 1) == 1
    assert processes_for(bench(shop_history, [], replace(EVEN_SMALL, side_by_side_lines=10**9)), 5) == 1
    assert processes_for(bench(shop_history, [], replace(EVEN_SMALL, n_processes=1)), 5) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert processes_for(bench(shop_history, []), 5) == 1
    assert judged_side_by_side(bench(shop_history, []), quick_ones()).made == {}
