"""What options of the command may be, by name."""

from __future__ import annotations

from enum import StrEnum


class EngineName(StrEnum):
    """What runs the feature groups."""

    DUCKDB = "duckdb"
    SPARK = "spark"


class BatchKind(StrEnum):
    """What the engine is asked for many."""

    CHALLENGE = "challenge"
    RECOMMENDATIONS = "recommendations"
    SCORES = "scores"
    ALSO_BOUGHT = "also-bought"
    OFFERS = "offers"
    ACTIONS = "actions"


class IntentName(StrEnum):
    """Which recommendations."""

    BUY_AGAIN = "buy_again"
    DISCOVER = "discover"
    MIXED = "mixed"


class LevelName(StrEnum):
    """What is ranked."""

    PRODUCT = "product"
    PRODUCT_TYPE = "product_type"
    CATEGORY = "category"


class ChannelName(StrEnum):
    """Where offers are seen."""

    STORE = "store"
    WEB = "web"
    APP = "app"
    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
