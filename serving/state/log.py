"""The log of events: every event that was kept, one document each, by the id that it came with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from serving.state.challenges import Line
from serving.state.codec import decode, event_of
from serving.state.events import Event
from serving.state.people import People
from serving.state.person import Person, line_of, lines_of
from serving.state.store import Document, Store, prefix_of

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Logged:
    """An event of the log with its key, and the type and category of the product where it was bought."""

    key: str
    event: Event
    kind: tuple[str, str] | None


def scanned(store: Store, prefix: str) -> Iterator[tuple[str, Document]]:
    """Return all documents below a prefix, by key, a page at a time."""
    after, page = "", store.scan(prefix, limit=_PAGE)
    while page:
        yield from page
        after = page[-1][0]
        page = store.scan(prefix, after=after, limit=_PAGE) if len(page) == _PAGE else []


def logged(people: People, customer_ids: Iterable[str] | None = None) -> Iterator[Logged]:
    """Return the log of some customers (by the ids that events came with), or of all.

    What was forgotten is left out, also before it is erased.
    """
    prefixes = ["log/"] if customer_ids is None else [prefix_of("log", each) for each in customer_ids]
    for prefix in prefixes:
        last_id, forgotten_us = None, None
        for key, document in scanned(people.store, prefix):
            raw = decode(document.value)
            event = event_of(raw["e"])
            if event.customer_id != last_id:
                last_id, forgotten_us = event.customer_id, people.erased_us(event.customer_id)
            if forgotten_us is None or min(event.at_us, event.accepted_us) > forgotten_us:
                kind = raw.get("k")
                yield Logged(key, event, None if kind is None else (kind[0], kind[1]))


def with_log(people: People, persons: Iterable[Person], since_us: int) -> tuple[list[Line], dict[str, tuple[str, str]]]:
    """Return all purchases of these persons from a moment on, and the kinds of what was bought.

    The log is asked only where a person's own document leaves events of that time out.
    """
    lines: dict[str, Line] = {}
    kinds: dict[str, tuple[str, str]] = {}
    for person in persons:
        lines |= lines_of(person)
        kinds = {**kinds, **person.kinds}
        if person.cut_us is None or person.cut_us < since_us:
            continue
        for each in logged(people, person.ids):
            line = line_of(each.event)
            if line is not None and line.at_us >= since_us:
                lines[line.event_id] = line
                kinds = kinds if each.kind is None else {line.product_id: each.kind, **kinds}
    return list(lines.values()), kinds
