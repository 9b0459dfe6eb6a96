"""Drops what is older than the policy keeps, a page at a time, while others go on writing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.state.codec import Raw, decode, encode_person, person_of
from serving.state.known import NO_STOCK
from serving.state.log import scanned
from serving.state.people import People
from serving.state.person import DAY_US, moments_kept, without_old
from serving.state.promising import is_over
from serving.state.stock_words import HEAD, folding, head_of, read_stock
from serving.state.store import Commit, Document

if TYPE_CHECKING:
    from serving.decisioning.policy import StatePolicy

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Compacted:
    """How many documents were dropped, by kind; customers: made smaller or dropped; stock: parts folded into one.

    `answers` are kept answers that stand no more.
    """

    events: int
    marks: int
    counts: int
    decisions: int
    parts: int
    customers: int
    stock: int
    answers: int = 0


class Compacting:
    """Keeps the state small."""

    def __init__(self, people: People, limits: Callable[[], StatePolicy]) -> None:
        self._people = people
        self._limits = limits

    def compact(self, now_us: int) -> Compacted:
        """Return what was dropped; nothing that the policy keeps."""
        limits = self._limits()
        events_after = now_us - limits.events_days * DAY_US
        decisions_after = now_us - limits.decisions_days * DAY_US
        return Compacted(
            events=self._drop("log/", lambda _, raw: raw["e"][4] <= events_after),
            marks=self._drop("seen/", lambda _, raw: raw["us"] <= events_after),
            counts=self._drop("counts/", lambda key, _: (int(key.split("/")[1]) + 1) * DAY_US <= events_after),
            decisions=self._drop("decision/", lambda _, raw: raw["us"] <= decisions_after),
            parts=self._drop("of/", lambda _, raw: raw["us"] <= decisions_after),
            customers=self._compact_people(now_us),
            stock=self._fold_stock(),
            answers=self._drop("kept/", lambda _, raw: is_over(raw, now_us)),
        )

    def _drop(self, prefix: str, is_old: Callable[[str, Raw], bool]) -> int:
        keys: list[str] = []
        n_dropped = 0
        for key, document in scanned(self._people.store, prefix):
            if is_old(key, decode(document.value)):
                keys.append(key)
            if len(keys) == _PAGE:
                n_dropped += self._delete(keys)
                keys = []
        return n_dropped + self._delete(keys)

    def _delete(self, keys: list[str]) -> int:
        if keys:
            self._people.store.commit(Commit(delete=keys, is_durable=False))
        return len(keys)

    def _compact_people(self, now_us: int) -> int:
        found = scanned(self._people.store, "person/")
        return sum(self._compact_person(key, document, now_us) for key, document in found)

    def _compact_person(self, key: str, document: Document, now_us: int) -> bool:
        """Return whether a customer's document was made smaller; one that has just changed waits for the next time."""
        raw = decode(document.value)
        if "into" in raw or not self._may_be_old(raw, now_us):
            return False
        person = person_of(raw)
        kept = without_old(person, now_us, self._limits())
        if kept == person and not kept.is_blank:
            return False
        put = {} if kept.is_blank else {key: encode_person(kept)}
        delete = [key] if kept.is_blank else []
        commit = Commit(put=put, delete=delete, expect={key: document.version}, is_durable=False)
        return self._people.store.commit(commit)

    def _may_be_old(self, raw: Raw, now_us: int) -> bool:
        """Return whether there may be something to drop; far quicker than making the person, and most have nothing."""
        accepted_after, ended_after, granted_after, held_after = moments_kept(now_us, self._limits())
        return (
            any(row[4] <= accepted_after for row in raw.get("events", ()))
            or any(row[4] <= ended_after for row in raw.get("challenges", ()))
            or any(row[5] <= granted_after for row in raw.get("rewards", ()))
            or any(row[3] <= held_after for row in raw.get("holds", ()))
            or raw.get("cut", accepted_after + 1) <= accepted_after
            or raw.keys() <= {"v", "id", "first"}
        )

    def _fold_stock(self) -> int:
        head = head_of(self._people.store.read([HEAD])[0])
        if head.n_parts < 2:
            return 0
        stock = read_stock(self._people.store, head, NO_STOCK)
        is_folded = stock is not None and self._people.store.commit(folding(head, stock))
        return head.n_parts if is_folded else 0
