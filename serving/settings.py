"""The server's options, read once, at the edge, from `TERCET_…` environment variables; the rest gets arguments."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from serving.errors import SettingsError
from serving.state.opening import FILE

MAX_WORKERS = 256
_ELSEWHERE, _EVERYWHERE, _NOWHERE = "auto", "required", "off"
_KEYS = (_ELSEWHERE, _EVERYWHERE, _NOWHERE)


@dataclass(frozen=True)
class Settings:
    """Where one server lives and listens.

    `now` is the moment at which its clock starts (None: the machine's clock), `started_at` the machine's clock in epoch
    seconds when the server was started, so that all its workers tell the same time.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 3000
    workers: int = 2
    now: datetime | None = None
    started_at: float = 0.0
    log_requests: bool = False
    traces: bool = False
    keys_everywhere: bool = False
    keys_nowhere: bool = False
    # A URL may hold a password, which nothing that shows these settings may tell.
    state: str = field(default=FILE, repr=False)

    @property
    def needs_keys(self) -> bool:
        """Whether calls must show a key: wherever other machines can make them unless told not to, here if told so."""
        return self.keys_everywhere or not (self.keys_nowhere or ipaddress.ip_address(self.host).is_loopback)

    @property
    def folder(self) -> Path:
        """What belongs to this server alone: metrics and BentoML's own files."""
        return self.home / "state" / f"server-{self.host.replace(':', '_')}-{self.port}"

    @property
    def checked_folder(self) -> Path:
        """Where it is noted which bundles were checked on this machine."""
        return self.home / "state" / "checked"

    @property
    def ready_folder(self) -> Path:
        """Where the workers of this server say whether they serve a bundle."""
        return self.folder / "ready"

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        listens = ipaddress.ip_address(self.host)
        host = ("::1" if listens.version == 6 else "127.0.0.1") if listens.is_unspecified else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def state_name(self) -> str:
        """What the state is kept in, without a password."""
        if self.state == FILE:
            return str(self.home / "state" / "state.db")
        parts = urlsplit(self.state)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def environment(self) -> dict[str, str]:
        """Return the variables from which `read_settings` makes these settings again."""
        variables = {
            "TERCET_HOME": str(self.home.absolute()),
            "TERCET_HOST": self.host,
            "TERCET_PORT": str(self.port),
            "TERCET_WORKERS": str(self.workers),
            "TERCET_STARTED_AT": repr(self.started_at),
            "TERCET_LOG": "requests" if self.log_requests else "errors",
            "TERCET_TRACES": "on" if self.traces else "off",
            "TERCET_STATE": self.state,
            "TERCET_KEYS": _EVERYWHERE if self.keys_everywhere else _NOWHERE if self.keys_nowhere else _ELSEWHERE,
        }
        return variables if self.now is None else variables | {"TERCET_NOW": self.now.isoformat()}


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that the variables make; SettingsError names the variable that is wrong.

    An empty variable is an absent one.

    >>> read_settings({"TERCET_HOME": "shop", "TERCET_PORT": "3001"}).port
    3001
    """
    given = {name: value for name, value in environment.items() if value}
    keys = _choice("TERCET_KEYS", given.get("TERCET_KEYS", _ELSEWHERE), _KEYS)
    return Settings(
        home=Path(given.get("TERCET_HOME", ".tercet")),
        host=address(given.get("TERCET_HOST", "127.0.0.1")),
        port=_whole("TERCET_PORT", given.get("TERCET_PORT", "3000"), 1, 65_535),
        workers=_whole("TERCET_WORKERS", given.get("TERCET_WORKERS", "2"), 1, MAX_WORKERS),
        now=moment(given["TERCET_NOW"], "TERCET_NOW") if "TERCET_NOW" in given else None,
        started_at=_seconds(given.get("TERCET_STARTED_AT")),
        state=state_url(given),
        log_requests=_choice("TERCET_LOG", given.get("TERCET_LOG", "errors"), ("errors", "requests")) == "requests",
        traces=_choice("TERCET_TRACES", given.get("TERCET_TRACES", "off"), ("off", "on")) == "on",
        keys_everywhere=keys == _EVERYWHERE,
        keys_nowhere=keys == _NOWHERE,
    )


def state_url(environment: Mapping[str, str]) -> str:
    """Return where the state is kept: TERCET_STATE, or the one line of the file that TERCET_STATE_FILE names.

    A file is how containers and systemd hand over what holds a password. SettingsError when it can't be read.
    """
    path = environment.get("TERCET_STATE_FILE")
    if environment.get("TERCET_STATE") or not path:
        return environment.get("TERCET_STATE") or FILE
    try:
        url = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"TERCET_STATE_FILE: {path} can't be read: {error}") from error
    if not url:
        raise SettingsError(f"TERCET_STATE_FILE: {path} is empty; it holds what TERCET_STATE would, such as redis://…")
    return url


def address(host: str) -> str:
    """Return the address to listen on; SettingsError for anything but an IP address or `localhost`.

    >>> address("localhost")
    '127.0.0.1'
    """
    try:
        return str(ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]")))
    except ValueError:
        raise SettingsError(f"TERCET_HOST: {host!r} is not an IP address; leave it at 127.0.0.1") from None


def moment(text: str, name: str) -> datetime:
    """Return the moment that the option says, in UTC; SettingsError when it is none or has no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"{name}: {text!r} is not an ISO 8601 date and time, such as 2018-01-01T00:00:00Z"
        ) from None
    if at.tzinfo is None:
        raise SettingsError(f"{name}: {text!r} has no zone; end it with Z or an offset such as -05:00")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise SettingsError(f"{name}: {text!r} is out of range") from None


def _whole(name: str, text: str, low: int, high: int) -> int:
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1
    if not low <= value <= high:
        raise SettingsError(f"{name}: {text!r} is not a whole number from {low} to {high}")
    return value


def _choice(name: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise SettingsError(f"{name}: {text!r} is none of {', '.join(choices)}")
    return text


def _seconds(text: str | None) -> float:
    """Return the start of the server, which `serving.launch` hands to its workers; without it this process's own."""
    try:
        return float(text) if text else time.time()
    except ValueError:
        raise SettingsError(f"TERCET_STARTED_AT: {text!r} is not a number of seconds") from None
