"""Drift: tenths of a bundle's scores by those whom it expects, and who asks beside them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from features.ids import hash_id
from serving.bundle import Bundle
from serving.bundle_format import BundleArrays
from serving.engine import Engine
from serving.http_drift import N_BINS, SAMPLED, WATCHED, Drift, ScoreBins
from serving.http_metrics import Metrics
from serving.shares import Shares
from serving.strings import StringTable
from tests.serving.asgi import client

N = 2_000


def arrays(**columns: Any) -> BundleArrays:
    """Return a bundle of customers c0, c1, … with these columns; the others are 0, and all shop for sure."""
    ids = sorted((f"c{i}" for i in range(N)), key=hash_id)
    rows = np.array([int(each[1:]) for each in ids])
    found: dict[str, Any] = {name: np.zeros(N, dtype=np.float32) for name in WATCHED} | {"p_shop": np.ones((N, 7))}
    found |= {name: np.asarray(values, dtype=np.float32)[rows] for name, values in columns.items()}
    found["p_shop"] = Shares.of(found["p_shop"])
    hashes = np.array([hash_id(each) for each in ids], dtype=np.uint64)
    return cast(BundleArrays, SimpleNamespace(customers=SimpleNamespace(id=StringTable.of(ids), hash=hashes, **found)))


def test_tenths_are_of_those_who_are_expected() -> None:
    chances = np.repeat(np.linspace(0, 1, N)[:, None], 7, axis=1)
    bins = ScoreBins(arrays(value=np.arange(N), p_shop=chances))

    assert bins.shares["value"] == pytest.approx(np.full(N_BINS, 0.1), abs=0.002)
    # half of all have a tenth of a quarter of the chances: the lower half of the values fills the first tenths only
    assert bins.bins_of(f"c{N // 2}")["value"] == 2
    assert bins.bins_of("c0")["value"] == 0
    assert bins.bins_of(f"c{N - 1}")["value"] == N_BINS - 1


def test_every_tenth_says_what_is_in_it() -> None:
    values = np.random.default_rng(5).choice([1.0, 2.0, 2.0, 7.0], N)
    bins = ScoreBins(arrays(churn=values))

    counted = np.bincount([bins.bins_of(f"c{i}")["churn"] for i in range(N)], minlength=N_BINS) / N

    assert bins.shares["churn"] == pytest.approx(counted)
    assert np.count_nonzero(counted) == 3


def test_what_is_not_known_is_in_no_tenth() -> None:
    bins = ScoreBins(arrays(value=np.full(N, np.nan), churn=np.linspace(0, 1, N)))

    assert "value" not in bins.shares
    assert "value" not in bins.bins_of("c1")
    assert bins.bins_of("nobody") == {}


def test_nobody_is_expected_where_nobody_shops() -> None:
    assert ScoreBins(arrays(p_shop=np.zeros((N, 7)))).shares == {}


def test_those_who_ask_are_counted_now_and_then() -> None:
    metrics = Metrics(None)
    drift = Drift(metrics)
    drift.note("c1")
    drift.obey(ScoreBins(arrays(value=np.arange(N))))

    for _ in range(3 * SAMPLED):
        drift.note(f"c{N - 1}")
    drift.flush()

    text = metrics.text().decode()
    assert 'tercet_asking_customers_total{score="value",tenth="9"} 3.0' in text
    assert 'tercet_asking_customers_total{score="value",tenth="0"} 0.0' in text
    assert 'tercet_expected_share{score="value",tenth="9"} 0.1' in text


def test_only_who_gets_a_personal_answer_is_counted(tmp_path: Path, tiny_bundle: Bundle) -> None:
    api = client(tmp_path, Engine(tiny_bundle), datetime(2018, 1, 2, 12, tzinfo=UTC))
    api.shop.drift.obey(ScoreBins(tiny_bundle))

    def n_counted() -> float:
        lines = re.findall(rb"^tercet_asking_customers_total\{.*\} (.*)$", api.get("/metrics").body, re.MULTILINE)
        return sum(map(float, lines))

    for customer_id in ("ben", "anna"):  # ben has refused
        before = n_counted()
        for _ in range(SAMPLED):
            api.post("/v1/recommendations", {"customer_id": customer_id})
        assert (n_counted() > before) == (customer_id == "anna")
