"""Forgetting a customer everywhere: out of the state, then out of all that lies under the home, with a receipt.

It works in a serving-only installation. What was begun and cut off stays on the state's list of pending erasures, and
is finished by the next call for the same customer, or by the next training.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from features.identities import normalised
from serving.erasing_files import customers_with, erase_from_home, identities_of, same_customers
from serving.erasing_tables import Forgotten
from serving.errors import BundleError, ErasureError, SettingsError
from serving.home_lock import erasing_in
from serving.settings import moment
from serving.state.keys import Hashes
from serving.state.shop import State
from serving.state_home import open_state

Say = Callable[[str], None]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AFTERWARDS = "The source is yours: earlier rows of it are left out of whatever is read from now on."


@dataclass(frozen=True)
class Erasure:
    """The receipt: what was found where, and which bundle became which.

    `reference` is the keyed hash that stays, `erased_us` the moment that it stands for.
    """

    reference: str
    erased_us: int
    counts: Mapping[str, int]
    versions: Mapping[str, str]

    @property
    def text(self) -> str:
        """Return the receipt as a person reads it; no id stands in it."""
        at = (_EPOCH + timedelta(microseconds=self.erased_us)).isoformat().replace("+00:00", "Z")
        lines = [f"erased      {at}", f"reference   {self.reference}"]
        found = {name: n for name, n in self.counts.items() if n}
        lines += [f"{n:>9,}   {name}" for name, n in found.items()]
        lines += [f"{old} is now {new}" for old, new in self.versions.items()]
        return "\n".join([*lines, *([] if found else ["nothing was found"]), _AFTERWARDS])


@dataclass(frozen=True)
class Asked:
    """Whom a person asked to erase: an id, or an identity as KIND:VALUE; and up to when, None for the present."""

    customer_id: str | None
    identity: str | None = None
    now: str | None = None


def erase_asked(home: Path, url: str, asked: Asked, say: Say) -> str:
    """Return the receipt's text; whoever else is still on the list of pending erasures is erased as well.

    `url` says where the state is, as TERCET_STATE has it; one is made where there is none. SettingsError when what was
    asked makes no sense, StateUnavailable when the state can't be reached: running the same again finishes it.
    """
    kind, _, value = (asked.identity or "").partition(":")
    if asked.identity is not None and not (kind and value):
        raise SettingsError("--identity: expected a kind and a value, such as email:ann@example.com")
    customer_id = (asked.customer_id or "").strip()
    if asked.identity is None and not customer_id:
        raise SettingsError("CUSTOMER_ID: expected an id, which is not empty")
    given = None if asked.now is None else moment(asked.now, "--now")
    with closing(open_state(url, home)) as opened:
        now_us = _present_us(opened.state, given)
        if asked.identity is None:
            receipt: Erasure | None = erase(home, opened.state, [customer_id], now_us, say)
        else:
            receipt = erase_identity(home, opened.state, kind, value, now_us=now_us, say=say)
        text = receipt.text if receipt else "nobody is known by this identity; nothing was erased"
        n_others = erase_pending(home, opened.state, say)
    return f"{text}\n{n_others:,} further ids were erased: they had asked for it before" if n_others else text


def _present_us(state: State, given: datetime | None) -> int:
    """Return up to when everything is erased: now, or, where a clock was set and ran on, the latest that it told."""
    if given is None:
        return time.time_ns() // 1000
    return max((given - _EPOCH) // timedelta(microseconds=1), state.latest_us())


def erase(home: Path, state: State, customer_ids: Collection[str], now_us: int, say: Say) -> Erasure:
    """Return the receipt of erasing one customer by any of their ids, known or not.

    All up to `now_us` counts as theirs; where they were forgotten before (`DELETE`), all up to that. They are hidden at
    once; whoever trains or writes batches under this home is waited for.
    """
    _hide(home, state, customer_ids, now_us)
    with erasing_in(home, say):
        return _erase(home, state, customer_ids, now_us)


def erase_identity(home: Path, state: State, kind: str, value: str, *, now_us: int, say: Say) -> Erasure | None:
    """Return the receipt of erasing whoever has an identity, by the state or by the tables; None for nobody."""
    name = state.erased().hashes.identity_name(kind, value)
    known = state.customer_of(kind, value)
    found = customers_with(home, name) | ({known} if known else frozenset())
    if not found:
        return None
    _hide(home, state, found, now_us)
    with erasing_in(home, say):
        return _erase(home, state, found, now_us, _Typed(name, frozenset({value, normalised(kind, value)})))


def erase_pending(home: Path, state: State, say: Say) -> int:
    """Return how many ids were erased: all that are still on the state's list, in one pass over the home."""
    pending = state.erased().pending
    if not pending:
        return 0
    with erasing_in(home, say):
        say(f"erase {len(pending):,} ids of customers who asked for it")
        _erase(home, state, pending, max(pending.values()))
    return len(pending)


def _hide(home: Path, state: State, customer_ids: Collection[str], now_us: int) -> None:
    """Hide a customer under every id that state or tables know, and put them on the list of pending erasures."""
    for each in sorted(same_customers(home, customer_ids)):
        if each not in state.erased().pending:
            state.forget(each, now_us)


@dataclass(frozen=True)
class _Typed:
    """An identity that somebody typed: the keyed hash by which it is known, and the texts that tell it."""

    name: str
    texts: frozenset[str]


def _erase(
    home: Path, state: State, customer_ids: Collection[str], now_us: int, typed: _Typed | None = None
) -> Erasure:
    """Take customers out of the state, then out of the files, and only then off the list of what is pending."""
    hashes = state.erased().hashes
    found = same_customers(home, customer_ids)
    counts: Counter[str] = Counter()
    moments: list[int] = []
    covered: set[str] = set()
    for each in sorted(found):
        if each not in covered:
            receipt = state.erase(each, now_us)
            covered |= {each, *receipt.customer_ids}
            counts.update({f"{kind} of the state": n for kind, n in receipt.counts.items()})
            moments.append(receipt.erased_us)
    forgotten = _forgotten(home, frozenset(found | covered), hashes, typed)
    try:
        done = erase_from_home(home, forgotten)
    except (OSError, sqlite3.Error, pa.ArrowException, BundleError) as error:
        said = getattr(error, "strerror", None) or type(error).__name__
        raise ErasureError(
            f"what lies under {home} can't be rewritten in full ({said}); the customer stays hidden: "
            "check its rights, room on disk and that no MLflow server holds mlflow.db, and run the same again"
        ) from error
    for each in sorted(covered):
        state.finish_erasure(each)
    reference = hashes.erased_key(min(customer_ids)).rpartition("/")[2]
    return Erasure(reference, max(moments), counts + Counter(done.counts), done.versions)


def _forgotten(home: Path, customer_ids: frozenset[str], hashes: Hashes, typed: _Typed | None) -> Forgotten:
    names = identities_of(home, customer_ids) | ({typed.name} if typed else frozenset())
    texts = typed.texts if typed else frozenset()
    return Forgotten(customer_ids, lambda kind, value: hashes.identity_name(kind, value) in names, texts)
