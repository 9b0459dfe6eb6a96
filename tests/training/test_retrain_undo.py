from __future__ import annotations

from pathlib import Path

import pytest

from training.home import Home
from training.retrain_undo import NOTE_FILE, settle


@pytest.mark.parametrize("note", ["", "{", "[]", "3", "[" * 5000, '{"surprise": 1}'])
def test_a_note_that_is_none_leaves_nothing_to_settle(tmp_path: Path, note: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / NOTE_FILE).write_text(note)

    assert not settle(Home(tmp_path))
