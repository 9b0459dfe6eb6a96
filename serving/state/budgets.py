"""The money of offers: reserved for whoever holds one, spent by redemptions, given back when a hold has ended.

An offer has a tally of two numbers, what is reserved and what is spent, in ten-thousandths of the shop's money. It is
only ever added to, up to a limit that the store itself watches: so a thousand customers can be promised the same offer
at once without waiting for one another, and its budget is never overdrawn. Another tally says how much of an offer's
reservations ends in which minute, and one document up to which minute all was given back. So whether a hold's money is
still reserved follows from its end alone, nothing has to be looked up by customer, and nothing is given back twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from urllib.parse import unquote

from serving.state.codec import decode, encode
from serving.state.holds import MINUTE_US, Hold, Spending
from serving.state.log import scanned
from serving.state.people import People
from serving.state.store import ABSENT, Addition, Commit, Document, Store, key_of, numbers_of

UNITS = 10_000
"""Parts of the shop's money in which it is counted."""

SWEPT_KEY = "swept"

_SWEEP_PAGE = 2000


def units_of(money: float) -> int:
    """Return an amount in whole ten-thousandths.

    >>> units_of(0.1 + 0.2)
    3000
    """
    return round(money * UNITS)


def minute_of(hold: Hold) -> int:
    """Return the minute at whose beginning a hold has ended: money comes back up to a minute late, never early.

    >>> minute_of(Hold("o", 1.0, 0, 60_000_000)), minute_of(Hold("o", 1.0, 0, 60_000_001))
    (1, 2)
    """
    return max(-(-hold.until_us // MINUTE_US), hold.back_minute)


def tally_key(offer_id: str) -> str:
    """Return the key of what is reserved and spent of an offer's budget."""
    return key_of("budget", offer_id)


def ending_key(minute: int, offer_id: str) -> str:
    """Return the key of what comes back of an offer in a minute."""
    return key_of("held", f"{minute:012d}", offer_id)


def offer_of(key: str) -> str:
    """Return the offer that the key of an ending names.

    >>> offer_of(ending_key(3, "spring/10"))
    'spring/10'
    """
    return unquote(key.split("/")[2])


def spending_of(document: Document | None) -> Spending:
    """Return what a tally says."""
    reserved, spent = _tally(document)
    return Spending(reserved / UNITS, spent / UNITS)


def gone_of(document: Document | None) -> int:
    """Return what of a budget can't be reserved any more, in units."""
    return sum(_tally(document))


def _tally(document: Document | None) -> tuple[int, int]:
    reserved, spent = (*numbers_of(b"" if document is None else document.value), 0, 0)[:2]
    return reserved, spent


@dataclass(frozen=True, slots=True)
class Swept:
    """Up to which minute all reservations were given back."""

    minute: int = 0
    version: int = ABSENT

    @classmethod
    def of(cls, document: Document | None) -> Swept:
        """Return what a document says."""
        return cls() if document is None else cls(decode(document.value)["minute"], document.version)

    def is_due(self, now_us: int) -> bool:
        """Return whether a minute has begun since, in which something may have ended."""
        return now_us // MINUTE_US > self.minute

    def is_reserved(self, hold: Hold) -> bool:
        """Return whether the money of a hold that nobody has redeemed is still reserved."""
        return minute_of(hold) > self.minute and units_of(hold.cost) > 0

    def reservable(self, hold: Hold) -> Hold:
        """Return a hold as its money can be reserved: one for a moment that was swept already, until the next minute.

        So it is for a decision at a moment before that of another one.
        """
        is_past = units_of(hold.cost) > 0 and minute_of(hold) <= self.minute
        return replace(hold, back_minute=self.minute + 1) if is_past else hold


@dataclass(slots=True)
class Moves:
    """What one commit moves between what is reserved, spent and free."""

    swept: Swept
    _tallies: dict[str, tuple[int, int]] = field(default_factory=dict)
    _endings: dict[tuple[int, str], int] = field(default_factory=dict)
    _limits: dict[str, int] = field(default_factory=dict)

    def reserve(self, hold: Hold, most: int) -> None:
        """Reserve what a (reservable) hold costs, where no more than `most` units are gone with it."""
        self._move(hold.offer_id, units_of(hold.cost), 0)
        self._end(hold, units_of(hold.cost))
        self._limits[hold.offer_id] = most

    def release(self, hold: Hold) -> None:
        """Give back what a hold has reserved."""
        if hold.redeemed_us is None and self.swept.is_reserved(hold):
            self._move(hold.offer_id, -units_of(hold.cost), 0)
            self._end(hold, -units_of(hold.cost))

    def redeem(self, hold: Hold, cost: float) -> None:
        """Spend what a hold has reserved, else (it has reserved nothing) the offer's cost."""
        self.release(hold)
        self.spend(hold.offer_id, hold.cost or cost)

    def spend(self, offer_id: str, cost: float) -> None:
        """Spend money that nobody reserved: it is gone, whatever is left."""
        if units_of(cost):
            self._move(offer_id, 0, units_of(cost))

    def additions(self) -> dict[str, Addition]:
        """Return what the commit adds to tallies."""
        tallies = {
            tally_key(offer_id): Addition(moved, self._limits.get(offer_id))
            for offer_id, moved in self._tallies.items()
        }
        return tallies | {
            ending_key(minute, offer_id): Addition((units,)) for (minute, offer_id), units in self._endings.items()
        }

    def expected(self) -> dict[str, int]:
        """Return what must still stand for this to be right: nothing was given back since."""
        return {SWEPT_KEY: self.swept.version} if self._endings else {}

    def _move(self, offer_id: str, reserved: int, spent: int) -> None:
        before = self._tallies.get(offer_id, (0, 0))
        self._tallies[offer_id] = (before[0] + reserved, before[1] + spent)

    def _end(self, hold: Hold, units: int) -> None:
        if units:
            key = minute_of(hold), hold.offer_id
            self._endings[key] = self._endings.get(key, 0) + units


@dataclass(frozen=True, slots=True)
class Ended:
    """What comes back of offers by a moment and is not given back yet, in units, and the versions that say so."""

    units: Mapping[str, int] = field(default_factory=dict)
    expect: Mapping[str, int] = field(default_factory=dict)


class Budgets:
    """Looks budgets up, and gives back what has ended."""

    def __init__(self, people: People) -> None:
        self._people = people

    def spending(self, offers: Collection[str], at_us: int) -> dict[str, Spending]:
        """Return what is gone of each offer's budget at a moment: what ends by then has come back."""
        names = list(offers)
        ended = self.ended(at_us).units
        found = spending_by_offer(names, self._store.read([tally_key(each) for each in names]))
        return {
            offer_id: replace(each, reserved=each.reserved - ended.get(offer_id, 0) / UNITS)
            for offer_id, each in found.items()
        }

    def ended(self, at_us: int) -> Ended:
        """Return what ends by a moment and was not given back."""
        _, ended = self._ended(at_us // MINUTE_US, inf)
        units: dict[str, int] = {}
        for key, document in ended.items():
            offer_id = offer_of(key)
            units[offer_id] = units.get(offer_id, 0) + sum(numbers_of(document.value))
        return Ended(units, {key: document.version for key, document in ended.items()})

    def sweep(self, now_us: int) -> bool:
        """Return whether anything may have been given back: all holds that had ended by the last whole minute."""
        pages = 0
        while self._people.tried(lambda: self._sweep_page(now_us)):
            pages += 1
        return pages > 0

    def _sweep_page(self, now_us: int) -> bool | None:
        """Return whether a sweep was due, None when another worker was first."""
        swept = Swept.of(self._store.read([SWEPT_KEY])[0])
        if not swept.is_due(now_us) or not self._store.scan("held/", limit=1):
            return False
        until_minute, ended = self._ended(now_us // MINUTE_US, _SWEEP_PAGE)
        back: dict[str, int] = {}
        for key, document in ended.items():
            tally = tally_key(offer_of(key))
            back[tally] = back.get(tally, 0) - sum(numbers_of(document.value))
        commit = Commit(
            put={SWEPT_KEY: encode({"minute": max(until_minute, swept.minute)})},
            delete=list(ended),
            expect={SWEPT_KEY: swept.version, **{key: document.version for key, document in ended.items()}},
            is_durable=False,
            add={key: Addition((units, 0)) for key, units in back.items() if units},
        )
        return self._store.commit(commit) or None

    def _ended(self, until_minute: int, most: float) -> tuple[int, Mapping[str, Document]]:
        """Return what ends by a minute, and by which minute that is where there are more than `most`: whole minutes."""
        ended: dict[str, Document] = {}
        last_minute = 0
        for key, document in scanned(self._store, "held/"):
            minute = int(key.split("/")[1])
            if minute > until_minute:
                break
            if minute != last_minute and len(ended) >= most:
                return last_minute, ended
            ended[key], last_minute = document, minute
        return until_minute, ended

    @property
    def _store(self) -> Store:
        return self._people.store


def spending_by_offer(offers: Sequence[str], documents: Iterable[Document | None]) -> dict[str, Spending]:
    """Return what is gone of each offer's budget, by the documents of their tallies; without those that have none."""
    found = zip(offers, documents, strict=True)
    return {offer_id: spending_of(document) for offer_id, document in found if document is not None}
