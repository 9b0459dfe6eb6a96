"""What a bundle says of products: whose usual product is which."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from features import columns as c
from features.build import FeatureStore
from serving.decisioning.policy import default_policy_text, parse_policy
from tests.features.tiny import Row, at, line, write_tables
from training.history import History
from training.publish_catalogue import Catalogue

LISTS = parse_policy(default_policy_text()).lists


def usual(folder: Path, lines: list[Row]) -> list[list[int]]:
    """Return customer, product and type of each usual product, where products 0 and 1 share a type, 2 and 3 another."""
    products = [
        {"product_row": row, "product_id": f"p{row}", "type_row": row // 2, "category_row": 0, "name": f"thing {row}"}
        for row in range(4)
    ]
    types = [{"type_row": row, "product_type": f"type {row}", "category_row": 0, "is_own": False} for row in range(2)]
    categories = [{"category_row": 0, "category": "things", "is_own": False}]
    tables = write_tables(folder / "t", lines, products=products, types=types, categories=categories)
    history = History(FeatureStore(tables, folder / "f"), at(100))
    catalogue = Catalogue(history, at(100), LISTS)
    frame: pd.DataFrame = catalogue.usual_products(history.features("customer_products", at(100)))
    rows: list[list[int]] = frame[[c.CUSTOMER_ROW, c.PRODUCT_ROW, c.TYPE_ROW]].to_numpy().tolist()
    return rows


def test_the_usual_product_of_a_type_is_the_one_bought_most_of_late(tmp_path: Path) -> None:
    often_once = [line(order, order, 0) for order in range(3)] + [line(9, 40, 0, customer_row=1)]
    lately = [line(10 + order, 90 + order, 1) for order in range(2)]

    assert usual(tmp_path, [*often_once, *lately, line(20, 95, 2)]) == [[0, 1, 0], [0, 2, 1], [1, 0, 0]]


def test_of_equals_the_lower_row_is_usual(tmp_path: Path) -> None:
    assert usual(tmp_path, [line(0, 90, 1), line(0, 90, 0)]) == [[0, 0, 0]]


def test_a_product_on_sale_goes_before_one_that_has_left(tmp_path: Path) -> None:
    gone = [line(order, order, 2) for order in range(9)]

    assert usual(tmp_path, [*gone, line(20, 95, 3)]) == [[0, 3, 1]]


def test_nobody_has_no_usual_product(tmp_path: Path) -> None:
    assert usual(tmp_path, []) == []
