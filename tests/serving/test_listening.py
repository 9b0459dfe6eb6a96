from __future__ import annotations

import socket
from pathlib import Path

import pytest

from serving.errors import SettingsError
from serving.listening import bound_address, check_reach
from serving.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_worker_knows_where_its_socket_is_bound(host: str) -> None:
    with socket.socket() as bound:
        bound.bind((host, 0))
        assert bound_address(["worker", "--fd", str(bound.fileno()), "--timeout", "2"]) == host
        assert bound.fileno() > 0  # it is still open


@pytest.mark.parametrize("arguments", [[], ["pytest"], ["worker", "--fd"]])
def test_without_a_socket_there_is_no_address(arguments: list[str]) -> None:
    assert bound_address(arguments) is None


def test_a_socket_of_this_machine_has_no_address_of_a_network(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s"))
        assert bound_address(["--fd", str(bound.fileno()), "x"]) is None


def test_a_server_that_others_reach_without_a_key_does_not_start(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("0.0.0.0", 0))
        arguments = ["worker", "--fd", str(bound.fileno()), "x"]
        with pytest.raises(SettingsError, match="0.0.0.0.*TERCET_HOST is 127.0.0.1"):
            check_reach(Settings(tmp_path), arguments)
        check_reach(Settings(tmp_path, host="0.0.0.0"), arguments)
        check_reach(Settings(tmp_path, keys_everywhere=True), arguments)


def test_a_server_of_this_machine_alone_needs_none(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        check_reach(Settings(tmp_path), ["worker", "--fd", str(bound.fileno()), "x"])
    check_reach(Settings(tmp_path), ["pytest"])
