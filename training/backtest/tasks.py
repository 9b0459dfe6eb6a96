"""Every task of the backtest, in the order of the report."""

from __future__ import annotations

from training.backtest.basket_task import BASKETS
from training.backtest.category_task import CATEGORIES
from training.backtest.challenge_task import CHALLENGE
from training.backtest.coupon_task import OFFERS
from training.backtest.discover_task import DISCOVER
from training.backtest.hours_task import HOURS
from training.backtest.repeat_task import REPEAT_PRODUCTS, REPEAT_TYPES
from training.backtest.score_tasks import CHURN, LONG_CHURN, TRIP, VALUE
from training.backtest.stretch_task import STRETCH
from training.backtest.substitutes_task import SUBSTITUTES
from training.backtest.task import Task

TASKS: tuple[Task, ...] = (
    REPEAT_TYPES,
    REPEAT_PRODUCTS,
    STRETCH,
    DISCOVER,
    BASKETS,
    SUBSTITUTES,
    CHURN,
    LONG_CHURN,
    TRIP,
    CATEGORIES,
    VALUE,
    OFFERS,
    HOURS,
    CHALLENGE,
)
"""Each task's module adds its own here."""
