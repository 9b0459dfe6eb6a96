"""Swaps: no request fails, no answer is mixed, a bad bundle changes nothing, nothing is left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from serving.champion import write_champion
from serving.launch import Server
from tests.faults.conftest import Shop
from tests.faults.shop import (
    ANNA,
    Load,
    Reply,
    copied,
    everywhere,
    mapped,
    metric,
    n_descriptors,
    post,
    publish_named,
    ready,
    resident_mb,
    untouched,
)
from tests.serving.running import CHALLENGE, RECOMMENDATIONS, eventually, worker_pids

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def names_in(reply: Reply) -> set[str]:
    """Return which bundles' names an answer's products bear."""
    return {item["name"].partition(" [")[2] for item in reply.body["items"]}


def serves(server: Server, version: str) -> Callable[[], bool]:
    def claim() -> bool:
        reply = post(server, RECOMMENDATIONS)
        assert reply.status in (200, 503), reply
        return reply.status == 200 and bool(reply.body["model_version"] == version)

    return claim


def test_a_swap_and_the_way_back_under_load_fail_no_request_and_mix_no_answer(shop: Shop) -> None:
    def any_customer(turn: int) -> dict[str, str]:
        return {"customer_id": ("anna", "cleo", "emil", "nobody")[turn % 4]}

    for turn in range(3):  # where others keep the machine busy the load alone may be too much, and is a 503 then
        with untouched(shop.server), Load(shop.server, n=4, body=any_customer) as load:
            assert eventually(lambda: len(load.replies) > 40)
            second = publish_named(shop.home, f"second-{turn}")
            assert everywhere(shop.server, serves(shop.server, second))
            write_champion(shop.home, shop.version)
            assert everywhere(shop.server, serves(shop.server, shop.version))

        answered = [reply for reply in load.replies if reply.status == 200]
        others = [reply for reply in load.replies if reply.status != 200]
        assert all("too many requests at once" in str(reply.body) for reply in others), others
        name_of = {shop.version: {"first]"}, second: {f"second-{turn}]"}}
        assert {reply.body["model_version"] for reply in answered} == set(name_of)
        assert all(names_in(reply) == name_of[reply.body["model_version"]] for reply in answered)
        if len(answered) == len(load.replies):
            return
    pytest.fail("in none of three swaps was every request answered")


def flip(folder: Path) -> None:
    path = folder / "arrays" / "customers.churn.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(folder: Path) -> None:
    path = folder / "arrays" / "habit.p7.npy"
    os.truncate(path, path.stat().st_size - 1)


def cut_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    os.truncate(path, path.stat().st_size // 2)


def take_away(folder: Path) -> None:
    (folder / "numbers.json").unlink()


def spoil_policy(folder: Path) -> None:
    (folder / "policy.toml").write_text("[")


def long(damage: Callable[[Path], None]) -> ParameterSet:
    return pytest.param(damage, marks=pytest.mark.faults)


@pytest.mark.parametrize("damage", [flip, truncate, *map(long, (cut_manifest, take_away, spoil_policy))])
def test_a_bad_bundle_is_refused_and_ready_log_and_metric_say_so_until_the_way_back(
    shop: Shop, damage: Callable[[Path], None]
) -> None:
    bad = f"20180102-{damage.__name__.replace('_', '-')}"
    damage(copied(shop.home, shop.version, bad))
    refused = metric(shop.server, 'tercet_bundle_loads_total{outcome="refused"}')

    with untouched(shop.server), Load(shop.server, n=2, pause=0.005) as load:
        write_champion(shop.home, bad)
        assert everywhere(shop.server, lambda: ready(shop.server).get("refused") == bad)
        assert eventually(lambda: metric(shop.server, "tercet_champion_refused") == 1)
        write_champion(shop.home, shop.version)
        assert everywhere(shop.server, lambda: "refused" not in ready(shop.server))
        assert eventually(lambda: metric(shop.server, "tercet_champion_refused") == 0)

    assert load.statuses() == {200: len(load.replies)}
    assert {reply.body["model_version"] for reply in load.replies} == {shop.version}
    assert shop.server.log.read_text().count(f"bundle {bad} refused, {shop.version} serves on") == 2
    assert metric(shop.server, 'tercet_bundle_loads_total{outcome="refused"}') == refused + 2


def test_files_that_are_deleted_while_they_are_mapped_serve_on_and_the_next_bundle_is_taken_up(shop: Shop) -> None:
    mapped_one = publish_named(shop.home, "deleted")
    assert everywhere(shop.server, serves(shop.server, mapped_one))
    for path in (shop.home / "bundles" / mapped_one).rglob("*"):
        if path.is_file():
            path.unlink()

    with untouched(shop.server):
        replies = [post(shop.server, path) for path in (CHALLENGE, RECOMMENDATIONS) for _ in range(10)]
        scores = post(shop.server, "/v1/scores", {"customer_ids": ["anna", "cleo", "nobody"]})
        third = publish_named(shop.home, "third")
        assert everywhere(shop.server, serves(shop.server, third))

    assert {reply.status for reply in [*replies, scores]} == {200}


@pytest.mark.faults
def test_ten_swaps_leave_no_memory_and_no_file_behind(shop: Shop) -> None:
    def swap(name: str) -> str:
        version = publish_named(shop.home, name)
        assert everywhere(shop.server, serves(shop.server, version))
        return version

    first = swap("swap-0")
    pids = worker_pids(shop.server)
    assert eventually(lambda: only_mapped(shop, first))
    before = {pid: (n_descriptors(pid), resident_mb(pid)) for pid in pids}
    files = n_files(shop.home)

    with untouched(shop.server):
        for number in range(10):
            last = swap(f"swap-{number % 2 + 1}")
        # Nothing is asked meanwhile: what is let go of must not wait for the next request.
        assert eventually(lambda: only_mapped(shop, last), seconds=15)

    for pid in pids:
        assert n_descriptors(pid) <= before[pid][0] + 8  # connections, and readers of the state
        assert resident_mb(pid) < before[pid][1] + 8
    # Two more bundles than before; whatever was written on the way is gone.
    one = sum(path.is_file() for path in (shop.home / "bundles" / last).rglob("*"))
    assert n_files(shop.home) <= files + 2 * one


def only_mapped(shop: Shop, version: str) -> bool:
    """Say whether every worker has that bundle's files mapped, and no other's."""
    bundles = shop.home / "bundles"
    return all(0 < mapped(pid, bundles) == mapped(pid, bundles / version) for pid in worker_pids(shop.server))


def n_files(home: Path) -> int:
    folders = (home, home / "bundles")
    return sum(path.is_file() for folder in folders for path in folder.glob("*")) + sum(
        path.is_file() for path in (home / "bundles").glob("*/**/*")
    )


def test_a_promised_challenge_holds_across_a_swap_and_the_way_back(shop: Shop) -> None:
    promised = post(shop.server, body=ANNA).body
    second = publish_named(shop.home, "other-names")
    assert everywhere(shop.server, serves(shop.server, second))
    during = [post(shop.server, body=ANNA).body for _ in range(10)]
    write_champion(shop.home, shop.version)
    assert everywhere(shop.server, serves(shop.server, shop.version))

    assert all(each == promised for each in [*during, post(shop.server, body=ANNA).body])


@pytest.mark.faults
def test_swaps_one_after_the_other_end_with_the_last(shop: Shop) -> None:
    versions = [publish_named(shop.home, name) for name in ("a", "b", "c", "d")]
    started = time.monotonic()

    assert everywhere(shop.server, serves(shop.server, versions[-1]))
    assert time.monotonic() - started < 20
