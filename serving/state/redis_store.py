"""The state in a Redis server, for shops that answer from several machines.

A document is a string, its version in 16 digits before its value; a sorted set holds all keys in order. One script
makes a commit, so that it happens whole or not at all, and whatever waits is sent as one pipeline: with
`appendfsync always` the server answers it after one flush.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import TypeVar

import redis

from serving.errors import StateUnavailable, StateUnfit
from serving.state.committer import (
    Answer,
    Breaker,
    Committer,
    EncodedCommit,
    Left,
    PerProcess,
    encode,
    is_durable,
    left,
)
from serving.state.redis_server import check_durable, connect, meaning_of, replicas_of
from serving.state.store import ABSENT, Commit, Document, next_prefix

T = TypeVar("T")

SCHEMA = 1

_PREFIX = b"tercet:d:"
_VERSION_DIGITS = 16
_BREAK_SECONDS = 1.0
_REPLICA_MILLISECONDS = 500
_SCRUB_SECONDS = 600.0
_SCRUB_POLL_SECONDS = 0.05

# Arguments: how many expectations, then key and version ('' for none) of each; how many tallies to add to, then key,
# limit ('' for none), how many numbers, and the numbers of each; how many to put, then key and value of each; then the
# keys to delete. A version is the server's clock in microseconds, or one more than the last: it grows even when the
# last seconds of a server were lost. What needs memory comes first, so that a full server refuses before anything has
# happened.
_COMMIT = """
local at = 2
for _ = 1, tonumber(ARGV[1]) do
  if redis.call('GETRANGE', 'tercet:d:' .. ARGV[at], 0, 15) ~= ARGV[at + 1] then return 0 end
  at = at + 2
end
local put = {}
local n = tonumber(ARGV[at])
at = at + 1
for i = 1, n do
  local key, limit, m = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local numbers, sum = {}, 0
  for each in string.gmatch(redis.call('GETRANGE', 'tercet:d:' .. key, 16, -1), '%S+') do
    numbers[#numbers + 1] = tonumber(each)
  end
  for j = 1, m do
    numbers[j] = (numbers[j] or 0) + tonumber(ARGV[at + 2 + j])
  end
  for j = 1, #numbers do
    sum = sum + numbers[j]
    numbers[j] = string.format('%.0f', numbers[j])
  end
  if limit ~= '' and sum > tonumber(limit) then return 0 end
  put[2 * i - 1] = key
  put[2 * i] = table.concat(numbers, ' ')
  at = at + 3 + m
end
local last_put = at + 2 * tonumber(ARGV[at])
for i = at + 1, last_put do put[#put + 1] = ARGV[i] end
if #put > 0 then
  local now = redis.call('TIME')
  local last = tonumber(redis.call('GET', 'tercet:clock') or '0')
  local version = string.format('%016.0f', math.max(last + 1, now[1] * 1000000 + now[2]))
  redis.call('SET', 'tercet:clock', version)
  for i = 1, #put, 2 do
    redis.call('SET', 'tercet:d:' .. put[i], version .. put[i + 1])
    redis.call('ZADD', 'tercet:keys', 0, put[i])
  end
end
for i = last_put + 1, #ARGV do
  redis.call('DEL', 'tercet:d:' .. ARGV[i])
  redis.call('ZREM', 'tercet:keys', ARGV[i])
end
return 1
"""

_SCAN = """
local keys = redis.call('ZRANGEBYLEX', 'tercet:keys', ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local found = {}
for i, key in ipairs(keys) do
  found[2 * i - 1] = key
  found[2 * i] = redis.call('GET', 'tercet:d:' .. key)
end
return found
"""


class ReplicasMissing(redis.RedisError):
    """What was written is not with as many replicas as it has to be."""

    def __init__(self) -> None:
        super().__init__("NOREPLICAS in time")


class RedisStore:
    """`serving.state.store.Store` over one Redis server; all keys begin with `tercet:` in the URL's database."""

    def __init__(self, url: str) -> None:
        self._client = connect(url)
        self._n_replicas = replicas_of(url)
        self._breaker = Breaker(_BREAK_SECONDS)
        self._committers = PerProcess(lambda: Committer(self._apply))
        self._is_checked = False
        self._is_closed = False

    @property
    def reads_in_place(self) -> bool:
        """False: a read is a round trip."""
        return False

    def check(self) -> tuple[str, ...]:
        """Return what can't be told about the server's durability; StateUnfit names all that it lacks."""
        try:
            return self._check()
        except (redis.RedisError, OSError) as error:
            raise meaning_of(error) from error

    def read(self, keys: Sequence[str]) -> list[Document | None]:
        """Return the documents of the keys, None for one that is not there; one MGET."""
        if not keys:
            return []
        names = [_PREFIX + key.encode() for key in keys]
        found = self._ask(lambda: self._client.mget(names))
        return [_parse(stored) if isinstance(stored, bytes) else None for stored in found]

    def scan(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[tuple[str, Document]]:
        """Return up to `limit` documents whose key begins with `prefix` and comes after `after`, by key."""
        low, last = prefix.encode(), after.encode()
        least = b"(" + last if last >= low and last else b"[" + low
        end = next_prefix(low)
        most = b"(" + end if end else b"+"
        found = self._ask(lambda: self._client.eval(_SCAN, 0, least, most, limit))
        return [(key.decode(), _parse(stored)) for key, stored in zip(found[::2], found[1::2], strict=True)]

    def submit(self, commit: Commit) -> Future[bool]:
        """Return the future of the commit, which is sent together with whatever else waits."""
        return self._submit(commit, is_awaited=False)

    def submit_all(self, commits: Sequence[Commit]) -> Future[list[Answer]]:
        """Return one future of several commits, which are in one batch."""
        self._breaker.guard()
        return self._committers.get().submit_all(list(map(encode, commits)))

    def commit(self, commit: Commit) -> bool:
        """Return what `submit` comes to, at once."""
        return self._submit(commit, is_awaited=True).result()

    def leave(self, put: Mapping[str, bytes], absent: Collection[str]) -> None:
        """Have new documents put with whatever else waits."""
        self._breaker.guard()
        self._committers.get().leave(left(put, absent))

    def scrub(self) -> None:
        """Have the server write its append-only file and its snapshot anew, and wait until it has."""
        self._ask(
            lambda: self._rewrite(self._client.bgrewriteaof, "aof_rewrite_in_progress", "aof_last_bgrewrite_status")
        )
        self._ask(lambda: self._rewrite(self._client.bgsave, "rdb_bgsave_in_progress", "rdb_last_bgsave_status"))

    def n_bytes(self) -> int:
        """Return the bytes of memory that the server uses."""
        return int(self._ask(lambda: self._client.info("memory"))["used_memory"])

    def close(self) -> None:
        """Finish what was submitted, and close the connections."""
        self._committers.get().close()
        self._is_closed = True
        self._client.close()

    def _ask(self, call: Callable[[], T]) -> T:
        """Return what the call returns, unless the server failed a moment ago."""
        if self._is_closed:
            raise StateUnavailable("the state is closed")
        self._breaker.guard()
        return self._try(call)

    def _try(self, call: Callable[[], T]) -> T:
        """Return what the call returns; the server is checked again after each time that it was away."""
        try:
            if not self._is_checked:
                self._check()
            answer = call()
        except StateUnfit as error:
            raise self._breaker.trip(error) from error
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            self._is_checked = False
            self._client.connection_pool.disconnect(inuse_connections=False)
            raise self._breaker.trip(meaning_of(error)) from error
        except redis.RedisError as error:  # it answers, and refuses this one call
            raise meaning_of(error) from error
        self._breaker.reset()
        return answer

    def _submit(self, commit: Commit, *, is_awaited: bool) -> Future[bool]:
        self._breaker.guard()
        return self._committers.get().submit(encode(commit), is_awaited=is_awaited)

    def _check(self) -> tuple[str, ...]:
        """Return what can't be told; StateUnfit also for a newer release's server. Marks an empty one as ours."""
        notes = check_durable(self._client)
        schema = self._client.get("tercet:schema")
        if schema is None:
            self._client.set("tercet:schema", SCHEMA)
        elif int(schema) > SCHEMA:
            raise StateUnfit(f"Redis holds schema {int(schema)}, this release of tercet reads up to {SCHEMA}: upgrade")
        self._is_checked = True
        return notes

    def _apply(self, batch: Sequence[EncodedCommit | Left]) -> Sequence[bool | StateUnavailable]:
        answers = self._try(lambda: self._send(batch))  # `submit` has asked the breaker
        return [meaning_of(each) if isinstance(each, redis.RedisError | OSError) else each == 1 for each in answers]

    def _send(self, batch: Sequence[EncodedCommit | Left]) -> list[int | redis.RedisError]:
        waits = self._n_replicas > 0 and any(map(is_durable, batch))
        with self._client.pipeline(transaction=False) as pipeline:
            for commit in batch:
                pipeline.eval(_COMMIT, 0, *_arguments(commit))
            if waits:
                pipeline.wait(self._n_replicas, _REPLICA_MILLISECONDS)
            answers: list[int | redis.RedisError] = pipeline.execute(raise_on_error=False)
        if waits:
            reached = answers.pop()
            if isinstance(reached, redis.RedisError) or reached < self._n_replicas:
                answers = [
                    ReplicasMissing() if is_durable(commit) and each == 1 else each
                    for commit, each in zip(batch, answers, strict=True)
                ]
        return answers

    def _rewrite(self, begin: Callable[[], object], running: str, status: str) -> None:
        """Run one of the server's rewrites; one that ran already may have begun before the last deletion."""
        until = time.monotonic() + _SCRUB_SECONDS
        self._await_none(running, until)
        while True:
            try:
                begin()
                break
            except redis.ResponseError:  # another one is running, of either kind
                if time.monotonic() > until:
                    raise
                time.sleep(_SCRUB_POLL_SECONDS)
        self._await_none(running, until)
        if self._client.info("persistence")[status] != "ok":
            raise StateUnavailable("Redis could not write its files anew")

    def _await_none(self, running: str, until: float) -> None:
        while self._client.info("persistence")[running]:
            if time.monotonic() > until:
                raise StateUnavailable("Redis takes too long to write its files anew")
            time.sleep(_SCRUB_POLL_SECONDS)


def _arguments(commit: EncodedCommit | Left) -> list[bytes | int]:
    if not isinstance(commit, EncodedCommit):
        return _arguments_of_left(*commit)
    arguments: list[bytes | int] = [len(commit.expect)]
    for key, version in commit.expect.items():
        arguments += (key, b"" if version == ABSENT else b"%016d" % version)
    arguments.append(len(commit.add))
    for key, addition in commit.add.items():
        limit = b"" if addition.at_most is None else b"%d" % addition.at_most
        arguments += (key, limit, len(addition.numbers), *addition.numbers)
    arguments.append(len(commit.put))
    for key, value in commit.put.items():
        arguments += (key, value)
    arguments += commit.delete
    return arguments


def _arguments_of_left(keys: Sequence[bytes], values: Sequence[bytes], absent: Sequence[bytes]) -> list[bytes | int]:
    """Return the same of new documents that are put where none of some other keys is there."""
    arguments: list[bytes | int] = [len(keys) + len(absent)]
    for key in (*keys, *absent):
        arguments += (key, b"")
    arguments += (0, len(keys))
    for pair in zip(keys, values, strict=True):
        arguments += pair
    return arguments


def _parse(stored: bytes) -> Document:
    return Document(stored[_VERSION_DIGITS:], int(stored[:_VERSION_DIGITS]))
