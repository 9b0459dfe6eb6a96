"""Decisions as they are looked up later: what was shown and withheld, by which model, and what came of it.

A decision is one document, with what each customer got, and for each of them a line under their id that lists it.
Erasing a customer leaves them as a count there. Of documents of schema 1 the head has no customer's part: each is with
the line that lists it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import orjson

from serving.state.challenges import KeptChallenge
from serving.state.codec import NEWEST, Raw, draw_document, draw_of, encode
from serving.state.events import Event, EventType
from serving.state.known import Draw, WithheldItem

Item = Mapping[str, Any]  # Any: an item of an answer, or what is left of it


class Items(Sequence[Item]):
    """Items that all have the same fields, as a row of values each: made and written faster than a dict of each.

    >>> Items(["product_id", "score"], [("milk", 2.0)]) == ({"product_id": "milk", "score": 2.0},)
    True
    """

    __slots__ = ("names", "rows")
    __hash__ = None  # type: ignore[assignment]  # as a dict has none

    def __init__(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:  # Any: a value of an item
        self.names, self.rows = names, rows

    @overload
    def __getitem__(self, at: int) -> Item: ...

    @overload
    def __getitem__(self, at: slice) -> Items: ...

    def __getitem__(self, at: int | slice) -> Item | Items:
        if isinstance(at, slice):
            return Items(self.names, self.rows[at])
        return dict(zip(self.names, self.rows[at], strict=True))

    def __len__(self) -> int:
        return len(self.rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return f"Items({self.names!r}, {self.rows!r})"


@dataclass(frozen=True, slots=True)
class DecisionPart:
    """What one customer of a decision got; `customer_id` is None where nothing may link back to them.

    `shown` are the items (or offers) of the answer as the caller wants them told, each with its `product_id` or its
    `offer_id`, and `action` is what an action said and where;
    `asked` are the fields of the request that say something else than their defaults, so that it can be asked again.
    `draws`: what of it was drawn at random, and with which odds.
    """

    customer_id: str | None
    shown: Sequence[Item] = ()
    withheld: tuple[WithheldItem, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)  # Any: a field of a request
    draws: tuple[Draw, ...] = ()
    action: Mapping[str, Any] | None = None  # Any: the fields of an ActionAnswer

    def product_ids(self) -> frozenset[str]:
        """Return the products that were shown, or that what was shown is for."""
        shown = {item["product_id"] for item in self.shown if "product_id" in item}
        return frozenset(shown.union(*(item.get("product_ids", ()) for item in self.shown)))

    def offer_ids(self) -> frozenset[str]:
        """Return the offers that were given."""
        return frozenset(item["offer_id"] for item in self.shown if "offer_id" in item)


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision as it was made. `probability`: with which this arm was drawn; 1 where no experiment runs.

    `at_us` is the moment that was decided for, `made_us` the server's clock then (None: the same moment).
    """

    decision_id: str
    call: str
    at_us: int
    model_version: str
    parts: tuple[DecisionPart, ...]
    placement: str | None = None
    channel: str | None = None
    store_id: str | None = None
    experiment: Mapping[str, str] | None = None
    probability: float = 1.0
    is_personal: bool = True
    made_us: int | None = None

    @property
    def known_us(self) -> int:
        """By when it was known: whoever is forgotten later is taken out of it, for whichever moment it was made."""
        return self.at_us if self.made_us is None else min(self.at_us, self.made_us)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a decision: events that name it, and, within the policy's days, purchases of what it showed.

    So are events that name an offer which it gave, and no other decision.
    """

    answered: tuple[Event, ...] = ()
    bought: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision with what came of it, by customer; `record.parts` has those who were not erased.

    `challenge` is the challenge that was decided, where it was one and still stands.
    """

    record: DecisionRecord
    outcomes: Mapping[str, Outcome]
    challenge: KeptChallenge | None
    n_erased: int


@dataclass(frozen=True, slots=True)
class DecisionSummary:
    """A decision in the single customer view."""

    decision_id: str
    call: str
    at_us: int
    placement: str | None
    channel: str | None
    part: DecisionPart
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class DecisionHead:
    """Who was decided for, when and in which arm; `customer_ids` has those who were not forgotten since."""

    decision_id: str
    call: str
    at_us: int
    model_version: str
    experiment: Mapping[str, str] | None
    probability: float
    customer_ids: tuple[str, ...]
    n_erased: int


def document_of(record: DecisionRecord, parts: Mapping[str, DecisionPart], n_erased: int = 0) -> bytes:
    """Return the document of a decision, with the parts of customers by their id."""
    document: dict[str, object] = {
        "v": NEWEST,
        "id": record.decision_id,
        "call": record.call,
        "us": record.at_us,
        "model": record.model_version,
        "placement": record.placement,
        "channel": record.channel,
        "store": record.store_id,
        "experiment": record.experiment,
        "probability": record.probability,
        "personal": record.is_personal,
        "customers": list(parts),
        "parts": [_content(part) for part in record.parts if part.customer_id is None],
        "of": {customer_id: _content(part) for customer_id, part in parts.items()},
        "erased": n_erased,
    }
    if record.made_us is not None:
        document["made"] = record.made_us
    return orjson.dumps(document)


def line_of(record: DecisionRecord) -> bytes:
    """Return the document that lists a decision under a customer's id."""
    line: dict[str, object] = {"v": NEWEST, "us": record.at_us, "decision": record.decision_id}
    if record.made_us is not None:
        line["made"] = record.made_us
    return orjson.dumps(line)


def known_us(raw: Raw) -> int:
    """Return by when the decision of a document was known, or of a line that lists it."""
    return int(min(raw["us"], raw.get("made", raw["us"])))


def content_of(raw: Raw, customer_id: str, line: Raw | None) -> Raw | None:
    """Return what a decision's document has of a customer; the line that lists it, where that has it (schema 1).

    None where neither does: they were forgotten meanwhile.
    """
    content: Raw | None = raw["of"].get(customer_id) if "of" in raw else line
    return content


def without(raw: Raw, customer_id: str) -> bytes:
    """Return the document of a decision that counts a customer instead of naming them."""
    names = raw["customers"]
    left = {"customers": [each for each in names if each != customer_id]}
    parts = {"of": {each: part for each, part in raw["of"].items() if each != customer_id}} if "of" in raw else {}
    return encode(raw | left | parts | {"erased": raw["erased"] + names.count(customer_id)})


def part_of(raw: Raw, customer_id: str | None) -> DecisionPart:
    """Return a part as its document has it."""
    withheld = tuple(WithheldItem(*row) for row in raw["withheld"])
    draws = tuple(map(draw_of, raw.get("draws", ())))
    shown = _shown_of(raw["shown"])
    return DecisionPart(customer_id, shown, withheld, raw.get("asked", {}), draws, raw.get("action"))


def record_of(raw: Raw, parts: Iterable[DecisionPart]) -> DecisionRecord:
    """Return the record of a head, with the parts of the customers that are still known."""
    return DecisionRecord(
        raw["id"],
        raw["call"],
        raw["us"],
        raw["model"],
        (*parts, *(part_of(each, None) for each in raw["parts"])),
        raw["placement"],
        raw["channel"],
        raw["store"],
        raw["experiment"],
        raw["probability"],
        raw["personal"],
        raw.get("made"),
    )


def outcome_of(record_id: str, at_us: int, part: DecisionPart, events: Sequence[Event], within_us: int) -> Outcome:
    """Return what came of a part: `events` are the customer's, in order of time."""
    products, offers = part.product_ids(), part.offer_ids()
    answered, bought = [], []
    for event in events:
        is_within = at_us < event.at_us <= at_us + within_us
        is_about_offer = is_within and event.decision_id is None and event.offer_id in offers
        if event.decision_id == record_id or is_about_offer:
            answered.append(event)
        if is_within and event.type is EventType.PURCHASE and event.product_id in products:
            bought.append(event)
    return Outcome(tuple(answered), tuple(bought))


def _content(part: DecisionPart) -> dict[str, object]:
    shown = part.shown
    content: dict[str, object] = {
        "shown": {"names": shown.names, "rows": shown.rows} if isinstance(shown, Items) else shown,
        "withheld": [_withheld_row(item) for item in part.withheld],
    }
    if part.asked:
        content["asked"] = part.asked
    if part.draws:
        content["draws"] = [draw_document(each) for each in part.draws]
    if part.action is not None:
        content["action"] = part.action
    return content


def _shown_of(raw: Any) -> Sequence[Item]:  # Any: a document's own JSON
    """Return the items of a document: in schema 1, and where they have not the same fields, an object each."""
    return tuple(Items(raw["names"], raw["rows"]) if isinstance(raw, dict) else raw)


def _withheld_row(item: WithheldItem) -> list[str | None]:
    row = [item.product_id, item.reason]
    return row if item.offer_id is None else [*row, item.offer_id]
