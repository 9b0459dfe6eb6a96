"""Where a worker really listens: a Bento can be started with an address that TERCET_HOST knows nothing of."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence

from serving.errors import SettingsError
from serving.settings import Settings

_SOCKET_OPTION = "--fd"  # by which BentoML hands its workers the socket


def check_reach(settings: Settings, arguments: Sequence[str]) -> None:
    """Return where nobody gets in without a key that must have one; `arguments` are the worker's own.

    SettingsError where other machines get in (``bentoml serve --host 0.0.0.0``) and TERCET_HOST says that they don't,
    so that no key would be asked for.
    """
    listens = bound_address(arguments)
    if listens is None or settings.needs_keys or settings.keys_nowhere or ipaddress.ip_address(listens).is_loopback:
        return
    raise SettingsError(
        f"TERCET_HOST: the server listens on {listens}, where other machines get in, and TERCET_HOST is "
        f"{settings.host}: set it to {listens}, and calls must show a key"
    )


def bound_address(arguments: Sequence[str]) -> str | None:
    """Return the IP address that a worker's socket is bound to; None where it was given none, or no network's."""
    bound = listening_socket(arguments)
    if bound is None:
        return None
    with bound:
        name = bound.getsockname()
    return str(name[0]) if isinstance(name, tuple) else None


def listening_socket(arguments: Sequence[str]) -> socket.socket | None:
    """Return a worker's socket once more, for the caller to close; None where it was given none."""
    if _SOCKET_OPTION not in arguments[:-1]:
        return None
    return socket.socket(fileno=os.dup(int(arguments[arguments.index(_SOCKET_OPTION) + 1])))
