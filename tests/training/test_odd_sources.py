"""Sources as odd as other people's: each is trained on, and every batch answers, without a word about a traceback."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from serving.batch import BatchJob, write_batch
from training import gate, pipeline

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

FIRST = date(2025, 1, 6)
N_WEEKS = 12
KINDS = ("challenge", "scores", "recommendations", "also-bought", "offers", "actions")

Change = Callable[[pd.DataFrame], pd.DataFrame]


def bare_rows(n_customers: int = 14) -> pd.DataFrame:
    """Return ids and days of customers who come every week for two or three of a dozen products."""
    rows = [
        (f"c{who}", f"o{who}-{week}", f"p{(3 * who + week * extra) % 12}", FIRST + timedelta(7 * week + who % 7))
        for who in range(n_customers)
        for week in range(N_WEEKS)
        for extra in range(2 + week % 2)
    ]
    return pd.DataFrame(rows, columns=["customer_id", "order_id", "product_id", "ordered_at"])


def _at(rows: pd.DataFrame, clock: str) -> pd.DataFrame:
    return rows.assign(ordered_at=rows["ordered_at"].astype(str) + f"T{clock}Z")


def _first_orders(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["order_id"].isin(rows.groupby("customer_id")["order_id"].first())]


def _spread(rows: pd.DataFrame) -> pd.DataFrame:
    hours = [f"{7 * place % 24:02d}:{11 * place % 60:02d}:00" for place in range(len(rows))]
    return rows.assign(ordered_at=[f"{day}T{hour}Z" for day, hour in zip(rows["ordered_at"], hours, strict=True)])


def _strange(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(
        customer_id="кл " + rows["customer_id"] + " " + "ü" * 150,
        order_id="№ " + rows["order_id"],
        product_id="商品 " + rows["product_id"] + " \N{SLIGHTLY SMILING FACE}, '\"",
    )


ODD: dict[str, Change] = {
    "one line": lambda rows: rows.head(1),
    "one customer": lambda rows: rows[rows["customer_id"] == "c3"],
    "one product": lambda rows: rows.assign(product_id="p").drop_duplicates(),
    "one day": lambda rows: rows[rows["ordered_at"] == FIRST],
    "three weeks": lambda rows: rows[rows["ordered_at"] < FIRST + timedelta(21)],
    "all once": _first_orders,
    "one order id for all": lambda rows: rows.assign(order_id="o"),
    "one order at several times": _spread,
    "all at 23:59": lambda rows: _at(rows, "23:59:00"),
    "strange ids": _strange,
    "amounts of nothing": lambda rows: rows.assign(amount=0.0, quantity=1),
    "quantities of a thousandth": lambda rows: rows.assign(quantity=0.001, amount=0.01),
    "one store": lambda rows: rows.assign(store_id="s"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_source_goes_the_whole_way(name: str, tmp_path: Path) -> None:
    home, source = tmp_path / "home", tmp_path / "source"
    source.mkdir()
    rows = ODD[name](bare_rows())
    rows.to_csv(source / "transactions.csv", index=False)
    version = pipeline.train(str(source), home, None, "duckdb", True, lambda _: None)
    gate.promote(home, version, force=True)
    n_answers = {kind: write_batch(home, BatchJob(kind), tmp_path / f"{kind}.parquet", None, _silent) for kind in KINDS}
    assert n_answers["scores"] == rows["customer_id"].nunique()
    challenges = pq.read_table(tmp_path / "challenge.parquet").to_pandas()
    assert challenges["probability"].dropna().between(0, 1).all()


def _silent(_: str) -> None:
    """Say nothing."""
