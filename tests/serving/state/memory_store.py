"""A state store in a dictionary: the plainest thing that keeps the promises of `serving.state.store.Store`."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future

from serving.errors import StateUnavailable
from serving.state.committer import Together
from serving.state.store import ABSENT, Commit, Document, added


class MemoryStore:
    """Documents of this process; `is_away` makes every call raise, as a server that can't be reached does."""

    reads_in_place = True

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.n_scrubs = 0
        self.is_away = False
        self.is_read_only = False
        self._last_version = ABSENT
        self._lock = threading.Lock()

    def check(self) -> tuple[str, ...]:
        self._check_there()
        return ()

    def read(self, keys: Sequence[str]) -> list[Document | None]:
        self._check_there()
        with self._lock:
            return [self.documents.get(key) for key in keys]

    def submit(self, commit: Commit) -> Future[bool]:
        done: Future[bool] = Future()
        try:
            done.set_result(self.commit(commit))
        except StateUnavailable as error:
            done.set_exception(error)
        return done

    def submit_all(self, commits: Sequence[Commit]) -> Future[list[bool | StateUnavailable]]:
        together = Together(len(commits))
        for commit in commits:
            self.submit(commit).add_done_callback(lambda done: together.take(done.exception() or done.result()))
        return together.future

    def commit(self, commit: Commit) -> bool:
        self._check_there()
        if self.is_read_only:
            raise StateUnavailable("the memory store takes nothing, as the test wants it")
        with self._lock:
            for key, version in commit.expect.items():
                found = self.documents.get(key)
                if (ABSENT if found is None else found.version) != version:
                    return False
            grown: dict[str, bytes] = {}
            for key, addition in commit.add.items():
                value = added(self.documents[key].value if key in self.documents else b"", addition)
                if value is None:
                    return False
                grown[key] = value
            for key in commit.delete:
                self.documents.pop(key, None)
            for key, value in {**commit.put, **grown}.items():
                self._last_version += 1
                self.documents[key] = Document(value, self._last_version)
            return True

    def leave(self, put: Mapping[str, bytes], absent: Collection[str]) -> None:
        self.submit(Commit(put=put, expect=dict.fromkeys((*put, *absent), ABSENT), is_durable=False))

    def scan(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[tuple[str, Document]]:
        self._check_there()
        with self._lock:
            found = sorted(key for key in self.documents if key.startswith(prefix) and key > after)
            return [(key, self.documents[key]) for key in found[:limit]]

    def scrub(self) -> None:
        self._check_there()
        self.n_scrubs += 1

    def n_bytes(self) -> int:
        return sum(len(key) + len(document.value) for key, document in self.documents.items())

    def close(self) -> None:
        pass

    def _check_there(self) -> None:
        if self.is_away:
            raise StateUnavailable("the memory store is away, as the test wants it")
