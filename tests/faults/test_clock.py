"""The machine's clock is set, by minutes and by years, while the server runs: nothing fails, and nothing is lost."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from serving.launch import Server
from tests.faults.shop import Load, everywhere, metric, n_ready, post, publish_named, tell, untouched
from tests.serving.running import CHALLENGE, RECOMMENDATIONS, ask, eventually, running

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(180)]

YEAR = 365 * 86_400.0


@dataclass
class Stepped:
    """A running server, and its machine's clock."""

    home: Path
    server: Server
    clock: Path

    def set_by(self, seconds: float) -> None:
        with self.clock.open("r+b") as file:
            file.write(struct.pack("d", seconds))


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stepped]:
    home, clock = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("clock") / "ahead"
    clock.write_bytes(struct.pack("d", 0.0))
    publish_named(home, "first")
    with pytest.MonkeyPatch.context() as patch:
        # The server is started without variables that begin with TERCET_.
        patch.setenv("TEST_CLOCK_FILE", str(clock))
        patch.setenv("PYTHONPATH", str(Path(__file__).parent / "clock"))
        with running(home) as server:
            server.wait_until_ready()
            assert eventually(lambda: n_ready(server) == 2, seconds=60)
            yield Stepped(home, server, clock)


@pytest.fixture
def set_by(stepped: Stepped) -> Iterator[Callable[[float], None]]:
    yield stepped.set_by
    stepped.set_by(0.0)


@pytest.mark.parametrize("seconds", [-300.0, 300.0, -3 * YEAR, 3 * YEAR, -40 * YEAR])
def test_a_step_fails_no_decision_and_stops_no_worker(
    stepped: Stepped, set_by: Callable[[float], None], seconds: float
) -> None:
    server = stepped.server
    with untouched(server), Load(server, n=2, pause=0.01) as load:
        before = len(load.replies)
        set_by(seconds)
        assert eventually(lambda: len(load.replies) > before + 60)
        challenges = [post(server, CHALLENGE, {"customer_id": f"guest-{number}"}) for number in range(4)]
        version = publish_named(stepped.home, f"after {seconds}")
        assert everywhere(server, lambda: bool(post(server, RECOMMENDATIONS).body["model_version"] == version))

    assert load.statuses() == {200: len(load.replies)}
    assert {each.status for each in challenges} == {200}


def test_what_was_confirmed_before_a_step_is_known_after_it_and_after_the_way_back(
    stepped: Stepped, set_by: Callable[[float], None]
) -> None:
    server = stepped.server
    promised = ask(server).json()
    assert tell(server, "before-step").status == 202

    set_by(-600.0)
    assert tell(server, "before-step").body["duplicates"] == 1
    assert tell(server, "while-back").body["accepted"] == 1
    assert ask(server).json() == promised
    set_by(0.0)
    assert tell(server, "while-back").body["duplicates"] == 1
    assert ask(server).json() == promised


def test_the_clock_that_the_metrics_show_is_the_one_that_was_set(
    stepped: Stepped, set_by: Callable[[float], None]
) -> None:
    before = metric(stepped.server, "tercet_clock_timestamp_seconds ")
    set_by(3 * YEAR)

    assert eventually(lambda: metric(stepped.server, "tercet_clock_timestamp_seconds ") > before + 2 * YEAR)
