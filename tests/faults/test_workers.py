"""A worker that is killed, or stopped and continued: the other goes on, and no accepted event is lost."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.faults.conftest import Shop
from tests.faults.shop import Load, everywhere, post, publish_named, slowest, tell
from tests.serving.running import RECOMMENDATIONS, ask, eventually, worker_pids

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(120)]


def test_while_a_worker_is_killed_the_other_answers_and_only_its_own_connections_break(shop: Shop) -> None:
    victim = min(worker_pids(shop.server))
    with Load(shop.server, n=4, pause=0.01) as load:
        assert eventually(lambda: len(load.replies) > 40)
        killed_at = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: len(load.after(killed_at + 0.5)) > 100, seconds=30)
        assert eventually(lambda: len(set(worker_pids(shop.server)) - {victim}) == 2, seconds=60)
        assert eventually(lambda: set(worker_pids(shop.server)) <= answering(shop), seconds=60)

    broken = [reply for reply in load.replies if reply.status != 200]
    assert len(broken) <= 4  # one a connection at most
    assert all(isinstance(reply.status, str) and not reply.is_first for reply in broken)
    assert all(reply.status == 200 for reply in load.after(killed_at + 0.5))


def answering(shop: Shop) -> set[int]:
    """Return which workers have the board say that they serve."""
    return {int(each.stem) for each in shop.server.settings.ready_folder.glob("*.serves")}


def test_while_a_worker_is_stopped_the_other_answers_and_afterwards_both_do(shop: Shop) -> None:
    victim = min(worker_pids(shop.server))
    os.kill(victim, signal.SIGSTOP)
    try:
        with Load(shop.server, n=2, pause=0.01) as load:
            # A connection that the stopped one had taken on before may wait; new ones go to the other.
            assert eventually(lambda: len(load.replies) > 60, seconds=30)
            told = tell(shop.server, "while-stopped")
    finally:
        os.kill(victim, signal.SIGCONT)

    assert load.statuses() == {200: len(load.replies)}
    assert slowest(load.replies) < 1.0
    assert told.status == 202
    assert eventually(lambda: {post(shop.server).status for _ in range(20)} == {200})
    assert victim in worker_pids(shop.server)
    # What was told to the other counts with the one that slept, too.
    told_again = [tell(shop.server, "while-stopped") for _ in range(10)]
    assert {each.body["duplicates"] for each in told_again} == {1}


def test_a_worker_that_slept_through_a_swap_takes_the_bundle_up(shop: Shop) -> None:
    victim = min(worker_pids(shop.server))
    os.kill(victim, signal.SIGSTOP)
    try:
        version = publish_named(shop.home, "while-asleep")
        assert eventually(lambda: ask(shop.server, path=RECOMMENDATIONS).json()["model_version"] == version)
    finally:
        os.kill(victim, signal.SIGCONT)

    def serves_it() -> bool:
        return bool(ask(shop.server, path=RECOMMENDATIONS).json()["model_version"] == version)

    assert everywhere(shop.server, serves_it)
