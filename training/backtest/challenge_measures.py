"""What challenges came to in numbers: who did them, how likely that was said to be, what the stretch is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from features import columns as c
from training import metrics
from training.backtest.challenge_week import STRETCH_PLACE, WeekSeen
from training.backtest.observation import OURS, Fact, Observation, Table
from training.challenge_weeks import N_ITEMS, ChallengeRows
from training.completion import fit_completion, predict_completion
from training.history import History

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

TASK = "challenge"
BOTH, STRETCH, ALL = "both habits bought", "stretch bought", "all three bought"
COMPLETION = "challenge: chance of all three"
HABIT_CHANCE, STRETCH_CHANCE = (
    "challenge: chance of a habit in the week",
    "challenge: chance of the stretch in the week",
)
PRODUCT, SHARE = "product of the three", "share of earlier weeks"
WORTH = "margin of the stretch bought, a challenge"
MIN_ROWS = 20
"""A group with fewer challenges than this is left out."""
_COMPLETION_BINS = 10
_N_SHOWN = 8


def outcome_observations(week: WeekSeen) -> list[Observation]:
    """Return what was bought: of all, by how much they shop, and by how many baskets they had had."""
    found = [*_bought(TASK, week, np.ones(len(week.rows), dtype=np.bool_)), _worth(week)]
    for name, members in groups(week):
        if members.sum() >= MIN_ROWS:
            found += _bought(f"{TASK}, {name}", week, members)
    return found


def groups(week: WeekSeen) -> Iterator[tuple[str, BoolArray]]:
    """Yield the groups by name, with who is in each, shape ``(n,)``: thirds by trips of 12 weeks, baskets before.

    Ties at the border of a third belong to the lighter one.
    """
    trips = np.nan_to_num(week.about[c.N_BASKETS_12W].to_numpy())
    low, high = np.quantile(trips, [1 / 3, 2 / 3]) if len(trips) else (0.0, 0.0)
    yield "light shoppers", trips <= low
    yield "medium shoppers", (trips > low) & (trips <= high)
    yield "heavy shoppers", trips > high
    baskets = np.nan_to_num(week.about[c.N_BASKETS].to_numpy())
    yield "1 basket before", baskets <= 1
    yield "2 to 4 baskets before", (baskets >= 2) & (baskets <= 4)
    yield "5 to 20 baskets before", (baskets >= 5) & (baskets <= 20)


def _bought(task: str, week: WeekSeen, members: BoolArray) -> list[Observation]:
    places = {BOTH: slice(0, STRETCH_PLACE), STRETCH: slice(STRETCH_PLACE, N_ITEMS), ALL: slice(0, N_ITEMS)}
    return [
        Observation(
            task,
            metric,
            {name: _all_of(done[members][:, those]) for name, done in week.done.items()},
            week.rows.customers[members],
        )
        for metric, those in places.items()
    ]


def _all_of(done: BoolArray) -> FloatArray:
    return np.asarray(done.all(axis=1), dtype=np.float64)


def _worth(week: WeekSeen) -> Observation:
    values = {name: each["paid_margin"].to_numpy() for name, each in week.stretches.items()}
    return Observation(TASK, WORTH, values, week.rows.customers)


def chance_observations(week: WeekSeen, earlier: ChallengeRows) -> list[Observation]:
    """Return how well the week's chances held: of all three, with coefficients from weeks before; of each item.

    Beside our joint chance stand the plain product, and the share of the earlier challenges that were completed.
    """
    rows = week.rows
    coefficients = fit_completion(earlier.chances, earlier.shops, earlier.completed)
    usual = (earlier.completed.sum() + 0.5) / (len(earlier) + 1.0)
    joint = {
        OURS: predict_completion(rows.chances, rows.shops, coefficients),
        PRODUCT: rows.chances.prod(axis=1),
        SHARE: np.full(len(rows), usual),
    }
    done = rows.completed.astype(np.float64)
    losses = {name: metrics.log_losses(chance, done) for name, chance in joint.items()}
    return [
        Observation(COMPLETION, "log-loss", losses, rows.customers, higher_is_better=False),
        *_calibrations(COMPLETION, joint, done, rows.customers, _COMPLETION_BINS),
        *_item_chances(HABIT_CHANCE, rows, slice(0, STRETCH_PLACE)),
        *_item_chances(STRETCH_CHANCE, rows, slice(STRETCH_PLACE, N_ITEMS)),
    ]


def _item_chances(task: str, rows: ChallengeRows, places: slice) -> list[Observation]:
    chances, done = rows.chances[:, places], rows.done[:, places]
    customers = np.repeat(rows.customers, chances.shape[1])
    return _calibrations(task, {OURS: chances.ravel()}, done.ravel().astype(np.float64), customers, 20)


def _calibrations(
    task: str, values: Mapping[str, FloatArray], outcomes: FloatArray, customers: npt.NDArray[np.int64], bins: int
) -> list[Observation]:
    if not outcomes.any():
        return []
    ours = {OURS: values[OURS]}
    return [
        Observation(task, "expected ÷ observed", values, customers, "expected_over_observed", outcomes=outcomes),
        Observation(task, "ECE", ours, customers, "ece", higher_is_better=False, outcomes=outcomes, bins=bins),
        Observation(task, "Brier skill", ours, customers, "brier_skill", outcomes=outcomes),
    ]


def stretch_facts(weeks: Sequence[WeekSeen]) -> list[Fact]:
    """Return what kind of category is shown as the stretch, and at what price against the customer's usual."""
    found = []
    for label, column, taken in (
        ("lapsed rather than never owned", "is_lapsed", np.nanmean),
        ("price of the category ÷ their usual, median", "price_ratio", np.nanmedian),
        ("dearer than their usual", "price_ratio", _share_above_one),
        ("paid a piece ÷ their usual, median where bought", "paid_ratio", np.nanmedian),
    ):
        by_ranker = {}
        for name in weeks[0].stretches:
            values = np.concatenate([each.stretches[name][column].to_numpy(dtype=np.float64) for each in weeks])
            if np.isfinite(values).any():
                by_ranker[name] = float(taken(values[np.isfinite(values)]))
        if OURS in by_ranker:
            found.append(Fact(TASK, f"stretch: {label}", by_ranker))
    return found


def _share_above_one(values: FloatArray) -> float:
    return float((values > 1.0).mean())


def shown_most(weeks: Sequence[WeekSeen], history: History) -> Table:
    """Return the categories that each ranker shows most as the stretch, with their share of its challenges."""
    names = history.tables.read("categories", [c.CATEGORY, c.CATEGORY_ROW]).set_index(c.CATEGORY_ROW)[c.CATEGORY]
    columns = []
    for ranker in weeks[0].stretches:
        rows = np.concatenate([each.stretches[ranker]["category_row"].to_numpy() for each in weeks])
        category, count = np.unique(rows[rows >= 0], return_counts=True)
        best = np.lexsort((category, -count))[:_N_SHOWN]
        cells = [f"{names.loc[category[each]]} {count[each] / max(len(rows), 1):.0%}" for each in best]
        columns.append(cells + [""] * (_N_SHOWN - len(cells)))
    return Table(TASK, "Shown most as the stretch", tuple(weeks[0].stretches), tuple(zip(*columns, strict=True)))
