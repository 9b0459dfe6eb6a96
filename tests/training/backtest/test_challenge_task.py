from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features import columns as c
from features.asof import Moment, local_midnight
from features.build import FeatureStore
from features.conform import prepare
from serving.bundle import Bundle, open_bundle
from serving.decisioning.policy import default_policy_text
from training.backtest import challenge_task
from training.backtest.challenge_measures import ALL, BOTH, COMPLETION, STRETCH, TASK, groups
from training.backtest.challenge_rivals import FREQUENT, RANDOM
from training.backtest.challenge_task import CHALLENGE, NO_WEEK, NOT_BEFORE, earlier_rows, observe, pooled
from training.backtest.challenge_week import WeekMaker, see_week
from training.backtest.observation import OURS, Findings, Observation
from training.challenge_weeks import ChallengeRows, mondays
from training.completion import fit_completion, predict_completion
from training.discover import DiscoverModel
from training.habit import HabitModel
from training.history import History
from training.learners import HABIT_TYPE, learners
from training.next_purchase import NextPurchaseModel
from training.stretch import StretchModel

pytestmark = pytest.mark.timeout(600)  # the fits of a fixture count towards its first test

MODELS: dict[str, Any] = {
    HABIT_TYPE: HabitModel,
    "next_purchase": NextPurchaseModel,
    "stretch": StretchModel,
    "discover": DiscoverModel,
}


@dataclass(frozen=True)
class Answers:
    """As much of `Served` as a challenge asks for."""

    history: History
    moment: Moment
    bundle: Bundle
    models: dict[str, Any]
    is_quick: bool = False

    @property
    def known(self) -> History:
        return self.history.until(self.moment)

    @property
    def customers(self) -> np.ndarray:
        rows = self.known.features("customers", self.moment, [c.CUSTOMER_ROW])[c.CUSTOMER_ROW]
        return np.sort(rows.to_numpy(dtype=np.int64))


@pytest.fixture(scope="module")
def served(shop_history: History, shop_cutoff: Moment, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return answers(shop_history, shop_cutoff, tmp_path_factory.mktemp("bundles"))


def answers(history: History, cutoff: Moment, folder: Path) -> Answers:
    """Return what answers at a cutoff by models of few trees; the chance of all three is the prior's."""
    configs = {each.name: each.config for each in learners(is_quick=True) if each.name in MODELS}
    models = {name: MODELS[name](small(config)).fit(history.until(cutoff)) for name, config in configs.items()}
    maker = WeekMaker(models, history, cutoff, default_policy_text())
    written = maker.written(cutoff, fit_completion([], [], []), folder)
    return Answers(history, cutoff, open_bundle(written), models)


def small(config: Any) -> Any:  # Any: each model's own config
    trees = {"trees": replace(config.trees, n_trees=20)} if hasattr(config, "trees") else {}
    return replace(config, n_cutoffs=min(config.n_cutoffs, 6), **trees)


@pytest.fixture(scope="module")
def earlier(served: Answers) -> ChallengeRows:
    """Return the rows of the weeks before, of a history that ends at the cutoff: anything later would raise."""
    return earlier_rows(replace(served, history=served.known))  # type: ignore[arg-type]  # what it asks for of Served


@pytest.fixture(scope="module")
def findings(served: Answers, earlier: ChallengeRows) -> Findings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(challenge_task, "earlier_rows", lambda _: earlier)
        return observe(served)  # type: ignore[arg-type]  # as above


def of(findings: Findings, task: str, metric: str) -> Observation:
    return next(each for each in findings.observations if (each.task, each.metric) == (task, metric))


@pytest.mark.slow
def test_every_ranker_is_judged_on_the_same_challenges(findings: Findings) -> None:
    for metric in (BOTH, STRETCH, ALL):
        found = of(findings, TASK, metric)
        assert set(found.values) == {OURS, FREQUENT, RANDOM}
        assert all(set(np.unique(each)) <= {0.0, 1.0} for each in found.values.values())


@pytest.mark.slow
def test_all_three_is_both_habits_and_the_stretch(findings: Findings) -> None:
    both, stretch, every = (of(findings, TASK, metric).values for metric in (BOTH, STRETCH, ALL))
    for name in both:
        assert every[name].tolist() == (both[name] * stretch[name]).tolist()


@pytest.mark.slow
def test_personal_habits_are_better_than_drawn_ones(findings: Findings) -> None:
    both = of(findings, TASK, BOTH).values
    assert both[OURS].mean() > both[RANDOM].mean()
    assert both[FREQUENT].mean() > both[RANDOM].mean()


@pytest.mark.slow
def test_groups_part_the_customers(served: Answers, shop_history: History) -> None:
    monday = mondays(served.moment, shop_history.known_until, shop_history.tables.time_zone)[0]
    week = see_week(served.bundle, shop_history, served.moment, served.customers)
    assert monday.day >= served.moment.day
    members = dict(groups(week))
    thirds = np.column_stack([members[f"{name} shoppers"] for name in ("light", "medium", "heavy")])
    assert (thirds.sum(axis=1) == 1).all()
    trips = week.about[c.N_BASKETS_12W].to_numpy()
    assert trips[members["light shoppers"]].max() <= trips[members["heavy shoppers"]].min()


@pytest.mark.slow
def test_the_chance_of_all_three_has_rivals(findings: Findings) -> None:
    losses = of(findings, COMPLETION, "log-loss")
    assert set(losses.values) == {OURS, "product of the three", "share of earlier weeks"}
    assert not losses.higher_is_better


@pytest.mark.slow
def test_the_joint_chance_is_from_weeks_before(served: Answers, earlier: ChallengeRows, findings: Findings) -> None:
    assert len(earlier) > 0
    said = of(findings, COMPLETION, "log-loss").values["share of earlier weeks"]
    share = (earlier.completed.sum() + 0.5) / (len(earlier) + 1)
    done = of(findings, TASK, ALL).values[OURS]
    assert said == pytest.approx(-np.log(np.where(done > 0, share, 1 - share)))


@pytest.mark.slow
def test_serving_said_the_same_joint_chance(served: Answers) -> None:
    week = see_week(served.bundle, served.history, served.moment, served.customers)
    plain = predict_completion(week.rows.chances, week.rows.shops, fit_completion([], [], []))
    assert np.allclose(week.rows.completion, plain, atol=2e-6)


@pytest.mark.slow
def test_a_dearer_stretch_reads_above_one(served: Answers) -> None:
    week = see_week(served.bundle, served.history, served.moment, served.customers)
    ours = week.stretches[OURS]
    bought = week.done[OURS][:, 2]
    assert (ours["paid_margin"].to_numpy()[~bought] == 0).all()
    assert (ours["price_ratio"].dropna() > 0).all()


@pytest.mark.slow
def test_rewards_and_what_is_shown_are_told(findings: Findings) -> None:
    titles = [each.title for each in findings.tables]
    assert any(title.startswith("Rewards, if an offer makes") for title in titles)
    assert "Shown most as the stretch" in titles
    names = {each.name for each in findings.facts}
    assert {"share of customers without a personal challenge", "stretch: dearer than their usual"} <= names


def test_weeks_are_pooled_in_order() -> None:
    one = Observation("t", "m", {OURS: np.array([1.0])}, np.array([3]))
    two = replace(one, values={OURS: np.array([0.0, 1.0])}, customers=np.array([4, 5]))
    (both,) = pooled([one, two])
    assert both.values[OURS].tolist() == [1.0, 0.0, 1.0]
    assert both.customers.tolist() == [3, 4, 5]


@pytest.mark.slow
def test_no_whole_week_is_said(served: Answers) -> None:
    late = replace(served, moment=served.history.known_until.plus_days(-3, served.history.tables.time_zone))
    assert observe(late).notes == (NO_WEEK,)  # type: ignore[arg-type]


def test_the_task_asks_for_what_a_challenge_needs() -> None:
    assert CHALLENGE.needs == ("habit_type", "next_purchase", "stretch", "discover")
    assert (CHALLENGE.window_days, CHALLENGE.n_cutoffs) == (28, 3)


def bare_history(folder: Path) -> History:
    """Return eight customers with nothing but ids and days."""
    first = date(2025, 1, 6)
    rows = [
        f"c{customer},o{customer}-{week},p{(customer + week + extra) % 5},{first + timedelta(7 * week + customer % 7)}"
        for customer in range(8)
        for week in range(11)
        for extra in range(2)
    ]
    (folder / "s").mkdir()
    (folder / "s" / "transactions.csv").write_text("\n".join(["customer_id,order_id,product_id,ordered_at", *rows]))
    tables = prepare(str(folder / "s"), folder, time_zone=None, progress=lambda _: None).tables
    end = local_midnight(tables.last_day + 1, tables.time_zone)
    return History(FeatureStore(tables, folder / "groups"), end)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    folder = tmp_path_factory.mktemp("bare")
    history = bare_history(folder)
    return answers(history, history.known_until.plus_days(-28, history.tables.time_zone), folder)


def test_four_columns_of_a_few_customers_are_judged_too(bare: Answers) -> None:
    found = observe(bare)  # type: ignore[arg-type]
    assert set(of(found, TASK, BOTH).values) == {OURS, FREQUENT, RANDOM}
    assert not any(each.title.startswith("Rewards") for each in found.tables)


def test_a_quick_look_takes_one_week_and_no_earlier_ones(bare: Answers) -> None:
    found = observe(replace(bare, is_quick=True))  # type: ignore[arg-type]
    assert NOT_BEFORE in found.notes
    customers = of(found, TASK, BOTH).customers
    assert len(np.unique(customers)) == len(customers)


def test_a_new_shop_has_no_week_to_judge(new_history: History) -> None:
    nothing = Answers(new_history, new_history.known_until, None, {})  # type: ignore[arg-type]  # nothing is asked of it
    assert observe(nothing).notes == (NO_WEEK,)  # type: ignore[arg-type]
