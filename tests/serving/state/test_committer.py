"""The thread that commits in groups, the breaker, and what a process must make for itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from serving.errors import StateUnavailable, StateUnfit
from serving.state.committer import MAX_BATCH, Breaker, Committer, EncodedCommit, PerProcess, encode, left
from serving.state.store import Commit

COMMIT = encode(Commit(put={"a": b"1"}))


class Disk:
    """Takes batches while it is free, and says no when it was told to."""

    def __init__(self) -> None:
        self.is_free, self.is_asked = threading.Event(), threading.Event()
        self.batches: list[int] = []
        self.error: Exception | None = None

    def apply(self, batch: Sequence[EncodedCommit]) -> Sequence[bool | StateUnavailable]:
        self.is_asked.set()
        assert self.is_free.wait(10)
        self.batches.append(len(batch))
        if self.error is not None:
            raise self.error
        return [True] * len(batch)


@pytest.fixture
def disk() -> Disk:
    return Disk()


def test_what_arrives_while_the_disk_is_busy_is_one_batch(disk: Disk) -> None:
    committer = Committer(disk.apply)
    first = committer.submit(COMMIT)
    assert disk.is_asked.wait(10)
    others = [committer.submit(COMMIT) for _ in range(MAX_BATCH + 5)]
    disk.is_free.set()
    assert all(future.result(10) for future in [first, *others])
    assert disk.batches == [1, MAX_BATCH, 5]
    committer.close()


def test_who_submits_several_hears_of_all_at_once_also_of_more_than_a_batch(disk: Disk) -> None:
    committer = Committer(disk.apply)
    told = committer.submit_all([COMMIT] * (MAX_BATCH + 5))
    assert disk.is_asked.wait(10)
    assert not told.done()
    disk.is_free.set()
    assert told.result(10) == [True] * (MAX_BATCH + 5)
    assert disk.batches == [MAX_BATCH, 5]
    assert committer.submit_all([]).result(0) == []
    committer.close()


def test_of_several_that_could_not_be_written_each_has_an_error_of_its_own(disk: Disk) -> None:
    disk.is_free.set()
    disk.error = StateUnfit("full")
    committer = Committer(disk.apply)
    first, second = committer.submit_all([COMMIT, COMMIT]).result(10)
    assert isinstance(first, StateUnfit)
    assert isinstance(second, StateUnfit)
    committer.close()


def test_what_nobody_waits_for_goes_with_the_next_that_somebody_does(disk: Disk) -> None:
    some_time = encode(Commit(put={"a": b"1"}, is_durable=False))
    committer = Committer(disk.apply, pace_seconds=60.0)
    disk.is_free.set()
    assert committer.submit(some_time).result(10)  # the first one has nothing to keep its distance from
    others = [committer.submit(some_time) for _ in range(3)]
    assert committer.submit(some_time, is_awaited=True).result(10)
    others += [committer.submit(some_time) for _ in range(2)]
    assert committer.submit(COMMIT).result(10)
    others.append(committer.submit(some_time))
    committer.close()
    assert all(future.result(10) for future in others)
    assert disk.batches == [1, 4, 3, 1]


def test_what_is_left_is_applied_in_its_turn_and_answers_nobody(disk: Disk) -> None:
    committer = Committer(disk.apply, pace_seconds=60.0)
    first = committer.submit(COMMIT)
    assert disk.is_asked.wait(10)
    for key in "bc":
        committer.leave(left({key: b"1"}, ["d"]))
    last = committer.submit(COMMIT)
    disk.is_free.set()
    assert first.result(10)
    assert last.result(10)
    committer.close()
    assert disk.batches == [1, 3]
    with pytest.raises(StateUnavailable):
        committer.leave(left({"b": b"1"}, []))


def test_what_nobody_waits_for_is_not_forgotten(disk: Disk) -> None:
    some_time = encode(Commit(put={"a": b"1"}, is_durable=False))
    committer = Committer(disk.apply, pace_seconds=0.001)
    disk.is_free.set()
    assert all(committer.submit(some_time).result(10) for _ in range(3))
    committer.close()


def test_a_disk_that_fails_fails_all_that_wait_and_none_that_come_later(disk: Disk) -> None:
    committer, disk.error = Committer(disk.apply), StateUnfit("worn out")
    first = committer.submit(COMMIT)
    assert disk.is_asked.wait(10)
    others = [committer.submit(COMMIT) for _ in range(MAX_BATCH + 5)]
    disk.is_free.set()
    errors = [future.exception(10) for future in [first, *others]]
    assert {(type(error), str(error)) for error in errors} == {(StateUnfit, "worn out")}
    assert len({id(error) for error in errors}) == len(errors)
    disk.error = None
    assert committer.submit(COMMIT).result(10)
    committer.close()


def test_a_fault_of_ours_is_told_to_those_who_wait_and_the_thread_goes_on(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    committer, disk.error = Committer(disk.apply), ZeroDivisionError("of ours")
    disk.is_free.set()
    with pytest.raises(StateUnavailable, match="ZeroDivisionError"):
        committer.submit(COMMIT).result(10)
    disk.error = None
    assert committer.submit(COMMIT).result(10)
    assert "a batch of commits failed" in caplog.text
    committer.close()


def test_a_future_that_was_given_up_harms_no_other(disk: Disk) -> None:
    committer = Committer(disk.apply)
    committer.submit(COMMIT)
    assert disk.is_asked.wait(10)
    given_up, other = committer.submit(COMMIT), committer.submit(COMMIT)
    assert given_up.cancel()
    disk.is_free.set()
    assert other.result(10)
    committer.close()


def test_a_breaker_repeats_a_failure_for_a_while_then_lets_one_try() -> None:
    now = [0.0]
    breaker = Breaker(1.0, clock=lambda: now[0])
    breaker.guard()
    breaker.trip(StateUnavailable("away"))
    for moment, is_tried in ((0.0, False), (0.9, False), (1.0, True), (1.5, False), (2.0, True)):
        now[0] = moment
        if is_tried:
            breaker.guard()
        else:
            with pytest.raises(StateUnavailable, match="away"):
                breaker.guard()
    breaker.reset()
    now[0] = 2.1
    breaker.guard()


def test_a_process_makes_its_own_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    own = PerProcess(make)
    assert own.get() is own.get()
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert own.get() is made[1]
    assert own.get() is made[1]
