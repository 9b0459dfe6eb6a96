"""What commits that arrive together come to, decided one after the other in memory before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from serving.state.committer import EncodedCommit, Left
from serving.state.store import ABSENT, added


@dataclass(slots=True)
class Settled:
    """What a batch of commits comes to: an answer each, and the changes that are left to write."""

    version: int
    answers: list[bool] = field(default_factory=list)
    put: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    delete: set[bytes] = field(default_factory=set)

    def grown(self, commit: EncodedCommit, tallies: Mapping[bytes, bytes]) -> dict[bytes, bytes] | None:
        """Return the tallies that a commit adds to as they would be, None when one would be too much."""
        grown = {}
        for key, addition in commit.add.items():
            before = b"" if key in self.delete else tallies.get(key, b"")
            value = added(self.put[key][1] if key in self.put else before, addition)
            if value is None:
                return None
            grown[key] = value
        return grown

    def put_all(self, documents: Iterable[tuple[bytes, bytes]], now: dict[bytes, int]) -> None:
        """Put documents under the next version, which their keys have by now."""
        self.version += 1
        for key, value in documents:
            now[key] = self.version
            self.delete.discard(key)
            self.put[key] = (self.version, value)


def settle(
    batch: Sequence[EncodedCommit | Left], versions: Mapping[bytes, int], tallies: Mapping[bytes, bytes], version: int
) -> Settled:
    """Return what the commits come to when they happen one after the other.

    `versions` are those of the keys that a commit expects anything of, and `tallies` the documents that one adds to,
    without those that are not there; `version` is the last one that was given.
    """
    settled = Settled(version)
    now = dict(versions)
    for commit in batch:
        if not isinstance(commit, EncodedCommit):
            keys, values, absent = commit
            is_free = all(now.get(key, ABSENT) == ABSENT for key in (*keys, *absent))
            settled.answers.append(is_free)
            if is_free:
                settled.put_all(zip(keys, values, strict=True), now)
            continue
        is_expected = all(now.get(key, ABSENT) == expected for key, expected in commit.expect.items())
        grown = settled.grown(commit, tallies) if is_expected else None
        settled.answers.append(grown is not None)
        if grown is None:
            continue
        for key in commit.delete:
            now[key] = ABSENT
            settled.put.pop(key, None)
            settled.delete.add(key)
        settled.put_all((commit.put | grown).items(), now)
    return settled


def apart(batch: Sequence[EncodedCommit | Left]) -> list[Left] | None:
    """Return a batch of nothing but what was left, where none of it puts what another wants not to be there."""
    lefts = [each for each in batch if not isinstance(each, EncodedCommit)]
    if len(lefts) < len(batch):
        return None
    put = {key for keys, _, _ in lefts for key in keys}
    return lefts if all(put.isdisjoint(absent) for _, _, absent in lefts) else None
