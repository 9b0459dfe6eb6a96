"""Words about stock: each call adds a part, and what is in stock is all parts since the last time they were folded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.state.codec import Raw, decode, encode
from serving.state.known import NO_STOCK, Stock
from serving.state.store import ABSENT, Commit, Document, Store

HEAD = "stock"
Words = Mapping[tuple[str, str | None], float]


@dataclass(frozen=True, slots=True)
class StockWord:
    """The latest word on a product: pieces (0: none; math.inf: there is some), in a store or (None) everywhere."""

    product_id: str
    store_id: str | None
    available: float


@dataclass(frozen=True, slots=True)
class Head:
    """Which parts there are: `oldest` to `generation`, both included; none where generation is 0."""

    generation: int = 0
    oldest: int = 1
    version: int = ABSENT

    @property
    def n_parts(self) -> int:
        """How many parts are to be read."""
        return self.generation - self.oldest + 1


def head_of(document: Document | None) -> Head:
    """Return the head of a document."""
    if document is None:
        return Head()
    raw = decode(document.value)
    return Head(raw["generation"], raw["oldest"], document.version)


def part_keys(first: int, last: int) -> list[str]:
    """Return the keys of the parts from `first` to `last`, both included."""
    return [f"{HEAD}/{generation}" for generation in range(first, last + 1)]


def read_stock(store: Store, head: Head, cached: Stock) -> Stock | None:
    """Return the stock at a head, from what is cached on where that helps; None when parts were folded meanwhile."""
    if cached.generation == head.generation:
        return cached
    is_cached = head.oldest <= cached.generation + 1 and cached.generation < head.generation
    if not is_cached:
        cached = NO_STOCK
    first = cached.generation + 1 if is_cached else head.oldest
    available, returned = dict(cached.available), set(cached.returned)
    for document in store.read(part_keys(first, head.generation)):
        if document is None:
            return None
        raw = decode(document.value)
        said = words_of(raw)
        returned -= {key for key, pieces in said.items() if pieces <= 0.0}
        returned |= {key for key, pieces in said.items() if pieces > 0.0 and available.get(key, 1.0) <= 0.0}
        returned |= {(product, where) for product, where in raw.get("returned", ())}
        available |= said
    return Stock(head.generation, available, frozenset(returned))


def words_of(raw: Raw) -> dict[tuple[str, str | None], float]:
    """Return the words of a part."""
    return {(product, store): math.inf if pieces is None else float(pieces) for product, store, pieces in raw["words"]}


def adding(head: Head, words: Iterable[StockWord]) -> Commit:
    """Return the commit that adds a part."""
    latest = {(word.product_id, word.store_id): word.available for word in words}
    generation = head.generation + 1
    return Commit(
        put={HEAD: _encode_head(generation, head.oldest), f"{HEAD}/{generation}": _encode_words(latest)},
        expect={HEAD: head.version},
    )


def folding(head: Head, stock: Stock) -> Commit:
    """Return the commit that makes one part of all; `stock` is what they come to."""
    return Commit(
        put={
            HEAD: _encode_head(head.generation, head.generation),
            f"{HEAD}/{head.generation}": _encode_words(stock.available, sorted(stock.returned, key=str)),
        },
        delete=part_keys(head.oldest, head.generation - 1),
        expect={HEAD: head.version},
    )


def _encode_head(generation: int, oldest: int) -> bytes:
    return encode({"generation": generation, "oldest": oldest})


def _encode_words(words: Words, returned: Sequence[tuple[str, str | None]] = ()) -> bytes:
    rows: Sequence[Any] = [
        [product, store, None if math.isinf(pieces) else pieces] for (product, store), pieces in words.items()
    ]
    return encode({"words": rows} | ({"returned": returned} if returned else {}))
