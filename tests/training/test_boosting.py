from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from training.boosting import BoostedTrees, BoostingConfig, FitOptions, fit_trees, to_matrix, with_objective
from training.errors import ConfigError, TrainingError

SMALL = BoostingConfig(n_trees=20, n_leaves=7, min_rows_per_leaf=5)


def shop(n: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"due": rng.random(n), "noise": rng.random(n), "is_new": rng.random(n) < 0.5})
    return frame, (rng.random(n) < frame["due"]).to_numpy().astype(float)


def test_finds_the_feature_that_matters() -> None:
    frame, labels = shop()
    trees = fit_trees(frame, labels, SMALL)
    assert next(iter(trees.importance)) == "due"
    assert sum(trees.importance.values()) == pytest.approx(1)


def test_column_order_does_not_matter() -> None:
    frame, labels = shop()
    trees = fit_trees(frame, labels, SMALL)
    np.testing.assert_array_equal(trees.predict(frame), trees.predict(frame[["noise", "is_new", "due"]]))


def test_threads_do_not_change_the_trees() -> None:
    frame, labels = shop()
    one, two = (fit_trees(frame, labels, replace(SMALL, n_threads=n)) for n in (1, 2))
    np.testing.assert_array_equal(one.margin(frame), two.margin(frame))


def test_text_gives_the_same_model_back() -> None:
    frame, labels = shop()
    trees = fit_trees(frame, labels, SMALL)
    again = BoostedTrees.from_text(trees.to_text())
    assert again.feature_names == trees.feature_names
    assert again.objective == "binary"
    np.testing.assert_allclose(again.predict(frame), trees.predict(frame), rtol=1e-12)


def test_margin_is_the_log_odds_of_the_prediction() -> None:
    frame, labels = shop()
    trees = fit_trees(frame, labels, SMALL)
    np.testing.assert_allclose(1 / (1 + np.exp(-trees.margin(frame))), trees.predict(frame))


def test_missing_values_are_allowed_and_null_columns_too() -> None:
    frame, labels = shop()
    frame["gap"] = pd.Series([None, 1.0] * 200, dtype="Float64")
    assert np.isfinite(fit_trees(frame, labels, SMALL).predict(frame)).all()


def test_ranker_learns_order_within_queries() -> None:
    frame, labels = shop()
    ranker = fit_trees(frame, labels, with_objective(SMALL, "lambdarank"), FitOptions(rows_per_query=[10] * 40))
    assert np.corrcoef(ranker.predict(frame), frame["due"])[0, 1] > 0.5


def test_offset_leaves_only_the_rest_to_learn() -> None:
    frame, _ = shop()
    amounts = 3 * frame["due"].to_numpy()
    config = with_objective(SMALL, "regression")
    rest = fit_trees(frame, amounts, config, FitOptions(offset=amounts))
    np.testing.assert_allclose(rest.predict(frame), 0, atol=1e-6)


def test_predicting_nothing_gives_nothing() -> None:
    frame, labels = shop()
    assert fit_trees(frame, labels, SMALL).predict(frame.iloc[:0]).shape == (0,)


def test_a_missing_column_is_named() -> None:
    frame, labels = shop()
    with pytest.raises(TrainingError, match="noise"):
        fit_trees(frame, labels, SMALL).predict(frame.drop(columns="noise"))


def test_a_text_column_is_named() -> None:
    with pytest.raises(TrainingError, match="brand"):
        to_matrix(pd.DataFrame({"brand": ["a"]}), ["brand"])


@pytest.mark.parametrize(
    ("labels", "message"), [([], "labels"), ([np.nan] * 400, "not finite")], ids=["too few labels", "unknown labels"]
)
def test_bad_labels_are_refused(labels: list[float], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        fit_trees(shop()[0], labels, SMALL)


def test_no_rows_are_refused() -> None:
    with pytest.raises(TrainingError, match="nothing to fit"):
        fit_trees(pd.DataFrame({"a": []}), [], SMALL)


def test_ranking_needs_its_queries() -> None:
    frame, labels = shop()
    with pytest.raises(TrainingError, match="rows_per_query"):
        fit_trees(frame, labels, with_objective(SMALL, "lambdarank"))


def test_a_text_that_is_no_model_is_refused() -> None:
    with pytest.raises(TrainingError, match="not a LightGBM model"):
        BoostedTrees.from_text("hello")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="n_leaves"):
        BoostingConfig(n_leaves=1)
