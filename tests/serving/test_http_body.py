"""The quick way through a small body comes to what the strict one comes to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import http_body
from serving.http_body import check_content_type, decode
from serving.http_problems import Problem

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
MEMBERS = st.lists(st.tuples(st.text(max_size=2), VALUES | st.lists(VALUES, max_size=2)), max_size=4)
ENTRIES = st.lists(MEMBERS.map(lambda members: Written(members)) | VALUES | st.lists(VALUES, max_size=1), max_size=3)


class Written(list[tuple[str, Any]]):
    """An object whose members are written one after the other, whatever their names are."""


def written(value: Any, space: str = "", *, is_ascii: bool = True) -> str:
    """Return a value as JSON."""
    if isinstance(value, Written):
        pairs = [
            (json.dumps(name, ensure_ascii=is_ascii), written(each, space, is_ascii=is_ascii)) for name, each in value
        ]
        return f"{{{space}{','.join(f'{name}{space}:{text}' for name, text in pairs)}}}"
    if isinstance(value, list):
        return f"[{','.join(written(each, space, is_ascii=is_ascii) for each in value)}{space}]"
    return json.dumps(value, ensure_ascii=is_ascii)


def outcome(body: bytes, *, is_strict: bool) -> Any:
    try:
        return (http_body._decode_strictly if is_strict else decode)(body)
    except Problem as problem:
        return problem.answer()


@given(
    st.lists(st.tuples(st.text(max_size=2), VALUES | ENTRIES), max_size=4),
    st.booleans(),
    st.sampled_from(["", " ", "\n"]),
)
def test_both_ways_agree(members: list[tuple[str, Any]], is_ascii: bool, space: str) -> None:
    body = written(Written(members), space, is_ascii=is_ascii).encode("utf-8", "surrogatepass")
    assert repr(outcome(body, is_strict=False)) == repr(outcome(body, is_strict=True))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b"7",
        b'{"a": 1, "a": 1}',
        b'{"a": "", "a": ""}',
        b'{"a": "\\"", "b": 1}',
        b'{"a": 123456789012345678901}',
        b'{"a": -0, "b": 1e400}',
        b'{"a": NaN}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"a": {"b": 1}, "a": [1]}',
        b'{"a": [5], "a": [5]}',
        b'{"a": ["b"], "a": ["b"]}',
        b'{"a": [{"b": 1, "b": 1}]}',
        b'{"a": [{"b": "c"}], "a": []}',
        b'{"a": [{"b": ["c"], "b": ""}]}',
        b'{"a": [[{"b": 1, "b": 1}]]}',
        b'{"a": [{"b": {"c": 1, "c": ""}}]}',
        b"{'a': 1}",
        b'{"a": 1,}',
    ],
)
def test_odd_bodies_are_answered_alike(body: bytes) -> None:
    assert repr(outcome(body, is_strict=False)) == repr(outcome(body, is_strict=True))


@pytest.mark.parametrize(
    "body",
    [
        b'{"customer_id": "anna", "k": 10, "in_stock": true, "category": null}',
        b'{"events": [{"event_id": "1", "at": "2018-01-01T00:00:00Z", "order_id": null}, {"event_id": "2"}]}',
        b'{"customer_id": "anna", "exclude": []}',
    ],
)
def test_a_plain_body_takes_the_quick_way(body: bytes) -> None:
    assert http_body._flat(body) == decode(body) == json.loads(body)


@pytest.mark.parametrize("value", [b"", b"application/json", b'Application/JSON; charset="UTF-8"'])
def test_json_in_utf_8_is_taken(value: bytes) -> None:
    check_content_type(value)


@pytest.mark.parametrize("value", [b"text/plain", b"application/json; charset=latin-1", b"\xff"])
def test_nothing_else_is_taken_however_often_it_is_sent(value: bytes) -> None:
    for _ in range(2):
        with pytest.raises(Problem, match="send the body as JSON"):
            check_content_type(value)
