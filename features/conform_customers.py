"""Who is one customer, and whose earlier rows are left out: decided by id, before any id becomes a row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from features.additions import Additions
from features.columns import VALUE_HASH
from features.conform_time import EPOCH
from features.identities import kind_of_identity, normalised

# An identity that so many share tells of no person: a shop's own number, or a placeholder.
MOST_SHARERS = 10
CUSTOMER_IDS = """select customer_id from good_transactions union select customer_id from good_customers
    union select customer_id from good_events union select customer_id from good_identities"""


class _Rank(NamedTuple):
    """How good an id is to stand for its customer, the least the best: known to the state as such, loyal, old."""

    is_not_said: bool
    is_no_loyalty_id: bool
    first_us: float


_LAST = _Rank(True, True, float("inf"))


def map_customers(connection: duckdb.DuckDBPyConnection, additions: Additions, time_zone: str) -> list[str]:
    """Make `customer_map`: every id that counts as another's, or is of a customer who was erased; return warnings.

    Columns: customer_id, into, erased_us, erased_on (the local day of that) and is_back: there are rows from after it.
    Ids are one customer's when the additions say so, or when they share an identity. Of these the id stands that the
    additions chose, else one that the table customers has, else the one that was seen first.
    """
    _name_identities(connection, additions)
    erased = _erased(connection, additions)
    groups = _Groups()
    for customer_id, into in additions.aliases.items():
        groups.join(into, customer_id)
    _write_map(connection, _mapped(groups, erased, {}), time_zone)
    n_ignored = _join_sharers(connection, groups)
    _write_map(connection, _mapped(groups, erased, _ranks(connection, groups, additions)), time_zone)
    said = f"shared by more than {MOST_SHARERS} customers each; they make nobody one customer"
    return [f"identities: {n_ignored:,} values are {said}"] if n_ignored else []


class _Groups:
    """Which ids are one customer's."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def join(self, first: str, *others: str) -> None:
        for other in others:
            self._above[self._top(other)] = self._top(first)

    def members(self) -> Collection[str]:
        return self._above.keys()

    def all(self) -> Iterable[list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for each in sorted(self._above):
            found[self._top(each)].append(each)
        return found.values()

    def _top(self, each: str) -> str:
        above = self._above.setdefault(each, each)
        while above != self._above[above]:
            self._above[each] = above = self._above[above]
        return above


def _erased(connection: duckdb.DuckDBPyConnection, additions: Additions) -> dict[str, int]:
    """Return when customers were erased, by id; those who never were are not in it."""
    if not additions.erased:
        return {}
    ids = {row[0] for row in connection.execute(CUSTOMER_IDS).fetchall()}
    ids |= {*additions.aliases, *additions.aliases.values()}
    return {each: at for each in ids if (at := additions.erased_us(each)) is not None}


def _mapped(
    groups: _Groups, erased: Mapping[str, int], ranks: Mapping[str, _Rank]
) -> list[tuple[str, str, int | None]]:
    """Return each id with the one that it counts as, and when that customer was erased."""
    rows: list[tuple[str, str, int | None]] = []
    for group in groups.all():
        into = min(group, key=lambda each: (ranks.get(each, _LAST), each))
        at = max((erased[each] for each in group if each in erased), default=None)
        rows += [(each, into, at) for each in group if each != into or at is not None]
    return rows + [(each, each, erased[each]) for each in sorted(erased.keys() - groups.members())]


def _write_map(connection: duckdb.DuckDBPyConnection, rows: list[tuple[str, str, int | None]], time_zone: str) -> None:
    """Make `customer_map`, anew where it is there."""
    zone = ZoneInfo(time_zone)
    days = [None if at is None else _day_of(at, zone) for _, _, at in rows]
    table = pa.table(
        {
            "customer_id": pa.array([row[0] for row in rows], pa.string()),
            "into": pa.array([row[1] for row in rows], pa.string()),
            "erased_us": pa.array([row[2] for row in rows], pa.int64()),
            "erased_on": pa.array(days, pa.date32()),
        }
    )
    connection.register("map_in_hand", table)
    connection.execute(f"""create or replace table customer_map as
        select m.*, m.erased_us is not null and m."into" in ({_BACK}) as is_back from map_in_hand m""")
    connection.unregister("map_in_hand")


# Who has a line, an event or a joining from after their erasure, by the id that stands.
_BACK = """
    select m."into" from map_in_hand m join good_transactions t using (customer_id)
    where coalesce(t.ordered_at_us > m.erased_us, t.ordered_at_on > m.erased_on)
    union select m."into" from map_in_hand m join good_events e using (customer_id)
    where coalesce(e.at_us > m.erased_us, e.at_on > m.erased_on)
    union select m."into" from map_in_hand m join good_customers u using (customer_id)
    where coalesce(u.joined_at_us > m.erased_us, u.joined_at_on > m.erased_on)"""


def _day_of(us: int, zone: ZoneInfo) -> date:
    """Return the local day of a moment."""
    return (EPOCH + timedelta(microseconds=us)).astimezone(zone).date()


def _name_identities(connection: duckdb.DuckDBPyConnection, additions: Additions) -> None:
    """Make `identity_names`: of each kind and value what they are compared by, and the keyed hash (null without a key).

    An identity whose value comes to nothing has no name.
    """
    hash_of = additions.hash_of_identity
    found = connection.execute('select distinct kind, "value" from good_identities').fetchall()
    bare = [normalised(kind, value) for kind, value in found]
    names = [each and f"{kind_of_identity(kind)}:{each}" for (kind, _), each in zip(found, bare, strict=True)]
    hashes = [hash_of(*each) if hash_of and name else None for each, name in zip(found, names, strict=True)]
    columns = {"kind": [kind for kind, _ in found], "value": [value for _, value in found]}
    columns |= {"name": [name or None for name in names], VALUE_HASH: hashes}
    table = pa.table({name: pa.array(each, pa.string()) for name, each in columns.items()})
    connection.register("names_in_hand", table)
    connection.execute("create table identity_names as from names_in_hand")
    connection.unregister("names_in_hand")


def _join_sharers(connection: duckdb.DuckDBPyConnection, groups: _Groups) -> int:
    """Join the ids that share an identity; return how many values are shared by too many to mean anything.

    What the source says of customers who were erased and did not come back is passed over.
    """
    found = connection.execute("""
        select list(distinct i.customer_id order by i.customer_id) from good_identities i
        join identity_names n on n.kind = i.kind and n."value" = i."value" and n.name is not null
        left join customer_map m on m.customer_id = i.customer_id
        where m.erased_us is null or m.is_back
        group by n.name having count(distinct i.customer_id) > 1 order by 1""").fetchall()
    for (sharers,) in found:
        if len(sharers) <= MOST_SHARERS:
            groups.join(*sharers)
    return sum(len(sharers) > MOST_SHARERS for (sharers,) in found)


def _ranks(connection: duckdb.DuckDBPyConnection, groups: _Groups, additions: Additions) -> dict[str, _Rank]:
    """Return how good each of the joined ids is to stand for its customer."""
    if not groups.members():
        return {}
    connection.register("ids_in_hand", pa.table({"customer_id": pa.array(groups.members(), pa.string())}))
    found = connection.execute("""
        select customer_id, bool_or(is_loyal), min(at_us) from ids_in_hand join (
            select customer_id, true as is_loyal, coalesce(joined_at_us, epoch_us(cast(joined_at_on as timestamp)))
                as at_us from good_customers
            union all select customer_id, false, coalesce(ordered_at_us, epoch_us(cast(ordered_at_on as timestamp)))
                from good_transactions
            union all select customer_id, false, coalesce(at_us, epoch_us(cast(at_on as timestamp))) from good_events
        ) using (customer_id) group by customer_id""").fetchall()
    connection.unregister("ids_in_hand")
    said = {into for into in additions.aliases.values() if into not in additions.aliases}
    known = {each: (not is_loyal, float("inf") if at is None else float(at)) for each, is_loyal, at in found}
    return {each: _Rank(each not in said, *known.get(each, (True, float("inf")))) for each in groups.members()}
