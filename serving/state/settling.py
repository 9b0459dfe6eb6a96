"""What commits that arrive together come to, decided one after the other in memory before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from serving.state.committer import EncodedCommit
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


def settle(
    batch: Sequence[EncodedCommit], versions: Mapping[bytes, int], tallies: Mapping[bytes, bytes], version: int
) -> Settled:
    """Return what the commits come to when they happen one after the other.

    `versions` are those of the keys that a commit expects anything of, and `tallies` the documents that one adds to,
    without those that are not there; `version` is the last one that was given.
    """
    settled = Settled(version)
    now = dict(versions)
    for commit in batch:
        is_expected = all(now.get(key, ABSENT) == expected for key, expected in commit.expect.items())
        grown = settled.grown(commit, tallies) if is_expected else None
        settled.answers.append(grown is not None)
        if grown is None:
            continue
        settled.version += 1
        for key in commit.delete:
            now[key] = ABSENT
            settled.put.pop(key, None)
            settled.delete.add(key)
        for key, value in (commit.put | grown).items():
            now[key] = settled.version
            settled.delete.discard(key)
            settled.put[key] = (settled.version, value)
    return settled
