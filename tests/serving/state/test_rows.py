"""Statements over many rows of the state's file."""

from __future__ import annotations

from serving.state.rows import _of_many, _powers_of_two


def test_statements_come_in_few_lengths() -> None:
    keys = [b"%d" % n for n in range(700)]
    lengths = set()
    for n in range(701):
        sql, values = _of_many("in ({})", keys[:n])
        assert sql.count("?") == len(values)
        assert set(values) == set(keys[:n])
        parts = list(_powers_of_two(keys[:n]))
        assert [key for part in parts for key in part] == keys[:n]
        lengths |= {len(values), *map(len, parts)}
    assert lengths == {0, *(2**n for n in range(11))}
