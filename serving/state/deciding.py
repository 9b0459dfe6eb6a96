"""Keeps decisions and looks them up, with what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

from serving.state.challenges import KeptChallenge, kept
from serving.state.codec import Raw, decode
from serving.state.decisions import (
    DecisionHead,
    DecisionPart,
    DecisionRecord,
    DecisionSummary,
    Outcome,
    StoredDecision,
    content_of,
    document_of,
    known_us,
    line_of,
    outcome_of,
    part_of,
    record_of,
)
from serving.state.events import Event
from serving.state.keys import decision_key, line_key
from serving.state.log import logged, scanned
from serving.state.people import People, erased_moment
from serving.state.person import DAY_US, Person
from serving.state.store import ABSENT, Commit, Document, prefix_of

if TYPE_CHECKING:
    from serving.decisioning.policy import StatePolicy


class Deciding:
    """Decisions, by their id and by customer."""

    def __init__(self, people: People, limits: Callable[[], StatePolicy]) -> None:
        self._people = people
        self._limits = limits

    def record(self, record: DecisionRecord, basis: Mapping[str, int]) -> Future[bool]:
        """Return a future of whether the decision was kept: not when it was known before.

        Whoever was erased after the decision is counted in it, not named. A challenge is recorded anew when its items
        have changed; it stays decided for the moment and by the request by which it was first made. `basis` are
        versions of documents that were just read: where they say that its customer was never erased, nothing is looked
        up again.
        """
        store, hashes = self._people.store, self._people.hashes
        ids = [part.customer_id for part in record.parts if part.customer_id is not None]
        heads = [decision_key(record.decision_id), *(line_key(each, record.decision_id) for each in ids[:1])]
        keys = [*heads, *map(hashes.erased_key, ids)]
        if record.call != "challenge" and all(basis.get(key) == ABSENT for key in keys[len(heads) :]):
            # A part is only ever written with its head.
            return store.submit(_keeping(record, set(), dict.fromkeys((keys[0], *keys[len(heads) :]), ABSENT)))
        documents = store.read(keys)
        if documents[0] is not None and not _is_renewed(record, documents[: len(heads)]):
            return _done(False)
        moments = {each: erased_moment(erasure) for each, erasure in zip(ids, documents[len(heads) :], strict=True)}
        forgotten = {
            each for each, erased_us in moments.items() if erased_us is not None and erased_us >= record.known_us
        }
        expect = {
            key: ABSENT if document is None else document.version for key, document in zip(keys, documents, strict=True)
        }
        is_anew = documents[0] is not None and not any(moments.values())
        return store.submit(_keeping(_as_first_made(record, documents) if is_anew else record, forgotten, expect))

    def leave(self, record: DecisionRecord, basis: Mapping[str, int]) -> None:
        """Have a decision kept some time soon; as `record`, but nobody hears of it."""
        parts, store = record.parts, self._people.store
        if len(parts) != 1 or record.call == "challenge":
            self.record(record, basis)
            return
        key, customer_id = decision_key(record.decision_id), parts[0].customer_id
        if customer_id is None:
            store.leave({key: document_of(record, {})}, ())
            return
        erased_key = self._people.hashes.erased_key(customer_id)
        if basis.get(erased_key) != ABSENT:
            self.record(record, basis)
            return
        line = line_key(customer_id, record.decision_id)
        store.leave({key: document_of(record, {customer_id: parts[0]}), line: line_of(record)}, (erased_key,))

    def decision(self, decision_id: str) -> StoredDecision | None:
        """Return a decision with what came of it."""
        head = self._people.store.read([decision_key(decision_id)])[0]
        if head is None:
            return None
        raw = decode(head.value)
        parts = self._parts(raw)
        record = record_of(raw, parts)
        outcomes: dict[str, Outcome] = {}
        challenge: KeptChallenge | None = None
        shown = {part.customer_id: part for part in parts if part.customer_id is not None and part.shown}
        views, _ = self._people.views(shown)
        for customer_id, part in shown.items():
            person = views[customer_id].person
            outcomes[customer_id] = self._outcome(record.decision_id, record.at_us, part, self._events(person))
            challenge = challenge or _challenge_of(person, decision_id)
        n_erased = raw["erased"] + len(raw["customers"]) - len(parts)
        return StoredDecision(record, outcomes, challenge, n_erased)

    def summaries(self, person: Person, limit: int) -> tuple[DecisionSummary, ...]:
        """Return a customer's newest decisions, at most `limit`, newest first, with what came of them."""
        found = [(line, each) for each in person.ids for line in self._lines(each)]
        newest = sorted(found, key=lambda pair: (-pair[0]["us"], pair[0]["decision"]))[:limit]
        lines = {line["decision"]: (line, each) for line, each in newest}
        if not lines:
            return ()
        documents = self._people.store.read([decision_key(each) for each in lines])
        events = self._events(person)
        summaries = []
        for (line, each), document in zip(lines.values(), documents, strict=True):
            raw = {} if document is None else decode(document.value)
            content = content_of(raw, each, line) if raw else None
            if content is not None:
                summaries.append(self._summary(raw, part_of(content, person.customer_id), events))
        return tuple(summaries)

    def records(self) -> Iterator[DecisionRecord]:
        """Return all decisions by id, each with the parts of those who were not forgotten since."""
        for _, document in scanned(self._people.store, "decision/"):
            raw = decode(document.value)
            yield record_of(raw, self._parts(raw))

    def heads(self, aliases: Mapping[str, str], moment_us: Callable[[str], int | None]) -> Iterator[DecisionHead]:
        """Return all decisions by id, without what was shown: customers by the id that stands, by their erasures."""
        for _, document in scanned(self._people.store, "decision/"):
            raw = decode(document.value)
            known = [each for each in raw["customers"] if (moment_us(each) or -1) < known_us(raw)]
            yield DecisionHead(
                raw["id"],
                raw["call"],
                raw["us"],
                raw["model"],
                raw["experiment"],
                raw["probability"],
                tuple(aliases.get(each, each) for each in known),
                raw["erased"] + len(raw["customers"]) - len(known),
            )

    def latest_us(self) -> int:
        """Return when the latest decision was made, 0 where there is none."""
        found = (decode(document.value) for _, document in scanned(self._people.store, "decision/"))
        return max((int(raw["made"] if "made" in raw else raw["us"]) for raw in found), default=0)

    def _summary(self, head: Raw, part: DecisionPart, events: list[Event]) -> DecisionSummary:
        outcome = self._outcome(head["id"], head["us"], part, events)
        return DecisionSummary(head["id"], head["call"], head["us"], head["placement"], head["channel"], part, outcome)

    def _lines(self, customer_id: str) -> list[Raw]:
        """Return the lines that list the decisions of one id, those that are younger than its erasure."""
        found = [decode(document.value) for _, document in scanned(self._people.store, prefix_of("of", customer_id))]
        erased_us = self._people.erased_us(customer_id) if found else None
        return [raw for raw in found if erased_us is None or known_us(raw) > erased_us]

    def _parts(self, head: Raw) -> list[DecisionPart]:
        """Return the parts of a decision's customers, without those who were forgotten since."""
        ids = head["customers"]
        keys = [] if "of" in head else [line_key(each, head["id"]) for each in ids]
        documents = self._people.store.read([*map(self._people.hashes.erased_key, ids), *keys])
        lines = documents[len(ids) :] or [None] * len(ids)
        found = []
        for customer_id, erasure, line in zip(ids, documents[: len(ids)], lines, strict=True):
            erased_us = erased_moment(erasure)
            content = content_of(head, customer_id, None if line is None else decode(line.value))
            if content is not None and (erased_us is None or erased_us < known_us(head)):
                found.append(part_of(content, customer_id))
        return found

    def _events(self, person: Person) -> list[Event]:
        events = [each.event for each in logged(self._people, person.ids)]
        return sorted(events, key=lambda event: (event.at_us, event.event_id))

    def _outcome(self, decision_id: str, at_us: int, part: DecisionPart, events: list[Event]) -> Outcome:
        return outcome_of(decision_id, at_us, part, events, self._limits().attribution_days * DAY_US)


def _is_renewed(record: DecisionRecord, stored: Sequence[Document | None]) -> bool:
    """Return whether a record says something else of a customer's challenge than the stored head and part."""
    part = _stored_part(record, stored) if record.call == "challenge" else None
    return part is not None and part.product_ids() != record.parts[0].product_ids()


def _as_first_made(record: DecisionRecord, stored: Sequence[Document | None]) -> DecisionRecord:
    """Return a record of other items with the moment and the request of the stored one: what it was decided by."""
    document, part = stored[0], _stored_part(record, stored)
    if document is None or part is None:
        return record
    raw = decode(document.value)
    parts = (replace(record.parts[0], asked=part.asked), *record.parts[1:])
    first = {name: raw[name] for name in ("placement", "channel")}
    return replace(record, at_us=raw["us"], made_us=raw.get("made"), store_id=raw["store"], parts=parts, **first)


def _stored_part(record: DecisionRecord, stored: Sequence[Document | None]) -> DecisionPart | None:
    """Return what is stored of the customer of a record, by its document and the line that lists it."""
    if len(stored) < 2 or stored[0] is None or stored[1] is None or not record.parts:
        return None
    content = content_of(decode(stored[0].value), record.parts[0].customer_id or "", decode(stored[1].value))
    return None if content is None else part_of(content, None)


def _keeping(record: DecisionRecord, forgotten: set[str], expect: dict[str, int]) -> Commit:
    parts = {part.customer_id: part for part in record.parts if part.customer_id is not None}
    kept_parts = {each: part for each, part in parts.items() if each not in forgotten}
    put = {line_key(each, record.decision_id): line_of(record) for each in kept_parts}
    put[decision_key(record.decision_id)] = document_of(record, kept_parts, len(forgotten))
    return Commit(put=put, expect=expect, is_durable=False)


def _challenge_of(person: Person, decision_id: str) -> KeptChallenge | None:
    found = (each for each in person.challenges.values() if each.decision_id == decision_id)
    return next((kept(each, person.kinds) for each in found), None)


def _done(outcome: bool) -> Future[bool]:
    done: Future[bool] = Future()
    done.set_result(outcome)
    return done
