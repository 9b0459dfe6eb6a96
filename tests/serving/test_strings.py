from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.strings import StringTable

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=8)


@given(TEXTS)
def test_every_string_comes_back(texts: list[str]) -> None:
    table = StringTable.of(texts)
    assert list(table) == texts
    assert table[: len(texts)] == texts
    assert table.offsets.dtype == np.int64
    assert table.utf8.dtype == np.uint8


def test_none_is_the_empty_string_and_half_a_surrogate_is_replaced() -> None:
    assert list(StringTable.of([None, "a\ud800b"])) == ["", "a?b"]


@pytest.mark.parametrize("row", [2, -1])
def test_a_row_outside_is_an_index_error(row: int) -> None:
    with pytest.raises(IndexError):
        StringTable.of(["a", "b"])[row]


def test_an_empty_table_has_no_strings() -> None:
    assert list(StringTable.of([])) == []
