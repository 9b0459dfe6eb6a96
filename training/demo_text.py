"""What the demo tells: a challenge as a person would want to read it, and the call that asks for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any  # an answer of the HTTP API, as JSON
from zoneinfo import ZoneInfo

ROLES = {"habit": "buy again", "stretch": "try"}
BAR = "─" * 78


@dataclass(frozen=True)
class Places:
    """Where a reader goes next: the addresses of this run."""

    server: str
    mlflow: str
    home: str
    time_zone: str


def challenge_text(answer: Mapping[str, Any], customer_id: str, time_zone: str) -> str:
    """Return the challenge in words: what, why, how likely, and what for."""
    last_day = _local(answer["valid_to"], time_zone) - timedelta(seconds=1)
    lines = [f"The challenge of customer {customer_id}, until {last_day:%A} {last_day.day} {last_day:%B %Y}", ""]
    for number, item in enumerate(answer["items"], start=1):
        lines += _item_lines(number, item, answer["currency"])
    lines += [_reward_line(answer), *(f"Note: {note['text']}" for note in answer.get("notes", ()))]
    if shortfall := answer.get("shortfall"):
        lines.append(f"Fewer than three: {shortfall['text']}")
    return "\n".join(lines)


def curl_text(server: str, customer_id: str) -> str:
    """Return the call that gives the same answer, to paste into a shell."""
    body = json.dumps({"customer_id": customer_id})
    return f"curl -s {server}/v1/challenge -H 'Content-Type: application/json' -d '{body}'"


def where_text(places: Places, now: datetime) -> str:
    """Return where the server, its pages and the MLflow UI are."""
    local = now.astimezone(ZoneInfo(places.time_zone))
    return "\n".join(
        [
            f"Server     {places.server}  (its clock runs on from {local:%Y-%m-%d %H:%M}, where the data ends)",
            f"API page   {places.server}/  (OpenAPI: {places.server}/docs.json)",
            f"MLflow     `make mlflow` in another shell, then {places.mlflow}",
            f"Files      {places.home}: bundles/, reports/, features/, policy.toml",
        ]
    )


def consent_text(assumed: Sequence[str]) -> str:
    """Return what the policy assumes of consent where none is on record."""
    return (
        f"Consent    none is on record in this data. This home's policy assumes it for {', '.join(assumed)};\n"
        "           tercet's own default assumes it for no message channel."
    )


def _item_lines(number: int, item: Mapping[str, Any], currency: str) -> list[str]:
    """Return an item: its name and price, its chance, and the reason given to the customer."""
    amount = f"{item['target_quantity']} × " if item["target_quantity"] > 1 else ""
    price = "price not known" if item["price"] is None else f"{item['price']:.2f} {currency}"
    what = ROLES.get(item["role"], item["role"])
    return [
        f"  {number}. {what:<9}  {amount}{item['name']}  ({item['category']}, {price})",
        f"     {percent(item['probability']):>9}  {item['reason']['text']}",
        "",
    ]


def _reward_line(answer: Mapping[str, Any]) -> str:
    """Return what all three bring, and how likely that is."""
    chance = percent(answer["completion_probability"])
    reward = answer["reward"]
    if reward is None:
        return f"All three: no reward ({chance} likely)."
    kind = reward["kind"].replace("_", " ")
    return (
        f"All three: {reward['value']:.2f} {answer['currency']} {kind} ({chance} likely; worth "
        f"{answer['expected_value']:.2f} {answer['currency']} to the shop after the reward's expected cost)."
    )


def percent(probability: float) -> str:
    """Return a chance as a person reads it.

    Examples
    --------
    >>> percent(0.618), percent(0.0143), percent(0.0004)
    ('62 %', '1.4 %', '0.04 %')
    """
    shown = 100 * probability
    return f"{shown:.0f} %" if shown >= 10 else f"{shown:.1f} %" if shown >= 0.1 else f"{shown:.2f} %"


def _local(moment: str, time_zone: str) -> datetime:
    """Return a time of an answer in the shop's zone."""
    return datetime.fromisoformat(moment).astimezone(ZoneInfo(time_zone))
