"""A past bundle says the same whether its models were fitted one after another or side by side."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from serving.decisioning.policy import default_policy_text
from training.backtest import bundles
from training.backtest.bundles import PastBundles
from training.history import History
from training.learners import learners
from training.recipe import Recipe

QUICK_ONES = ("churn", "best_hour", "segments")


def scores_of(history: History, folder: Path, said: list[str]) -> pd.DataFrame:
    models = {each.name: each for each in learners(is_quick=True) if each.name in QUICK_ONES}
    past = PastBundles(history, models, default_policy_text(), folder, said.append)
    (cutoff,) = history.cutoff_before(28, 1, step_days=28)
    return past.served(cutoff, QUICK_ONES).scores().drop(columns="model_version")


@pytest.mark.slow
def test_models_of_a_past_bundle_are_the_same_fitted_side_by_side(
    shop_history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[str] = []
    beside: list[str] = []
    one_by_one = scores_of(shop_history, tmp_path / "alone", alone)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(bundles, "load_config", lambda *_: Recipe(side_by_side_lines=0))

    pd.testing.assert_frame_equal(scores_of(shop_history, tmp_path / "beside", beside), one_by_one)

    fits = [line for line in alone if ": fit " in line]
    assert len(fits) == len(QUICK_ONES)
    assert sorted(line for line in beside if ": fit " in line) == sorted(fits)
