"""Answers as rows: the columns of each kind of batch, and how an answer's fields fill them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

# Any, here and below: fields of an answer, whose types serving/api_answers.py gives.
Row = dict[str, Any]

_TEXT, _NUMBER, _COUNT, _CLAIM = pa.string(), pa.float64(), pa.int64(), pa.bool_()

_DECISION: dict[str, pa.DataType] = {
    "decision_id": _TEXT,
    "model_version": _TEXT,
    "personalized": _CLAIM,
    "experiment_name": _TEXT,
    "experiment_arm": _TEXT,
    "currency": _TEXT,
}
_NOTES = {"notes": pa.list_(pa.struct([("code", _TEXT), ("text", _TEXT)]))}
_SHORTFALL = {"shortfall_code": _TEXT, "shortfall_text": _TEXT}
_ITEM = {
    "rank": _COUNT,
    "product_id": _TEXT,
    "name": _TEXT,
    "product_type": _TEXT,
    "category": _TEXT,
    "price": _NUMBER,
    "reason_code": _TEXT,
    "reason_text": _TEXT,
    "last_bought_at": _TEXT,
    "due_at": _TEXT,
    "usual_quantity": _COUNT,
}
_CHALLENGE_ITEM = {
    "role": _TEXT,
    "probability": _NUMBER,
    "target_quantity": _COUNT,
    "counts_level": _TEXT,
    "counts_id": _TEXT,
    "done": _CLAIM,
}
_CHALLENGE = {
    "completion_probability": _NUMBER,
    "reward_kind": _TEXT,
    "reward_value": _NUMBER,
    "reward_cost": _NUMBER,
    "expected_value": _NUMBER,
    "valid_from": _TEXT,
    "valid_to": _TEXT,
    "progress_done": _COUNT,
    "progress_of": _COUNT,
    "progress_completed_at": _TEXT,
    "progress_reward_id": _TEXT,
    "cold_start": _CLAIM,
}
_SCORE = {
    "churn_probability": _NUMBER,
    "next_purchase_at": _TEXT,
    "lifetime_value_value": _NUMBER,
    "lifetime_value_horizon_days": _COUNT,
    "lifetime_value_currency": _TEXT,
    "customer_score": _NUMBER,
    "segment": _TEXT,
    "engagement_tier": _TEXT,
    "best_channel": _TEXT,
    "best_hour": _COUNT,
    "categories": pa.list_(pa.struct([("category", _TEXT), ("probability", _NUMBER)])),
    "features_at": _TEXT,
    "cold_start": _CLAIM,
}

_VALUE = {
    "relevance": _NUMBER,
    "timeliness": _NUMBER,
    "trust": _NUMBER,
    "privacy_cost": _NUMBER,
    "effort": _NUMBER,
    "customer_value": _NUMBER,
    "incremental_margin": _NUMBER,
    "fatigue_cost": _NUMBER,
    "expected_value": _NUMBER,
}
_OFFER = {
    "offer_id": _TEXT,
    "kind": _TEXT,
    "value": _NUMBER,
    "product_ids": pa.list_(_TEXT),
    "redemption_probability": _NUMBER,
    "anyway_probability": _NUMBER,
    **_VALUE,
    "reward_cost": _NUMBER,
    "valid_to": _TEXT,
    "reason_code": _TEXT,
    "reason_text": _TEXT,
}
_SHOWN = pa.struct([("product_id", _TEXT), ("name", _TEXT), ("price", _NUMBER)])
_ACTION = {
    "trigger": _TEXT,
    "kind": _TEXT,
    "channel": _TEXT,
    "send_at": _TEXT,
    "subject": _TEXT,
    "text": _TEXT,
    "reason_code": _TEXT,
    "reason_text": _TEXT,
    **{f"offer_{name}": kind for name, kind in _OFFER.items()},
    "items": pa.list_(_SHOWN),
    **{f"worth_{name}": kind for name, kind in _VALUE.items()},
    "reward_id": _TEXT,
}

_COLUMNS = {
    "challenge": {"customer_id": _TEXT, **_ITEM, **_CHALLENGE_ITEM, **_CHALLENGE, **_SHORTFALL, **_NOTES, **_DECISION},
    "recommendations": {
        "customer_id": _TEXT,
        **_ITEM,
        "probability": _NUMBER,
        "cold_start": _CLAIM,
        **_SHORTFALL,
        **_NOTES,
        **_DECISION,
    },
    "also-bought": {
        "query_id": _TEXT,
        **_ITEM,
        "score": _NUMBER,
        "lift": _NUMBER,
        "support": _COUNT,
        "ignored": pa.list_(_TEXT),
        **_SHORTFALL,
        **_NOTES,
        **_DECISION,
    },
    "scores": {"customer_id": _TEXT, **_SCORE, **_NOTES, **_DECISION},
    "offers": {
        "customer_id": _TEXT,
        "channel": _TEXT,
        "rank": _COUNT,
        **_OFFER,
        **_SHORTFALL,
        **_NOTES,
        **_DECISION,
    },
    "actions": {"customer_id": _TEXT, **_ACTION, **_NOTES, **_DECISION},
}
KINDS = tuple(_COLUMNS)
LISTS = ("offers", "actions")
"""The kinds that are made for all customers at once (serving/batch_lists.py): they share budgets."""


def schema_of(kind: str) -> pa.Schema:
    """Return the columns of a kind of batch: text for ids and times (ISO 8601, UTC), `rank` from 1."""
    return pa.schema(list(_COLUMNS[kind].items()))


def rows_of(key: str, asked: str, answer: Mapping[str, Any]) -> list[Row]:
    """Return an answer's rows, one an item, or one a score; an answer without items has none.

    `key` is the column of who or what was asked about, `asked` its value. Nested fields are joined by ``_``, and the
    answer's own fields stand on each of its rows.
    """
    parts = "items" if "items" in answer else "scores"
    shared = flat({name: value for name, value in answer.items() if name != parts}) | {key: asked}
    rows = []
    for rank, part in enumerate(answer[parts], start=1):
        row = flat(part) | shared
        if parts == "items":
            row["rank"] = rank
        rows.append(row)
    return rows


def flat(fields: Mapping[str, Any]) -> Row:
    """Return the fields with those of nested ones in their place, joined by ``_``; lists stay as they are.

    Examples
    --------
    >>> flat({"reward": {"kind": "points", "value": 2.0}, "done": False})
    {'reward_kind': 'points', 'reward_value': 2.0, 'done': False}
    """
    row: Row = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            row |= {f"{name}_{inner}": each for inner, each in flat(value).items()}
        else:
            row[name] = value
    return row


def table_of(rows: list[Row], schema: pa.Schema) -> pa.Table:
    """Return the rows as a table; a field that a row lacks is null."""
    return pa.table({name: [row.get(name) for row in rows] for name in schema.names}, schema=schema)
