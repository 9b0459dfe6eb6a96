"""Who may make which call over HTTP: keys with scopes, and each key's limit of calls a second."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from serving.api_keys import ApiKey, KeysFile, Scope
from serving.http_body import Scope as Request
from serving.http_problems import Problem

_CHALLENGE = ((b"www-authenticate", b"Bearer"),)
_PREFIX = b"bearer "
_OF_PROXIES = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})
_OF_ORIGIN = _OF_PROXIES | {b"host", b"origin"}
_LOCAL_HOST = re.compile(rb"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)

OPEN_PATHS = frozenset({"/livez", "/readyz", "/docs.json"})
"""Besides the pages: what says nothing of any customer and must be had without a key."""

SCOPES: Mapping[str, Scope] = {
    **dict.fromkeys(("/v1/challenge", "/v1/also-bought", "/v1/recommendations", "/v1/substitutes"), Scope.STOREFRONT),
    **dict.fromkeys(("/v1/offers", "/v1/actions", "/v1/events", "/v1/stock", "/v1/identities"), Scope.STOREFRONT),
    **dict.fromkeys(("/v1/scores", "/v1/audiences", "/v1/decisions/{id}", "/metrics"), Scope.ANALYST),
    "/v1/customers/{id}": Scope.ANALYST,
    "/v1/customers/{id}/consent": Scope.ADMIN,
}
"""The scope that each path needs, but for `DELETE`, which needs that of the admin."""


@dataclass(slots=True)
class _Bucket:
    """Calls that a key has left, which fill up by the second: at most those of one second, and at least one."""

    left: float
    at: float


class KeyGate:
    """Lets calls through by their key.

    Without `keys` none are needed, and only this machine gets in, unless `is_open` lets everybody in. `share` is the
    part of a key's limit that this worker has: each of n workers lets 1 ÷ n of it through, as calls are spread over
    them.
    """

    def __init__(
        self, keys: KeysFile | None, *, clock: Callable[[], float], share: float = 1.0, is_open: bool = False
    ) -> None:
        self.keys = keys
        self._is_open = is_open
        self._clock = clock
        self._share = share
        self._buckets: dict[str, _Bucket] = {}

    def check(self, request: Request, path: str) -> None:
        """Raise a 401, 403 or 429 for a call that may not be made; `path` as the OpenAPI document writes it."""
        if self.keys is None:
            if not self._is_open:
                _check_local(request)
            return
        if path in OPEN_PATHS:
            return
        wanted = Scope.ADMIN if request["method"] == "DELETE" else SCOPES.get(path)
        if wanted is None:
            return  # a page, or no path of ours: both say nothing of anybody
        key = _shown(request, self.keys)
        if wanted not in key.scopes:
            raise Problem(403, f"this call needs a key of scope {wanted}")
        self._take(key)

    def _take(self, key: ApiKey) -> None:
        """Count a call against the key's limit; 429 where none is left."""
        if key.per_second is None:
            return
        rate, now = key.per_second * self._share, self._clock()
        most = max(rate, 1.0)
        bucket = self._buckets.setdefault(key.id, _Bucket(most, now))
        bucket.left = min(most, bucket.left + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.left < 1.0:
            seconds = max(1, math.ceil((1.0 - bucket.left) / rate))
            raise Problem(429, "this key makes too many calls", headers=((b"retry-after", b"%d" % seconds),))
        bucket.left -= 1.0


def _check_local(request: Request) -> None:
    """Raise a 403 unless a program or page of this very machine makes the call.

    A page from elsewhere in a browser here is not one, whether it calls this server by its address (then it names its
    own origin) or by a name of its own that leads here (then that name is the host); nor is what a proxy hands on.
    """
    if not _is_local(request):
        raise Problem(403, "this server asks for no keys, so only its own machine may make calls")
    told = {name: value for name, value in request["headers"] if name in _OF_ORIGIN}
    if len(told) == 1 and _is_own_name(told.get(b"host", b"")):
        return  # as nearly every call is
    if not _OF_PROXIES.isdisjoint(told):
        raise Problem(403, "this server asks for no keys, so no proxy may hand on calls: set TERCET_KEYS=required")
    if b"host" in told and not _is_own_name(told[b"host"]):
        raise Problem(403, "this server asks for no keys, so it must be called as 127.0.0.1, [::1] or localhost")
    if b"origin" in told and told[b"origin"] != b"http://" + told.get(b"host", b""):
        raise Problem(403, "this server asks for no keys, so no page from elsewhere may call it")


@lru_cache(maxsize=64)
def _is_own_name(host: bytes) -> bool:
    """Say whether a `Host` header names this machine, and no name that leads to it."""
    return _LOCAL_HOST.fullmatch(host) is not None


def _is_local(request: Request) -> bool:
    """Say whether the call comes from this machine; the last hold when the socket is open wider than it should be."""
    client = request.get("client")
    return client is None or client[0].startswith("127.") or client[0] in ("::1", "::ffff:127.0.0.1")


def _shown(request: Request, keys: KeysFile) -> ApiKey:
    """Return the key that the call shows; a 401 where there is none."""
    shown = next((value for name, value in request["headers"] if name == b"authorization"), b"")
    if shown[: len(_PREFIX)].lower() != _PREFIX:
        raise Problem(401, "this call needs a key: send Authorization: Bearer …", headers=_CHALLENGE)
    key = keys.current.find(shown[len(_PREFIX) :].strip().decode("latin-1"))
    if key is None:
        raise Problem(401, "this key is not known, or was revoked", headers=_CHALLENGE)
    return key
