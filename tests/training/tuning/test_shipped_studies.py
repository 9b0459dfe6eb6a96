"""The studies that shipped peers come from: on days before any that the peer is tested on."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from training.backtest.coupon_task import OFFERS
from training.backtest.cutoffs import STEP_DAYS
from training.config import load_study
from training.tuning.peer import Peer
from training.tuning.peers import RANKING_PEERS
from training.tuning.score_peers import SCORE_PEERS

END = date(2018, 1, 1)
"""The day after the last of Complete Journey."""

FIRST_OFFER = date(2017, 5, 31)
"""When the first campaign began that is judged."""

PEERS = RANKING_PEERS | SCORE_PEERS


def first_test(peer: Peer) -> date:
    """Return the first day of a test of any of the peer's tasks: cutoffs lie four weeks apart, the last window ends."""
    if OFFERS in peer.tasks:
        return FIRST_OFFER
    return min(END - timedelta(task.window_days + (task.n_cutoffs - 1) * STEP_DAYS) for task in peer.tasks)


@pytest.mark.parametrize("name", sorted(PEERS))
def test_a_shipped_peer_was_chosen_on_days_that_had_ended_before_it_is_tested(name: str) -> None:
    peer, study = PEERS[name], load_study(f"peers/{name}")
    assert study is not None, "nobody searched its settings: tercet tune complete-journey peers/…"
    assert study.trials > 1
    window = timedelta(peer.tasks[0].window_days)
    assert all(date.fromisoformat(day) + window <= first_test(peer) for day in study.cutoffs)
