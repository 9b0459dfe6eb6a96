"""Erasing beside a running server: it goes on answering, takes up the new bundle, and keeps no trace of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.champion import read_champion
from tests.places import places_with
from tests.serving.running import CHALLENGE, NOW, RECOMMENDATIONS, ask, eventually, publish, running, send
from training import cli

pytestmark = pytest.mark.e2e

EMAIL = "anna@example.com"
EVENTS = [
    {"event_id": f"e{i}", "customer_id": "anna", "type": kind, "at": "2018-01-01T11:00:00Z", "product_id": "milk-1"}
    for i, kind in enumerate(("view", "wishlist", "cart"))
]
IDENTITIES = [{"customer_id": "anna", "kind": "email", "value": EMAIL}]


def test_the_server_serves_on_and_nothing_of_the_customer_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = publish(tmp_path)
    with running(tmp_path, log_requests=True) as server:
        server.wait_until_ready()
        for path, told in (("events", EVENTS), ("identities", IDENTITIES)):
            assert send("POST", f"{server.url}/v1/{path}", json={path: told}).status_code == 202
        assert ask(server, path=RECOMMENDATIONS).json()["personalized"]
        assert ask(server, path=CHALLENGE).json()["personalized"]
        places = {place.split("/")[0] for place in places_with([tmp_path], ["anna", EMAIL])}
        assert places == {"bundles", "state"}

        given = ["erase", "--identity", f"email:{EMAIL}", "--now", NOW.isoformat(), "--home", str(tmp_path)]
        assert cli.run(given) == 0

        new = read_champion(tmp_path)
        assert f"{old} is now {new}" in capsys.readouterr().out
        assert not ask(server, path=RECOMMENDATIONS).json()["personalized"]
        assert not ask(server, path=CHALLENGE).json()["personalized"]
        assert eventually(lambda: ask(server, "ben", RECOMMENDATIONS).json()["model_version"] == new)
        assert {ask(server, "ben").status_code for _ in range(20)} == {200}
        assert places_with([tmp_path], ["anna", EMAIL]) == []
    assert places_with([tmp_path], ["anna", EMAIL]) == []
