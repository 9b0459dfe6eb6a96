"""The state of a shop as its processes open it: the store that `TERCET_STATE` names, under the shop's own key."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from serving.champion import bundle_folder, read_champion
from serving.decision_ids import KEY_BYTES, DecisionIds, home_key
from serving.decisioning.policy import Policy, default_policy, parse_policy
from serving.errors import PolicyError, StateUnfit
from serving.state.opening import FILE, open_store
from serving.state.shop import State
from serving.state.store import ABSENT, Commit, Store

T = TypeVar("T")

_KEY = "key"
_COMPACTED = "compacted"
_COMPACT_SECONDS = 86_400.0


@dataclass(frozen=True)
class OpenState:
    """A shop's state, open: with the store beneath it, and the ids of decisions under the same key."""

    state: State
    store: Store
    ids: DecisionIds

    @property
    def reads_in_place(self) -> bool:
        """Whether a read takes microseconds."""
        return self.store.reads_in_place

    def read(self, work: Callable[[State], T]) -> T:
        """Return what `work` reads, as `serving.decide.Door` has it."""
        return work(self.state)

    def write(self, work: Callable[[State], T]) -> T:
        """Return what `work` writes."""
        return work(self.state)

    def is_compaction_due(self) -> bool:
        """Say whether the caller is the one who has to compact the state: one process a day is."""
        (last,) = self.store.read([_COMPACTED])
        now = time.time()
        # One far in the future was noted by a clock that has been set back since.
        if last is not None and abs(now - float(last.value)) < _COMPACT_SECONDS:
            return False
        expect = {_COMPACTED: ABSENT if last is None else last.version}
        return self.store.commit(Commit(put={_COMPACTED: b"%.0f" % now}, expect=expect))

    def close(self) -> None:
        """Finish what was submitted and let the store go."""
        self.store.close()


def open_state(url: str, home: Path) -> OpenState:
    """Return the state of the shop under `home`, by the policy in force there.

    Raises
    ------
    SettingsError
        When the URL names no store, or the home can't be written.
    StateUnavailable
        When the shop's key can't be read: on one machine it lies in the home, with Redis it lies there.
    """
    store = open_store(url, home)
    try:
        key = home_key(home) if url == FILE else _shared_key(store)
    except BaseException:
        store.close()
        raise
    return OpenState(State(store, key, policy_in_force(home).state), store, DecisionIds(key))


def policy_in_force(home: Path) -> Policy:
    """Return the policy that the champion obeys, else that of the home, else the one that ships with tercet.

    One that can't be read is passed over: whoever takes it into use says what is wrong with it.
    """
    champion = read_champion(home)
    folders = [home] if champion is None else [bundle_folder(home, champion), home]
    for folder in folders:
        try:
            return parse_policy((folder / "policy.toml").read_text("utf-8"))
        except (OSError, UnicodeDecodeError, PolicyError):
            continue
    return default_policy()


def _shared_key(store: Store) -> bytes:
    """Return the key that all servers of a store share; the first one makes it."""
    made = secrets.token_bytes(KEY_BYTES)
    (found,) = store.read([_KEY])
    if found is None:
        if store.commit(Commit(put={_KEY: made}, expect={_KEY: ABSENT})):
            return made
        (found,) = store.read([_KEY])
    if found is None or len(found.value) != KEY_BYTES:
        raise StateUnfit(f"the state's document {_KEY!r} is no key of {KEY_BYTES} bytes")
    return found.value
