"""Rows of a Parquet file that are a customer's go; all others, and what is no row, stay as they are."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.erasing_mlflow import erase_from_database, erase_from_files
from serving.erasing_tables import Forgotten, rewrite_parquet

ANNA = "anna-2c9"
_HEAD = '{"columns": ["customer_id"]'
FORGOTTEN = Forgotten(
    frozenset({ANNA, "17"}), lambda kind, value: (kind, value) == ("email", "a@b.cd"), frozenset({"a@b.cd"})
)


def test_rows_go_by_id_by_identity_and_by_a_line_that_names_them(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    rows = [
        {"customer_id": ANNA, "kind": None, "value": None, "line": None},
        {"customer_id": None, "kind": "email", "value": "a@b.cd", "line": None},
        {"customer_id": None, "kind": None, "value": None, "line": f'x;"{ANNA}";3'},
        {"customer_id": None, "kind": "phone", "value": "a@b.cd", "line": None},
        {"customer_id": "ben", "kind": None, "value": None, "line": "117,ben"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    assert rewrite_parquet(path, FORGOTTEN, ["customer_id"]) == 3
    assert pq.read_table(path).to_pylist() == rows[3:]


def test_a_file_without_them_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"customer_id": ["ben"], "items": [[{"p": 1}]]}), path)
    written = path.read_bytes()
    assert rewrite_parquet(path, FORGOTTEN, ["customer_id"]) == 0
    assert path.read_bytes() == written


def test_ids_that_are_numbers_are_found_and_the_schema_stays(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"customer_id": pa.array([17, 18], pa.int32()), "items": [[{"p": 1}], []]})
    pq.write_table(table, path)
    assert rewrite_parquet(path, FORGOTTEN, ["customer_id"]) == 1
    assert pq.read_table(path).equals(table.slice(1))


def test_a_file_of_theirs_alone_is_empty_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"customer_id": [ANNA]}), path)
    assert rewrite_parquet(path, FORGOTTEN, ["customer_id"]) == 1
    assert pq.read_table(path).num_rows == 0


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("t.csv", f"customer_id,p\n17,1\n18,2\n{ANNA},3\n", "customer_id,p\n18,2\n"),
        ("t.json", f'{_HEAD}, "data": [["17"], ["18"]]}}', f'{_HEAD}, "data": [["18"]]}}'),
        ("t.json", f'{{"customer_id": "{ANNA}"', '{"customer_id": "[erased]"'),
        ("note.md", f"{ANNA}, {ANNA}x and x{ANNA}: 17", f"[erased], {ANNA}x and x{ANNA}: 17"),
        ("note.txt", "write to a@b.cd or aa@b.cd", "write to [erased] or aa@b.cd"),
    ],
)  # fmt: skip
def test_texts_lose_rows_and_what_can_be_nothing_else(tmp_path: Path, name: str, before: str, after: str) -> None:
    (tmp_path / name).write_text(before, encoding="utf-8")
    assert erase_from_files(tmp_path, FORGOTTEN) == 1
    assert (tmp_path / name).read_text(encoding="utf-8") == after
    assert erase_from_files(tmp_path, FORGOTTEN) == 0


def test_what_is_no_text_and_no_table_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\x00\xff" + ANNA.encode())
    (tmp_path / "odd.txt").write_bytes(b"\xff\xfe" + ANNA.encode())
    assert erase_from_files(tmp_path, FORGOTTEN) == 0


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert erase_from_database(tmp_path / "mlflow.db", FORGOTTEN) == 0
    assert not (tmp_path / "mlflow.db").exists()
