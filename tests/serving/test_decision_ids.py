from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.decision_ids import DecisionIds, shop_ids
from serving.errors import SettingsError


def test_fresh_ids_are_32_digits_and_never_the_same() -> None:
    ids = DecisionIds(b"k" * 32)
    made = {ids.fresh() for _ in range(1000)}

    assert len(made) == 1000
    assert {len(each) for each in made} == {32}


def test_a_forked_child_gives_other_ids_than_its_parent() -> None:
    ids = DecisionIds(b"k" * 32)
    ids.fresh()
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writes, " ".join(ids.fresh() for _ in range(100)).encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as told:
        theirs = told.read().decode().split()
    os.waitpid(child, 0)

    assert len(theirs) == 100
    assert not {ids.fresh() for _ in range(100)} & set(theirs)


def test_another_key_makes_another_id_of_the_same_question() -> None:
    assert DecisionIds(b"a" * 32).of("?") != DecisionIds(b"b" * 32).of("?")


def test_a_question_may_hold_anything() -> None:
    assert len(DecisionIds(b"k" * 32).of("\0 ü \U0001f600")) == 32


def test_the_key_is_made_once_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    first, second = shop_ids(tmp_path), shop_ids(tmp_path)
    key = tmp_path / "state" / "decision.key"

    assert first.of("?") == second.of("?")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [each.name for each in key.parent.iterdir()] == ["decision.key"]


def test_workers_that_start_at_once_agree_on_the_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = set(pool.map(lambda _: shop_ids(tmp_path).of("?"), range(64)))

    assert len(made) == 1


def test_a_key_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    shop_ids(tmp_path)
    (tmp_path / "state" / "decision.key").write_bytes(b"short")

    with pytest.raises(SettingsError, match="5 bytes instead of 32"):
        shop_ids(tmp_path)


def test_a_home_that_can_t_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, not a folder")

    with pytest.raises(SettingsError, match=r"^TERCET_HOME: can't keep [^\n]+$"):
        shop_ids(tmp_path)
