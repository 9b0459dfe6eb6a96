"""What the simulator learns, held to what the seeded shop was planted with, and the simulated past held to the shop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.tables import TableSet
from training.errors import SimulationError
from training.simulation import fitting
from training.simulation.fitting import FittedShop, fit_shop
from training.simulation.likeness import likenesses_of
from training.simulation.past import Past

Fitted = tuple[FittedShop, pd.DataFrame]


def test_trips_have_the_planted_gaps(fitted: Fitted) -> None:
    # 3.5, 5 and 7 days, each of a third of the customers; rounded down to days, of gammas with shape 6.
    assert fitted[0].trip_gap.mean() == pytest.approx(np.mean([3.5, 5.0, 7.0]) - 0.5, rel=0.1)
    assert 4.0 < fitted[0].trip_shape < 9.0


def test_most_planted_habits_are_found(fitted: Fitted) -> None:
    n_habits = np.isfinite(fitted[0].need_gap).sum(axis=1)
    assert n_habits.mean() >= 5.0


def test_shares_add_up_and_gaps_are_positive(fitted: Fitted) -> None:
    shop = fitted[0]
    assert shop.extra_share.sum() == pytest.approx(1.0)
    assert (shop.need_gap > 0).all()
    assert (shop.trip_gap > 0).all()
    assert (shop.type_gap > 0).all()
    assert shop.weekday.mean() == pytest.approx(1.0)


def test_a_shop_without_regulars_is_refused(shop_tables: TableSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MIN_TRIPS", 10_000)
    with pytest.raises(SimulationError, match="0 customers came 10000 times"):
        fit_shop(shop_tables)


def test_the_simulated_past_is_like_the_shop(fitted: Fitted, past: Past) -> None:
    found = {each.name: each for each in likenesses_of(fitted[1], past).rows}
    for name in ("trips a customer and week", "types a trip", "spending a customer and week"):
        assert found[name].simulated == pytest.approx(found[name].real, rel=0.2), name
    median = found["days between purchases of a type, 50th percentile"]
    assert median.simulated == pytest.approx(median.real, rel=0.35)
