"""What is known of a shop besides its source: the event log, and what was said over the API, as paths and values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from features.sources.files import file_digest


@dataclass(frozen=True)
class Additions:
    """What is folded into a source's tables.

    Attributes
    ----------
    events
        A Parquet file with the columns of the table `events` (`at` in UTC), or None. An event that the table has as
        well counts once, as the table has it.
    aliases
        Ids of customers that were found to be another's: merged id → the id that stays.
    consents
        What a customer said, by id; it goes before what the table `customers` has.
    stock
        Pieces by (product_id, store_id), None for everywhere; goes before the table `stock`.
    erased
        When whom was erased, epoch microseconds, by the keyed hash of the customer_id: what the source has of them
        from then or before is left out.
    hash_of
        The keyed hash of a customer_id.
    hash_of_identity
        The keyed hash of an identity, by kind and value: the only form in which one is stored. Without it the tables
        hold no values.
    """

    events: Path | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    consents: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    stock: Mapping[tuple[str, str | None], float] = field(default_factory=dict)
    erased: Mapping[str, int] = field(default_factory=dict)
    hash_of: Callable[[str], str] = str
    hash_of_identity: Callable[[str, str], str] | None = None

    def erased_us(self, customer_id: str) -> int | None:
        """Return when a customer was erased, epoch microseconds; None for never."""
        return self.erased.get(self.hash_of(customer_id)) if self.erased else None

    def digest(self) -> str:
        """Return a digest of all that is added, the empty text where nothing is: equal additions make equal tables."""
        values = [
            sorted(self.aliases.items()),
            sorted((each, sorted(said.items())) for each, said in self.consents.items()),
            sorted((product, store or "", store is None, pieces) for (product, store), pieces in self.stock.items()),
            sorted(self.erased.items()),
        ]
        if self.events is None and not any(values) and self.hash_of_identity is None:
            return ""
        whole = hashlib.blake2b(json.dumps(values).encode(), digest_size=16)
        whole.update(b"" if self.events is None else file_digest(self.events))
        whole.update(b"keyed" if self.hash_of_identity else b"")
        return whole.hexdigest()


NOTHING_ADDED = Additions()
