"""Engines of the tiny shop whose merchants have rules of their own."""

from __future__ import annotations

from serving.bundle import Bundle, obeying
from serving.decisioning.policy import default_policy_text, parse_policy, with_values
from serving.engine import Engine


def engine_with(bundle: Bundle, rules: str, **values: str | float | bool) -> Engine:
    """Return an engine that goes by the default policy with these tables of rules, and other values."""
    text = with_values(default_policy_text(), {"shop.time_zone": "America/New_York", **values})
    return Engine(obeying(bundle, parse_policy(text + rules)))
