from __future__ import annotations

import tomllib
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from features.asof import Moment, local_midnight
from training import tune_job
from training.backtest.coupon_task import judged_offers
from training.backtest.cutoffs import judged_cutoffs
from training.config import load_config, load_search, load_study
from training.errors import TuningError
from training.history import History
from training.judge import TOP_SHARE, Guard, Judgement, MetricRow
from training.learners import SOURCES
from training.sums import CustomerSums
from training.tuning.campaigns import campaign_days
from training.tuning.config_text import with_values
from training.tuning.peers import peer_tunables
from training.tuning.score_peers import SCORE_PEERS
from training.tuning.space import Space
from training.tuning.tunable import Days, Tunable
from training.tuning.tunables import GOALS, model_tunable, named, of_judgement, tunables


def row(metric: str, value: float, *, higher: bool = True, primary: bool = True) -> MetricRow:
    sums = CustomerSums.of([value, value], [0, 1])
    return MetricRow("m", "t", metric, value, 0, 0, "b", 2.0, 0, 0, 0, higher, primary, sums)


def test_every_learner_with_a_search_space_can_be_tuned() -> None:
    with_space = {name for name, source in SOURCES.items() if load_search(source.config_class, name)}
    assert with_space == set(GOALS)
    assert with_space <= set(tunables())


@pytest.mark.parametrize("tunable", tunables().values(), ids=lambda tunable: tunable.name)
def test_what_ships_can_be_written_with_other_values(tunable: Tunable) -> None:
    name = tunable.name
    config = load_config(tunable.config_class, name)
    space = Space.of(config, load_search(tunable.config_class, name))
    folder, _, stem = name.rpartition("/")
    text = (resources.files("training") / "configs" / folder / f"{stem}.toml").read_text(encoding="utf-8")
    assert tomllib.loads(with_values(text, space.shipped, load_study(name))) == tomllib.loads(text)
    assert space.read(space.drawn(space.shipped)).keys() == space.shipped.keys()


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(TuningError, match=r"'ease': there are habit_type.*peers/ease-stretch.*, and all"):
        named("ease")
    assert named("churn").name == "churn"
    assert tune_job.ALL not in tunables()


def test_several_metrics_are_added_up_and_a_squared_error_counts_by_its_root() -> None:
    judgement = Judgement("m", (), (row("mae", 3.0, higher=False), row("mse", 25.0, higher=False)))
    assert of_judgement(judgement, {"mae": -0.5, "mse": -0.5}).value == -0.5 * 3 - 0.5 * 5
    assert of_judgement(judgement, {"mae": -1.0}).value == -3.0


def test_the_row_that_decides_comes_before_another_of_its_name() -> None:
    judgement = Judgement("m", (), (row("recall@10", 0.1, primary=False), row("recall@10", 0.4)))
    assert of_judgement(judgement, {"recall@10": 1.0}).value == 0.4


def test_a_guard_counts_as_a_metric_does() -> None:
    guard = Guard("t", TOP_SHARE, CustomerSums.of([0.3, 0.5], [0, 1]), higher_is_better=False)
    judgement = Judgement("m", (), (row("recall@10", 0.4),), (), (), (guard,))
    assert of_judgement(judgement, {"recall@10": 1.0, TOP_SHARE: -0.5}).value == pytest.approx(0.4 - 0.5 * 0.4)


def test_a_judgement_without_the_metric_says_why_there_is_nothing_to_tune_on() -> None:
    with pytest.raises(TuningError, match=r"m can't be judged by auc here \(nobody left\)"):
        of_judgement(Judgement("m", (), (), notes=("nobody left",)), {"auc": 1.0})


def test_a_model_is_compared_before_the_first_test_of_any_task_that_asks_it(shop_history: History) -> None:
    days = model_tunable("stretch").days(shop_history)
    assert days is not None
    assert days.first_test.us <= judged_cutoffs(shop_history, 28, GOALS["stretch"].n_tested)[0].us
    assert all(each.plus_days(28, shop_history.tables.time_zone).us <= days.first_test.us for each in days.cutoffs)


def test_a_source_without_coupons_has_no_day_to_tune_them_on(thin_history: History) -> None:
    assert campaign_days(thin_history, 3) is None


def test_a_model_reaches_what_its_own_judge_says(shop_history: History) -> None:
    tunable = model_tunable("best_hour")
    days = tunable.days(shop_history)
    assert days is not None
    one = Days(days.cutoffs[:1], days.first_test)
    source, config = SOURCES["best_hour"], load_config(tunable.config_class, "best_hour")
    (reached,) = tunable.value(config, shop_history, one)
    known = shop_history.until(days.first_test)
    fitted = source.model(config).fit(known.until(one.cutoffs[0]))
    assert reached.value == -source.judging.judge({one.cutoffs[0]: fitted}, known).rows[0].ours


@pytest.mark.parametrize("name", ["ease-stretch", "decayed_frequency-repeat_type", "bm25-basket", "ease-discover"])
def test_a_peer_reaches_something_between_nothing_and_all(name: str, shop_history: History) -> None:
    tunable = peer_tunables()[f"peers/{name}"]
    days = tunable.days(shop_history)
    assert days is not None
    config = load_config(tunable.config_class, tunable.name)
    values = [each.value for each in tunable.value(config, shop_history, days)]
    assert len(values) == len(days.cutoffs)
    assert all(0 < value < 1 for value in values)
    assert len(np.unique(values)) > 1


_QUICK = ("bg_nbd-churn", "factorised-hours")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in _QUICK else pytest.mark.slow) for name in SCORE_PEERS]
)
def test_a_peer_of_the_scores_reaches_what_its_settings_make_of_it(name: str, shop_history: History) -> None:
    tunable = peer_tunables()[f"peers/{name}"]
    window = 84 if name.endswith("spend") else 28
    zone, until = shop_history.tables.time_zone, shop_history.known_until
    cutoff = until.plus_days(-window, zone)
    if name.endswith("offers"):
        cutoff = local_midnight(judged_offers(shop_history)[-1].moment.day, zone)
    shipped = load_config(tunable.config_class, tunable.name)
    setting = load_search(tunable.config_class, tunable.name)[0]
    ends = setting.choices or (setting.low, setting.high)
    values = [
        next(tunable.value(config, shop_history, Days((cutoff,), until))).value
        for config in (replace(shipped, **{setting.name: end}) for end in (ends[0], ends[-1]))
    ]
    assert np.isfinite(values).all()
    assert values[0] != values[1]


@pytest.mark.parametrize("name", ["weibull_aft-churn", "recency_frequency-churn", "bg_nbd-churn"])
def test_a_peer_of_churn_is_compared_before_the_first_test_of_both_windows(name: str, shop_history: History) -> None:
    days = peer_tunables()[f"peers/{name}"].days(shop_history)
    assert days is not None
    tests = [judged_cutoffs(shop_history, window, n)[0].us for window, n in ((28, 4), (56, 3))]
    assert days.first_test.us == min(tests)


def test_a_peer_can_not_be_compared_where_nobody_is_judged(new_history: History) -> None:
    tunable = peer_tunables()["peers/ease-stretch"]
    cutoff = Moment(us=new_history.known_until.us, day=new_history.known_until.day)
    with pytest.raises(TuningError, match="too few"):
        next(tunable.value(load_config(tunable.config_class, tunable.name), new_history, Days((cutoff,), cutoff)))
