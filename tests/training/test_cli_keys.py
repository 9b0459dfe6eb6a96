"""`tercet keys` by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.api_keys import Scope, read_keys
from training import cli


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.run(["keys", *arguments])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_a_key_is_shown_once_and_opens_what_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ("--home", str(tmp_path))

    status, token, _ = said(capsys, "add", "web", "--scope", "storefront", "--scope", "analyst", *home)

    assert status == 0
    key = read_keys(tmp_path).find(token.strip())
    assert key is not None
    assert (key.name, key.scopes, key.per_second) == (
        "web",
        frozenset({Scope.STOREFRONT, Scope.ANALYST}),
        None,
    )
    _, listed, _ = said(capsys, "list", *home)
    assert listed == f"web  tercet_{key.id}_…  analyst, storefront  no limit\n"
    assert said(capsys, "revoke", "web", *home)[:2] == (0, "web is revoked\n")
    assert read_keys(tmp_path).find(token.strip()) is None


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("add", "web"), 2, "--scope"),
        (("add", "web", "--scope", "root"), 2, "root"),
        (("add", "web shop", "--scope", "admin"), 1, "a key's name"),
        (("add", "web", "--scope", "admin", "--per-second", "0"), 1, "above 0"),
        (("revoke", "web"), 1, "there is no key named 'web'"),
    ],
)
def test_a_wrong_call_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, told: str
) -> None:
    ended, out, error = said(capsys, *arguments, "--home", str(tmp_path))

    assert (ended, out) == (status, "")
    assert told in error
    assert len(error.splitlines()) == 1
