"""What a batch of commits comes to before anything of it is written."""

from __future__ import annotations

from serving.state.committer import EncodedCommit
from serving.state.settling import settle
from serving.state.store import ABSENT, Addition


def commit_of(**fields: object) -> EncodedCommit:
    values: dict[str, object] = {"put": {}, "delete": (), "expect": {}, "is_durable": True, "add": {}}
    return EncodedCommit(**(values | fields))  # type: ignore[arg-type]  # a test's own shorthand


def test_a_batch_settles_as_if_its_commits_came_one_by_one() -> None:
    batch = [
        commit_of(put={b"a": b"1"}, expect={b"a": 5}),
        commit_of(put={b"a": b"2"}, expect={b"a": 5}),
        commit_of(put={b"b": b"1"}, delete=(b"a",), expect={b"a": 11}),
        commit_of(put={b"a": b"3"}, expect={b"a": ABSENT}),
        commit_of(delete=(b"b",)),
    ]
    settled = settle(batch, {b"a": 5}, {}, 10)
    assert settled.answers == [True, False, True, True, True]
    assert settled.put == {b"a": (13, b"3")}
    assert settled.delete == {b"b"}
    assert settled.version == 14


def test_an_empty_batch_settles_to_nothing() -> None:
    settled = settle([], {}, {}, 7)
    assert (settled.answers, settled.put, settled.delete, settled.version) == ([], {}, set(), 7)


def test_tallies_of_a_batch_grow_one_after_the_other_up_to_their_limit() -> None:
    batch = [commit_of(add={b"n": Addition((2, 0), at_most=5)}) for _ in range(3)]
    settled = settle(batch, {}, {b"n": b"1"}, 10)
    assert settled.answers == [True, True, False]
    assert settled.put == {b"n": (12, b"5 0")}
