from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import training.also_bought
from features.asof import Moment
from features.build import FeatureStore
from features.sources.synthetic import Truth
from tests.features.tiny import at, line, write_tables
from training.also_bought import AlsoBoughtModel, FittedAlsoBought, figures, judge
from training.baskets import Baskets
from training.config import load_config, load_search
from training.history import History
from training.judge import COVERAGE, TOP_SHARE
from training.neighbours import AlsoBoughtConfig, Kinds


@pytest.fixture(scope="module")
def fitted(shop_history: History, shop_cutoff: Moment) -> FittedAlsoBought:
    return AlsoBoughtModel(AlsoBoughtConfig(n_threads=1)).fit(shop_history.until(shop_cutoff))


@pytest.fixture(scope="module")
def predicted(fitted: FittedAlsoBought, shop_history: History, shop_cutoff: Moment) -> pd.DataFrame:
    return fitted.predict(shop_history, shop_cutoff)


def test_planted_pairs_are_found_among_the_first_three(
    predicted: pd.DataFrame, truth: Truth, shop_history: History
) -> None:
    rows = shop_history.tables.read("products").set_index("product_id")["product_row"]
    first = predicted.groupby("product_row").head(3)
    shown = set(zip(first["product_row"], first["other_row"], strict=True))
    assert all((rows[one], rows[other]) in shown for one, other in truth.pairs)


def test_it_beats_popularity(fitted: FittedAlsoBought, shop_history: History, shop_cutoff: Moment) -> None:
    judgement = judge({shop_cutoff: fitted}, shop_history)
    rows = {(row.task, row.metric): row for row in judgement.rows}
    assert judgement.primary[0].gain_low > 0
    assert rows["the rest of a basket to one product", "mrr"].gain_low > 0
    assert any("best sellers" in note for note in judgement.notes)
    guards = {guard.metric: guard.sums.value for guard in judgement.guards}
    assert 0 < guards[TOP_SHARE] < 1
    assert 0 < guards[COVERAGE] <= 1
    assert set(figures({shop_cutoff: fitted}, shop_history)) == {"gains.png"}


def test_only_merchandise_is_recommended_and_at_most_so_many(
    predicted: pd.DataFrame, fitted: FittedAlsoBought, shop_history: History
) -> None:
    products = shop_history.tables.read("products").set_index("product_row")
    assert products.loc[predicted["other_row"], "is_merchandise"].all()
    assert predicted.groupby("product_row").size().max() <= fitted.config.n_neighbours
    assert (predicted["score"] > 0).all()


def test_what_is_not_yet_known_changes_nothing(
    fitted: FittedAlsoBought, shop_history: History, shop_cutoff: Moment
) -> None:
    last_day = shop_history.tables.last_day
    assert shop_cutoff.day < last_day
    n_known = fitted.popularity.sum()
    assert AlsoBoughtModel(fitted.config).fit(shop_history).popularity.sum() > n_known


def test_a_shop_where_nothing_is_bought_together_has_no_neighbours(new_history: History, thin_history: History) -> None:
    for history in (new_history, thin_history):
        fitted = AlsoBoughtModel(AlsoBoughtConfig()).fit(history)
        assert fitted.predict(history, history.known_until).empty
        assert fitted.notes == ("also bought: no two products were ever bought together",)
        assert json.loads(fitted.artifacts()["also_bought.json"])["n_pairs"] == 0
        cutoff = history.known_until.plus_days(-1, history.tables.time_zone)
        assert judge({cutoff: fitted}, history).rows == ()
        assert figures({cutoff: fitted}, history) == {}


def random_shop(folder: Path) -> History:
    """A hundred baskets a month of four products each, drawn by popularity alone."""
    rng, lines = np.random.default_rng(4), []
    for order in range(500):
        products = set(np.minimum(rng.geometric(0.2, 4) - 1, 29).tolist())
        lines += [line(order, order // 4, product, customer_row=order % 20) for product in sorted(products)]
    tables = write_tables(folder / "t", lines)
    return History(FeatureStore(tables, folder / "f"), at(125))


@pytest.mark.parametrize("n_sampled", [20_000, 100])
def test_where_only_popularity_counts_the_best_sellers_are_not_pushed_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_sampled: int
) -> None:
    monkeypatch.setattr(training.also_bought, "SAMPLED_BASKETS", n_sampled)
    history = random_shop(tmp_path)
    cutoff = at(97)
    fitted = AlsoBoughtModel(AlsoBoughtConfig(n_threads=1)).fit(history.until(cutoff))
    assert fitted.config.popularity_power == 0.0
    assert "best sellers explain" in fitted.notes[0]
    assert judge({cutoff: fitted}, history).primary[0].gain_high >= 0


def test_a_pattern_that_some_of_the_baskets_show_is_not_looked_for_in_all(
    shop_history: History, shop_cutoff: Moment, fitted: FittedAlsoBought, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.also_bought, "SAMPLED_BASKETS", 6_000)
    asked: list[int] = []
    beats = training.also_bought._beats_popularity

    def counted(baskets: Baskets, kinds: Kinds, config: AlsoBoughtConfig) -> bool:
        asked.append(len(baskets.customers))
        return beats(baskets, kinds, config)

    monkeypatch.setattr(training.also_bought, "_beats_popularity", counted)
    found = AlsoBoughtModel(fitted.config).fit(shop_history.until(shop_cutoff))
    assert len(asked) == 1
    assert asked[0] == pytest.approx(6_000, rel=0.1)
    pd.testing.assert_frame_equal(found.pairs, fitted.pairs)


def test_the_shipped_config_is_read() -> None:
    assert load_config(AlsoBoughtConfig, AlsoBoughtModel.name).n_neighbours == 60
    assert load_search(AlsoBoughtConfig, AlsoBoughtModel.name)
