from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.bundle import Bundle
from serving.champion import write_champion
from serving.decisioning.policy import default_policy, default_policy_text, with_values
from serving.errors import SettingsError, StateUnavailable, StateUnfit
from serving.state.redis_store import RedisStore
from serving.state.store import Commit
from serving.state_home import open_state, policy_in_force
from tests.serving.state.conftest import redis_url as redis_url
from tests.serving.state.conftest import shared_redis as shared_redis


def test_a_home_has_one_state_whoever_opens_it(tmp_path: Path) -> None:
    first, second = open_state("file", tmp_path), open_state("file", tmp_path)

    first.state.put_consent("anna", {"email": True}, 1)

    live = second.state.live("anna")
    assert live.consent is not None
    assert live.consent["email"]
    assert first.ids.of("?") == second.ids.of("?")
    first.close()
    second.close()


def test_servers_of_one_redis_share_its_key_whatever_their_home(tmp_path: Path, redis_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda number: open_state(redis_url, tmp_path / str(number)), range(4)))

    assert len({each.ids.of("?") for each in opened}) == 1
    assert not opened[0].reads_in_place
    for each in opened:
        each.close()


def test_a_redis_whose_key_is_damaged_is_unfit(tmp_path: Path, redis_url: str) -> None:
    store = RedisStore(redis_url)
    store.commit(Commit(put={"key": b"short"}))
    store.close()

    with pytest.raises(StateUnfit, match="no key of 32 bytes"):
        open_state(redis_url, tmp_path)


def test_a_redis_that_is_away_is_unavailable_and_no_state_at_all_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailable):
        open_state("redis://127.0.0.1:1/0", tmp_path)
    with pytest.raises(SettingsError, match="TERCET_STATE"):
        open_state("mysql://here", tmp_path)


def test_the_policy_in_force_is_the_champion_s_then_the_home_s_then_the_one_that_ships(
    tmp_path: Path, tiny_bundle: Bundle
) -> None:
    assert policy_in_force(tmp_path) == default_policy()

    (tmp_path / "policy.toml").write_text(with_values(default_policy_text(), {"state.events_days": 3}))
    assert policy_in_force(tmp_path).state.events_days == 3

    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / tiny_bundle.manifest.version).symlink_to(tiny_bundle.folder)
    write_champion(tmp_path, tiny_bundle.manifest.version)
    assert policy_in_force(tmp_path) == tiny_bundle.policy


def test_a_policy_that_can_not_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("this is no policy")

    assert policy_in_force(tmp_path) == default_policy()
