"""Keys on a server as it runs: asked for by every worker, made and revoked without a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.api_keys import ApiKeys, Scope, new_key, read_keys, write_keys
from serving.launch import Server, free_port, start
from serving.settings import Settings
from tests.serving.running import CHALLENGE, NOW, eventually, publish, send
from training import cli

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def statuses(server: Server, token: str, n: int = 20) -> set[int]:
    """What `n` calls over connections of their own are answered with, so that every worker is asked."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    body = {"customer_id": "anna"}
    asked = (send("POST", server.url + CHALLENGE, json=body, headers=headers) for _ in range(n))
    return {answer.status_code for answer in asked}


def test_every_worker_goes_by_the_keys_as_they_change(tmp_path: Path) -> None:
    publish(tmp_path)
    token, key = new_key("web", [Scope.STOREFRONT])
    write_keys(tmp_path, ApiKeys().with_key(key))
    with start(Settings(tmp_path, port=free_port(), now=NOW, keys_everywhere=True)) as server:
        server.wait_until_ready()

        assert statuses(server, token) == {200}
        assert statuses(server, "") == {401}
        refused = send("GET", server.url + "/v1/customers/anna", headers={"authorization": f"Bearer {token}"})
        assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
        assert send("GET", server.url + "/").status_code == 200

        later, other = new_key("app", [Scope.STOREFRONT])
        write_keys(tmp_path, read_keys(tmp_path).with_key(other).without("web"))
        assert eventually(lambda: statuses(server, later) == {200})
        assert eventually(lambda: statuses(server, token) == {401})
        assert token not in server.log.read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "named"),
    [({"TERCET_HOST": "0.0.0.0"}, "TERCET_HOST 0.0.0.0"), ({"TERCET_KEYS": "required"}, "TERCET_KEYS")],
)
def test_a_server_that_needs_keys_does_not_start_without_one(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, str],
    named: str,
) -> None:
    for name, value in options.items():
        monkeypatch.setenv(name, value)

    assert cli.run(["serve", "--home", str(tmp_path), "--port", str(free_port())]) == 2
    assert f"{named}: calls must show a key" in capsys.readouterr().err
