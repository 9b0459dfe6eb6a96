"""Erasing from Redis: neither a key nor a value nor the append-only file holds the customer afterwards."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq

from serving.erasing import Asked, erase_asked
from serving.state.decisions import DecisionPart, DecisionRecord
from serving.state.events import Event, EventType
from serving.state.merging import Identity
from serving.state_home import open_state
from tests.places import places_with
from tests.serving.state.redis_process import RedisProcess
from training.log_source import told_under

ANNA, GUEST, EMAIL = "anna-2c9", "guest-81d", "anna@example.com"


def everything_in(server: RedisProcess) -> bytes:
    """Return all keys with their values, whatever type they have."""
    with closing(server.client()) as client:
        read = {
            b"string": client.get,
            b"hash": client.hgetall,
            b"set": client.smembers,
            b"zset": lambda key: client.zrange(key, 0, -1),
        }
        return b"\n".join(key + str(read[client.type(key)](key)).encode() for key in client.scan_iter())


def test_nothing_in_redis_or_its_files_holds_the_customer_afterwards(own_redis: RedisProcess, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with closing(open_state(own_redis.url, home)) as opened:
        events = [Event(f"e{each}", each, EventType.VIEW, 1, 1, value=EMAIL) for each in (ANNA, GUEST)]
        events.append(Event("e-ben", "ben", EventType.VIEW, 1, 1))
        opened.state.accept(events, may_keep=lambda live: True, kind_of=lambda product: None)
        both = [Identity(ANNA, "email", EMAIL), Identity(GUEST, "email", EMAIL)]
        opened.state.link(both, is_loyal=lambda each: each == ANNA, now_us=2)
        opened.state.record(DecisionRecord("d", "challenge", 3, "v", (DecisionPart(GUEST),))).result()
    traces = [ANNA, GUEST, EMAIL]
    before = everything_in(own_redis)
    assert all(each.encode() in before for each in traces)
    assert places_with([own_redis.folder], traces)

    receipt = erase_asked(home, own_redis.url, Asked(None, f"email:{EMAIL}"), lambda _: None)

    after = everything_in(own_redis)
    assert not any(each.encode() in after for each in traces)
    assert b"ben" in after
    assert places_with([own_redis.folder, home], traces) == []
    assert "2   events of the state" in receipt


def test_what_redis_keeps_is_folded_into_the_tables(own_redis: RedisProcess, tmp_path: Path) -> None:
    with closing(open_state(own_redis.url, tmp_path)) as opened:
        told = [Event("e1", ANNA, EventType.VIEW, 5, 7), Event("e2", "ben", EventType.VIEW, 1, 8)]
        opened.state.accept(told, may_keep=lambda live: True, kind_of=lambda product: None)
        opened.state.forget("ben", 9)
    with told_under(tmp_path, own_redis.url, settle_seconds=0) as found:
        assert found.additions.events is not None
        assert pq.read_table(found.additions.events)["event_id"].to_pylist() == ["e1"]
        assert found.additions.erased_us("ben") == 9
        assert found.log_until_us == 8
