"""The store that a setting names."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import SettingsError
from serving.state.file_store import FileStore
from serving.state.opening import open_store
from serving.state.redis_store import RedisStore
from serving.state.store import Commit


def test_file_is_a_file_under_the_home_that_appears_with_the_first_use(tmp_path: Path) -> None:
    store = open_store("file", tmp_path / "home")
    assert isinstance(store, FileStore)
    assert not (tmp_path / "home").exists()
    assert store.commit(Commit(put={"a": b"1"}))
    assert (tmp_path / "home" / "state" / "state.db").exists()
    store.close()


@pytest.mark.parametrize("url", ["redis://", "redis://host:1/2", "rediss://:pw@host"])
def test_a_redis_url_is_a_server_that_need_not_be_there_yet(url: str, tmp_path: Path) -> None:
    store = open_store(url, tmp_path)
    assert isinstance(store, RedisStore)
    store.close()


@pytest.mark.parametrize("url", ["", "FILE", "sqlite:///x", "http://:hunter2@host", "redis:/host"])
def test_anything_else_is_refused_without_being_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^TERCET_STATE: it is neither 'file' nor") as caught:
        open_store(url, tmp_path)
    assert "hunter2" not in str(caught.value)
