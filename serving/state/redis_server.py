"""A Redis server: how it is reached, what makes it durable enough to be the state, and what its errors mean."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from serving.errors import SettingsError, StateUnavailable, StateUnfit

CONNECT_SECONDS = 0.5
ANSWER_SECONDS = 1.0
LEAST_VERSION = (7, 0)

MOST_REPLICAS = 9
_REPLICAS = "replicas"
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_NAME = "TERCET_STATE"
_HOW = "in redis.conf, or with CONFIG SET and CONFIG REWRITE"
# What a write needs to be on disk when it is answered: setting, value, and what would happen otherwise.
_NEEDED = (
    ("appendonly", "yes", "a restart would lose what was accepted"),
    ("appendfsync", "always", "a crash of its machine would lose the last second of what was accepted"),
    ("no-appendfsync-on-rewrite", "no", "a crash during a rewrite would lose what was accepted"),
    ("maxmemory-policy", "noeviction", "it would drop customers when its memory is full"),
)


def connect(url: str) -> redis.Redis:
    """Return a client of the server; it connects on first use. SettingsError names what is wrong, never the password.

    Nothing is tried twice by the client: whether a commit may be sent again is for its sender to say.
    """
    return redis.Redis(
        **_options(url),
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
        # Its handshake reads what TLS sends after its own, which the client would else take for a stale answer.
        protocol=3,
        # A provider's notices would stretch the time limits.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        driver_info=None,
    )


def _options(url: str) -> dict[str, Any]:  # Any: the client's own keyword arguments
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
        given = parse_qs(parts.query, strict_parsing=bool(parts.query), max_num_fields=len(_TLS_OPTIONS) + 1)
    except ValueError:
        raise SettingsError(
            f"{_NAME}: the Redis URL can't be read; it is redis://[:password@]host[:port][/db]"
        ) from None
    database = parts.path.strip("/") or "0"
    if not (database.isascii() and database.isdigit() and len(database) <= 5):
        raise SettingsError(f"{_NAME}: after its host the Redis URL has the number of a database, such as /0")
    is_secure = parts.scheme == "rediss"
    unknown = set(given) - {_REPLICAS, *(_TLS_OPTIONS if is_secure else ())}
    if unknown:
        known = f"{_REPLICAS}, {', '.join(_TLS_OPTIONS)}" if is_secure else f"{_REPLICAS} (rediss:// those of TLS too)"
        raise SettingsError(f"{_NAME}: the Redis URL takes only {known}, not {', '.join(sorted(unknown))}")
    return {
        "host": parts.hostname or "localhost",
        "port": port,
        "db": int(database),
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "ssl": is_secure,
        **{name: values[-1] for name, values in given.items() if name != _REPLICAS},
    }


def replicas_of(url: str) -> int:
    """Return how many replicas must have what is confirmed, as the URL says; 0 where it doesn't.

    >>> replicas_of("redis://host:6379/0?replicas=1")
    1
    """
    given = parse_qs(urlsplit(url).query).get(_REPLICAS, ["0"])[-1]
    if not (given.isascii() and given.isdigit() and int(given) <= MOST_REPLICAS):
        raise SettingsError(f"{_NAME}: replicas is a whole number up to {MOST_REPLICAS}")
    return int(given)


def check_durable(client: redis.Redis) -> tuple[str, ...]:
    """Return what can't be told about the server's durability, a line each; StateUnfit names all that it lacks."""
    server = client.info("server")
    version = str(server["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_VERSION:
        raise StateUnfit(f"Redis is {version}, the state needs {'.'.join(map(str, LEAST_VERSION))} or newer")
    if server.get("redis_mode") == "cluster":
        raise StateUnfit("Redis runs as a cluster, the state needs one server")
    found, notes = _settings(client)
    lacks = [
        f"{name} is {found[name]}, needed is {value}: {why}"
        for name, value, why in _NEEDED
        if found.get(name, value) != value
    ]
    if lacks:
        raise StateUnfit(f"Redis can't be relied on ({_HOW}): {'; '.join(lacks)}")
    return notes


def _settings(client: redis.Redis) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return what the server says of the settings that matter, and what it would not say."""
    try:
        given = client.config_get(*(name for name, _, _ in _NEEDED))
        return {str(name): str(value) for name, value in given.items()}, ()
    except redis.ResponseError:  # an access list, or a provider, keeps CONFIG away
        found = {
            "appendonly": "yes" if client.info("persistence").get("aof_enabled") else "no",
            "maxmemory-policy": str(client.info("memory").get("maxmemory_policy", "noeviction")),
        }
        return found, ("Redis does not let us read its configuration: make sure that it has appendfsync always",)


def meaning_of(error: redis.RedisError | OSError) -> StateUnavailable:
    """Return what the error means to an operator; neither an address, a password nor a key is part of it."""
    if isinstance(error, redis.AuthenticationError | NoPermissionError):
        return StateUnfit("Redis refuses the user or the password of TERCET_STATE, or lets it do too little")
    if isinstance(error, redis.BusyLoadingError):
        return StateUnavailable("Redis is loading its data")
    if isinstance(error, redis.TimeoutError | TimeoutError):
        return StateUnavailable("Redis does not answer in time")
    if isinstance(error, redis.ConnectionError | OSError):
        return StateUnavailable("Redis can't be reached")
    if isinstance(error, redis.OutOfMemoryError):
        return StateUnavailable("Redis has no memory left")
    if isinstance(error, redis.ReadOnlyError):
        return StateUnavailable("Redis is a read-only replica")
    code = str(error).split(" ", 1)[0]
    if code == "NOREPLICAS":
        return StateUnavailable("Redis has too few replicas that keep up")
    if code == "MISCONF":
        return StateUnavailable("Redis can't write to its disk")
    return StateUnavailable(f"Redis refused: {code if code.isalpha() and code.isupper() else type(error).__name__}")
