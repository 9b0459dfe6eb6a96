"""Keys of state documents, and the shop's keyed hashes: by them two values can be compared that nobody can read."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from features.identities import kind_of_identity, normalised
from serving.state.store import escaped, key_of

_EVENTS_REMEMBERED = 1024
_CUSTOMERS_REMEMBERED = 8192


class Hashes:
    """Keyed hashes of 128 bits, in hexadecimal; the same value has another hash for every purpose."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        # An event's mark is looked for, expected and put; an erasure looked for, and expected where a decision is kept.
        self.seen_key = lru_cache(_EVENTS_REMEMBERED)(self._seen_key)
        self.erased_key = lru_cache(_CUSTOMERS_REMEMBERED)(self._erased_key)

    def of(self, purpose: str, value: str) -> str:
        """Return the hash of a value.

        >>> hashes = Hashes(b"k" * 32)
        >>> hashes.of("event", "e1") == hashes.of("event", "e1"), hashes.of("event", "e1") == hashes.of("erased", "e1")
        (True, False)
        """
        text = f"{purpose}\0{value}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._key, digest_size=16).hexdigest()

    def _seen_key(self, event_id: str) -> str:
        """Return the key of the mark that an event was accepted; it tells neither the event's id nor the customer."""
        return f"seen/{self.of('event', event_id)}"

    def _erased_key(self, customer_id: str) -> str:
        """Return the key under which the moment of a customer's erasure stands."""
        return f"erased/{self.of('erased', customer_id)}"

    def identity_name(self, kind: str, value: str) -> str:
        """Return the name of an identity: its kind and the hash of its normalised value; empty for an empty value."""
        kind, bare = kind_of_identity(kind), normalised(kind, value)
        return f"{kind}:{self.of(f'identity:{kind}', bare)}" if bare else ""


@lru_cache(_CUSTOMERS_REMEMBERED)
def person_key(customer_id: str) -> str:
    """Return the key of a customer's document."""
    return key_of("person", customer_id)


def log_key(customer_id: str, event_id: str) -> str:
    """Return the key of an event in the log."""
    return key_of("log", customer_id, event_id)


def line_key(customer_id: str, decision_id: str) -> str:
    """Return the key of the line that lists a decision under a customer's id; as `key_of`, in half the time.

    >>> line_key("a/b", "d1")
    'of/a%2Fb/d1'
    """
    return f"of/{escaped(customer_id)}/{escaped(decision_id)}"


def decision_key(decision_id: str) -> str:
    """Return the key of a decision's document."""
    return f"decision/{escaped(decision_id)}"


def kept_key(customer_id: str, asked: str) -> str:
    """Return the key of an answer that stands for a while, by what was asked."""
    return key_of("kept", customer_id, asked)


def identity_key(name: str) -> str:
    """Return the key of an identity, by the name that `Hashes.identity_name` gives it."""
    return key_of("identity", name)


def forget_key(customer_id: str) -> str:
    """Return the key of an erasure that is still to be carried out."""
    return key_of("forget", customer_id)
