"""UP-CF against a slow and obvious version."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.peers.bought import N_ITEMS, TODAY, baskets_by_customer, purchases
from training.errors import ConfigError
from training.peers.past_baskets import baskets_in_time
from training.peers.up_cf import UpCfConfig, fit

CONFIG = UpCfConfig(recency=4, asymmetry=0.3, locality=2.0)


def slow_share(baskets: list[set[int]], recency: int) -> np.ndarray:
    latest = baskets[-recency:]
    return np.array([sum(item in basket for basket in latest) / len(latest) for item in range(N_ITEMS)])


def slow_scores(customers: dict[int, list[set[int]]], config: UpCfConfig) -> np.ndarray:
    shares = {name: slow_share(baskets, config.recency) for name, baskets in customers.items()}
    had: dict[int, set[int]] = {name: set().union(*baskets) for name, baskets in customers.items()}
    scores = []
    for who in sorted(customers):
        score = np.zeros(N_ITEMS)
        for other, share in shares.items():
            lengths = len(had[who]) ** config.asymmetry * len(had[other]) ** (1 - config.asymmetry)
            score += (len(had[who] & had[other]) / lengths) ** config.locality * share
        scores.append(score)
    return np.array(scores)


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_the_slow_version(seed: int) -> None:
    bought = purchases(np.random.default_rng(seed))
    past = baskets_in_time(bought, "type_row", TODAY)
    scores = fit(past, CONFIG).scores(np.arange(len(past.customers)))
    assert scores.toarray() == pytest.approx(slow_scores(baskets_by_customer(bought), CONFIG))


def test_who_lends_nothing_keeps_their_own() -> None:
    past = baskets_in_time(purchases(np.random.default_rng(2)), "type_row", TODAY)
    model = fit(past, UpCfConfig(recency=4, max_customers=1))
    last = int(np.argmax(past.ordered_us[past.after == 0]))
    assert model.lenders.tolist() == [last]
    others = np.setdiff1d(np.arange(len(past.customers)), [last])
    own = model.shares[others].toarray()
    assert (model.scores(others).toarray() >= own).all()
    assert model.scores(np.array([last])).toarray() == pytest.approx(model.shares[[last]].toarray())


def test_settings_without_a_meaning_are_refused() -> None:
    for broken in ({"recency": 0}, {"asymmetry": 1.5}, {"locality": -1.0}):
        with pytest.raises(ConfigError, match="up_cf"):
            UpCfConfig(**broken)
