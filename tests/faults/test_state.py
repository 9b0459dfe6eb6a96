"""The state gone, slow, full or read-only, Redis restarted and failed over: decisions go on, nothing told is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from serving.launch import Server
from serving.state.redis_store import RedisStore
from serving.state_home import open_state
from tests.faults.conftest import Shop
from tests.faults.proxy import Proxy
from tests.faults.shop import EVENTS, Load, everywhere, n_ready, post, publish_named, ready, slowest, tell, untouched
from tests.serving.running import RECOMMENDATIONS, eventually, running, worker_pids
from tests.serving.state.redis_process import RedisProcess

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(300)]


def numbered(turn: int) -> dict[str, object]:
    said = {"customer_id": "teller", "type": "view", "at": "2018-01-01T13:00:00Z", "product_id": "milk-1"}
    return {"events": [{**said, "event_id": f"told-{time.monotonic_ns()}-{turn}"}]}


def goes_on_without(server: Server, event_id: str) -> None:
    """Hold that decisions go on and say that they lack the state, while what is told gets its 503 in time."""
    assert eventually(lambda: tell(server, event_id).status == 503)
    told = [tell(server, event_id) for _ in range(6)]
    decided = [post(server, RECOMMENDATIONS) for _ in range(6)]

    assert {(each.status, each.retry_after) for each in told} == {(503, "1")}
    assert max(each.seconds for each in told) < 3.0
    assert {each.status for each in decided} == {200}
    assert all(each.body["items"] for each in decided)
    assert max(each.seconds for each in decided) < 2.5


def is_back(server: Server, event_id: str) -> None:
    """Hold that every worker has the state again, by itself."""
    assert everywhere(server, lambda: tell(server, event_id).status == 202)
    assert everywhere(server, lambda: "notes" not in post(server, RECOMMENDATIONS).body)
    assert everywhere(server, lambda: ready(server).get("state") == "available")


@contextmanager
def gone(file: Path) -> Iterator[None]:
    """Move the state's files away, and back."""
    files = [file.with_name(file.name + suffix) for suffix in ("", "-wal", "-shm")]
    there = [each for each in files if each.exists()]
    for each in there:
        each.rename(each.with_name(f"away-{each.name}"))
    try:
        yield
    finally:
        for each in there:
            each.with_name(f"away-{each.name}").rename(each)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the file's write lock, as a process does that hangs in the middle of a commit."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("begin immediate")
    try:
        yield
    finally:
        connection.execute("rollback")
        connection.close()


@pytest.mark.parametrize("fault", [gone, locked])
def test_a_file_that_is_away_is_taken_up_again_with_all_that_was_confirmed(
    shop: Shop, fault: Callable[[Path], Iterator[None]], request: pytest.FixtureRequest
) -> None:
    event_id = f"before-{request.node.name}"
    assert tell(shop.server, event_id).status == 202
    with untouched(shop.server):
        with fault(shop.home / "state" / "state.db"):  # type: ignore[attr-defined]  # parametrize hides the decorator
            goes_on_without(shop.server, f"during-{request.node.name}")
        is_back(shop.server, f"after-{request.node.name}")

    assert tell(shop.server, event_id).body["duplicates"] == 1


def mount(folder: Path, *options: str) -> None:
    """Mount something at the folder; without the right to do so the test is skipped."""
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        lacking = f"mounting needs root and CAP_SYS_ADMIN: {done.stderr.strip()}"
        pytest.skip(lacking)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB; skipped where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "-t", "tmpfs", "-o", "size=24m", "tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    descriptor = os.open(filler, os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while True:
            os.write(descriptor, b"x" * 4096)
    os.close(descriptor)
    try:
        yield
    finally:
        filler.unlink()


def test_a_full_disk_stops_neither_answers_nor_workers_nor_the_start_of_one(small_disk: Path) -> None:
    home = small_disk / "home"
    publish_named(home, "first")
    with running(home) as server:
        server.wait_until_ready()
        assert eventually(lambda: n_ready(server) == 2, seconds=60)
        assert tell(server, "before-full").status == 202
        with full(small_disk), Load(server, n=1, pause=0.02) as load:
            goes_on_without(server, "while-full")
            # Whatever is counted for the first time takes room in the files of the counters, too.
            for path, body in (("/nowhere", {}), ("/v1/offers", {"customer_id": "anna", "channel": "app"})):
                assert post(server, path, body).status in (200, 404)
            with untouched(server):
                assert eventually(lambda: len(load.replies) > 50)
            victim = min(worker_pids(server))
            killed_at = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            assert eventually(lambda: len(set(worker_pids(server)) - {victim}) == 2, seconds=60)
            assert eventually(lambda: n_ready(server) == 2, seconds=60)
            assert {post(server).status for _ in range(20)} == {200}
        is_back(server, "after-full")

        assert {reply.status for reply in load.after(killed_at + 1)} == {200}
        assert tell(server, "before-full").body["duplicates"] == 1


def test_a_bundle_that_there_is_no_room_for_is_not_written_and_nothing_of_it_stays(small_disk: Path) -> None:
    home = small_disk / "home"
    publish_named(home, "first")
    before = sorted(each.name for each in (home / "bundles").iterdir())

    with full(small_disk), pytest.raises(Exception, match="No space left"):
        publish_named(home, "second")

    assert sorted(each.name for each in (home / "bundles").iterdir()) == before
    assert (home / "champion").read_text().strip() in before


def test_a_state_that_may_not_be_written_is_read_and_taken_up_when_it_may(small_disk: Path) -> None:
    home = small_disk / "home"
    publish_named(home, "first")
    open_state("file", home).store.check()
    file = home / "state" / "state.db"
    mount(file, "--bind", str(file))
    is_bound = True
    try:
        mount(file, "-o", "remount,bind,ro")
        with running(home) as server:
            server.wait_until_ready()
            goes_on_without(server, "while-read-only")
            subprocess.run(["umount", "--lazy", str(file)], check=True)
            is_bound = False
            is_back(server, "after-read-only")
    finally:
        if is_bound:
            subprocess.run(["umount", "--lazy", str(file)], check=True)


@dataclass
class RedisShop:
    """A shop with its state in Redis, behind an address that can fail over."""

    server: Server
    redis: RedisProcess
    proxy: Proxy
    folder: Path


@pytest.fixture(scope="module")
def redis_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisShop]:
    folder = tmp_path_factory.mktemp("redis")
    redis = RedisProcess(folder / "first").start()
    home = tmp_path_factory.mktemp("redis-home")
    publish_named(home, "first")
    with Proxy(redis.port) as proxy, running(home, state=f"redis://127.0.0.1:{proxy.port}/0") as server:
        server.wait_until_ready()
        assert eventually(lambda: n_ready(server) == 2, seconds=60)
        shop = RedisShop(server, redis, proxy, folder)
        yield shop
    shop.redis.stop(signal.SIGKILL)


def kept_events(port: int) -> set[str]:
    """Return the ids of the events that a Redis server keeps."""
    store = RedisStore(f"redis://127.0.0.1:{port}/0")
    try:
        found, after = set(), ""
        while page := store.scan("log/", after=after):
            found |= {key.rpartition("/")[2] for key, _ in page}
            after = page[-1][0]
        return found
    finally:
        store.close()


def told(load: Load) -> int:
    return load.statuses()[202]


def confirmed(load: Load) -> set[str]:
    """Return the ids of the events that were answered with a 202."""
    return {event["event_id"] for reply in load.replies if reply.status == 202 for event in reply.asked["events"]}


def test_a_slow_redis_costs_a_decision_its_time_and_no_more(redis_shop: RedisShop) -> None:
    redis_shop.proxy.delay = 3.0
    try:
        with Load(redis_shop.server, n=2, pause=0.05) as load:
            assert eventually(lambda: len(load.replies) > 10)
        refused = tell(redis_shop.server, "slow-redis")
    finally:
        redis_shop.proxy.delay = 0.0

    assert load.statuses() == {200: len(load.replies)}
    assert slowest(load.replies, 1.0) < 2.5
    assert (refused.status, refused.retry_after) == (503, "1")
    is_back(redis_shop.server, "after-slow")


def test_a_full_redis_refuses_what_is_told_and_keeps_what_it_has(redis_shop: RedisShop) -> None:
    assert tell(redis_shop.server, "before-full").status == 202
    client = redis_shop.redis.client()
    client.config_set("maxmemory", "1mb")
    try:
        assert eventually(lambda: tell(redis_shop.server, "while-full").status == 503)
        decided = [post(redis_shop.server, RECOMMENDATIONS) for _ in range(5)]
    finally:
        client.config_set("maxmemory", "0")
        client.close()

    assert {each.status for each in decided} == {200}
    is_back(redis_shop.server, "after-full")
    assert tell(redis_shop.server, "before-full").body["duplicates"] == 1


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_a_restarted_redis_has_all_that_was_confirmed(redis_shop: RedisShop, sign: signal.Signals) -> None:
    with untouched(redis_shop.server), Load(redis_shop.server, n=3, path=EVENTS, body=numbered) as telling:
        assert eventually(lambda: told(telling) > 50)
        redis_shop.redis.stop(sign)
        goes_on_without(redis_shop.server, f"while-restarting-{sign}")
        redis_shop.redis.start()
        before = told(telling)
        assert eventually(lambda: told(telling) > before + 50)

    assert set(telling.statuses()) <= {202, 503}
    assert kept_events(redis_shop.redis.port) >= confirmed(telling)
    is_back(redis_shop.server, f"after-restart-{sign}")


def test_a_replica_that_is_met_before_it_is_promoted_is_written_to_by_nobody(redis_shop: RedisShop) -> None:
    second = replica_of(redis_shop)
    try:
        redis_shop.proxy.fail_over(second.port)
        goes_on_without(redis_shop.server, "while-replica")
    finally:
        redis_shop.proxy.fail_over(redis_shop.redis.port)
        second.stop(signal.SIGKILL)
    is_back(redis_shop.server, "after-replica")


def test_after_a_failover_every_confirmed_event_is_with_the_promoted_replica(redis_shop: RedisShop) -> None:
    first, second = redis_shop.redis, replica_of(redis_shop)
    with untouched(redis_shop.server), Load(redis_shop.server, n=3, path=EVENTS, body=numbered) as telling:
        assert eventually(lambda: told(telling) > 50)
        # As a planned failover goes: the first one takes no more writes, the replica has all, and is promoted.
        client = first.client()
        client.client_pause(5000, all=False)
        client.wait(1, 2000)
        promote(second)
        redis_shop.proxy.fail_over(second.port)
        first.stop(signal.SIGKILL)
        client.close()
        before = told(telling)
        assert eventually(lambda: told(telling) > before + 50)

    redis_shop.redis = second
    assert set(telling.statuses()) <= {202, 503}
    assert kept_events(second.port) >= confirmed(telling)
    is_back(redis_shop.server, "after-failover")


def test_where_the_url_asks_for_a_replica_an_unplanned_failover_loses_nothing_that_was_confirmed(
    redis_shop: RedisShop, tmp_path: Path
) -> None:
    second = replica_of(redis_shop)
    publish_named(tmp_path, "first")
    url = f"redis://127.0.0.1:{redis_shop.proxy.port}/0?replicas=1"
    with running(tmp_path, state=url) as server:
        server.wait_until_ready()
        with Load(server, n=3, path=EVENTS, body=numbered) as telling:
            assert eventually(lambda: told(telling) > 50, seconds=40)
            redis_shop.redis.stop(signal.SIGKILL)
            promote(second)
            redis_shop.proxy.fail_over(second.port)
            # From here on the promoted one has no replica itself: nothing more is confirmed.
            assert eventually(lambda: [reply.status for reply in telling.replies[-5:]] == [503] * 5)

    redis_shop.redis = second
    assert told(telling) > 50
    assert kept_events(second.port) >= confirmed(telling)


def replica_of(shop: RedisShop) -> RedisProcess:
    """Return a Redis server that has all that the shop's has."""
    first = shop.redis.client()
    first.config_set("repl-diskless-sync-delay", 0)
    first.close()
    replica = RedisProcess(shop.folder / f"replica-{time.monotonic_ns()}").start()
    client = replica.client()
    client.replicaof("127.0.0.1", str(shop.redis.port))
    assert eventually(lambda: client.info("replication").get("master_link_status") == "up", seconds=30)
    client.close()
    return replica


def promote(replica: RedisProcess) -> None:
    client = replica.client()
    client.replicaof("NO", "ONE")
    client.close()
