"""Judging on a bench: the embargo, what a history too short gives, and models that are asked once for the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.asof import Moment
from features.build import FeatureStore
from tests.features.tiny import at, line, write_tables
from training.errors import EmbargoError
from training.history import History
from training.judge import Judgement
from training.judging import Asked, Bench, fitting, judging
from training.learners import Learner
from training.plots import importance_figure
from training.recipe import Recipe


class Counted:
    """A model that counts what it is asked, and says what it was asked as of."""

    name = "counted"

    def __init__(self) -> None:
        self.n_asked = 0

    def predict(self, history: History, moment: Moment) -> pd.DataFrame:
        self.n_asked += 1
        return pd.DataFrame({"day": [moment.day], "known": [history.known_until.day]})


@pytest.fixture
def history(tmp_path: Path) -> History:
    tables = write_tables(tmp_path / "t", [line(order, order) for order in range(120)])
    return History(FeatureStore(tables, tmp_path / "f"), at(120))


def test_a_model_is_asked_once_for_the_same_and_again_for_something_else(history: History) -> None:
    model: Any = Counted()
    asked = Asked(model)
    first = asked.predict(history, at(50))
    assert asked.predict(history, at(50)).equals(first)
    assert model.n_asked == 1
    asked.predict(history, at(51))
    asked.predict(history.until(at(60)), at(50))
    assert model.n_asked == 3
    assert asked.name == "counted"


def test_who_changes_a_prediction_changes_their_own(history: History) -> None:
    model: Any = Counted()
    asked = Asked(model)
    first = asked.predict(history, at(50))
    first["day"] = 0
    assert asked.predict(history, at(50))["day"].tolist() == [at(50).day]


def test_models_learn_up_to_their_cutoff_and_are_judged_on_what_came_after(history: History) -> None:
    def fit(known: History) -> Any:
        with pytest.raises(EmbargoError):
            known.purchases_after(known.known_until, 1)
        return Counted()

    def judge(fits: Any, known: History) -> Judgement:
        assert known.known_until == history.known_until
        return Judgement("class", tuple(str(each.day) for each in fits), ())

    def figures(fits: Any, known: History) -> Any:
        return {"importance.png": importance_figure({"a": 1.0}, title="t")}

    learner = Learner("name", Recipe(), fit, judge, figures)
    bench = Bench(history, Recipe(n_judged=2), lambda _: None)
    found = bench.judged(learner)
    assert found.judgement.model == "name"
    assert found.judgement.cutoffs == tuple(str(at(day).day) for day in (64, 92))
    assert found.pictures["importance.png"].startswith(b"\x89PNG")
    assert found.results == ""
    assert [each.stage for each in bench.meter.costs] == [fitting("name"), fitting("name"), judging("name")]
