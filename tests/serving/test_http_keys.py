"""Keys over HTTP: which calls they open, and what a call without the right one is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from serving.api_keys import ApiKeys, KeysFile, Scope, new_key, write_keys
from serving.http_calls import CALLS, TELLINGS
from serving.http_keys import OPEN_PATHS, SCOPES, KeyGate
from serving.http_pages import pages
from serving.http_problems import Problem

ELSEWHERE = ("203.0.113.9", 40_000)


@dataclass
class Clock:
    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Locked:
    """A gate of one key, and requests that show it."""

    gate: KeyGate
    token: str
    clock: Clock

    def ask(self, path: str, *, method: str = "POST", shown: str | None = None) -> tuple[int, dict[bytes, bytes]]:
        """Return the status with which the gate turns a call away, 200 where it lets it through."""
        value = f"Bearer {self.token}" if shown is None else shown
        headers = [(b"authorization", value.encode("latin-1"))] if value else []
        try:
            self.gate.check({"method": method, "headers": headers, "client": ELSEWHERE}, path)
        except Problem as problem:
            return problem.status, dict(problem.headers)
        return 200, {}


def locked(home: Path, *scopes: Scope, per_second: float | None = None, share: float = 1.0) -> Locked:
    token, key = new_key("web", scopes, per_second)
    write_keys(home, ApiKeys().with_key(key))
    file, clock = KeysFile(home), Clock()
    file.take_up()
    return Locked(KeyGate(file, clock=clock, share=share), token, clock)


def test_every_path_needs_a_scope_or_is_open_by_intent() -> None:
    paths = {call.path for call in (*CALLS, *TELLINGS)} | {"/metrics"}

    assert paths == set(SCOPES)
    assert not OPEN_PATHS & paths
    assert not OPEN_PATHS & set(pages())


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_opens_its_own_calls_and_no_others(tmp_path: Path, scope: Scope) -> None:
    door = locked(tmp_path, scope)
    calls = {(call.method, call.path) for call in (*CALLS, *TELLINGS)} | {("GET", "/metrics")}

    opened = {(method, path) for method, path in calls if door.ask(path, method=method)[0] == 200}

    admin = {("DELETE", "/v1/customers/{id}"), ("PUT", "/v1/customers/{id}/consent")}
    wanted = {call for call in calls if SCOPES[call[1]] is scope} - admin
    assert opened == (admin if scope is Scope.ADMIN else wanted)
    assert {door.ask(path, method=method)[0] for method, path in calls - opened} == {403}


@pytest.mark.parametrize(
    "shown", ["", "Bearer", "Bearer ", "Basic abc", "Bearer nonsense", "bearer tercet_00000000_x", "\xff"]
)
def test_without_a_key_that_is_known_nothing_is_told(tmp_path: Path, shown: str) -> None:
    status, headers = locked(tmp_path, *Scope).ask("/v1/challenge", shown=shown)

    assert status == 401
    assert headers[b"www-authenticate"] == b"Bearer"


def test_the_word_bearer_may_be_written_in_any_case(tmp_path: Path) -> None:
    door = locked(tmp_path, Scope.STOREFRONT)

    assert door.ask("/v1/challenge", shown=f"bEARER  {door.token}")[0] == 200


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/docs.json", "other"])
def test_what_says_nothing_of_anybody_needs_no_key(tmp_path: Path, path: str) -> None:
    assert locked(tmp_path, Scope.ADMIN).ask(path, method="GET", shown="")[0] == 200


def test_a_key_has_so_many_calls_a_second(tmp_path: Path) -> None:
    door = locked(tmp_path, Scope.STOREFRONT, per_second=4, share=0.5)

    assert [door.ask("/v1/challenge")[0] for _ in range(3)] == [200, 200, 429]
    assert door.ask("/v1/challenge")[1][b"retry-after"] == b"1"
    door.clock.seconds += 0.5
    assert [door.ask("/v1/challenge")[0] for _ in range(2)] == [200, 429]
    door.clock.seconds += 3600
    assert [door.ask("/v1/challenge")[0] for _ in range(3)] == [200, 200, 429]


def test_less_than_one_call_a_second_is_a_limit_as_well(tmp_path: Path) -> None:
    door = locked(tmp_path, Scope.STOREFRONT, per_second=0.1)

    assert [door.ask("/v1/challenge")[0] for _ in range(2)] == [200, 429]
    assert door.ask("/v1/challenge")[1][b"retry-after"] == b"10"
    door.clock.seconds += 10.001
    assert door.ask("/v1/challenge")[0] == 200


def test_without_keys_only_this_machine_gets_in() -> None:
    gate = KeyGate(None, clock=Clock())
    request = {"method": "POST", "headers": [], "client": ("127.0.0.1", 1)}

    gate.check(request, "/v1/challenge")
    with pytest.raises(Problem) as raised:
        gate.check({**request, "client": ELSEWHERE}, "/v1/challenge")
    assert raised.value.status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "tercet.example:3000"},
        {"host": "127.0.0.1.example.org"},
        {"host": "localhost.example.org"},
        {"host": ""},
        {"host": "127.0.0.1:3000", "origin": "https://shop.example"},
        {"host": "127.0.0.1:3000", "origin": "http://127.0.0.1:8000"},
        {"host": "127.0.0.1:3000", "origin": "null"},
        {"host": "127.0.0.1:3000", "x-forwarded-for": "203.0.113.9"},
        {"host": "127.0.0.1:3000", "forwarded": "for=203.0.113.9"},
    ],
)
def test_without_keys_neither_pages_from_elsewhere_nor_proxies_get_in(headers: dict[str, str]) -> None:
    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    request = {"method": "POST", "headers": given, "client": ("127.0.0.1", 1)}

    with pytest.raises(Problem) as raised:
        KeyGate(None, clock=Clock()).check(request, "/v1/events")

    assert raised.value.status == 403


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "127.0.0.1", "localhost:3000", "[::1]:3000", "LOCALHOST"])
def test_without_keys_this_machines_own_page_gets_in(host: str) -> None:
    given = [(b"host", host.encode()), (b"origin", b"http://" + host.encode())]

    for headers in (given, given[:1], []):
        KeyGate(None, clock=Clock()).check({"method": "POST", "headers": headers, "client": ("::1", 1)}, "/v1/events")


def test_keys_that_are_off_by_intent_let_everybody_in() -> None:
    given = [(b"host", b"tercet.example"), (b"x-forwarded-for", b"203.0.113.9")]

    KeyGate(None, clock=Clock(), is_open=True).check(
        {"method": "POST", "headers": given, "client": ELSEWHERE}, "/v1/events"
    )


def test_a_revoked_key_is_out_at_once(tmp_path: Path) -> None:
    door = locked(tmp_path, Scope.STOREFRONT)
    write_keys(tmp_path, ApiKeys())
    assert door.gate.keys is not None

    door.gate.keys.take_up()

    assert door.ask("/v1/challenge")[0] == 401
