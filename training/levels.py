"""The levels at which habits are learned: product types (the default) and single products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from features import columns as c

LevelName = Literal["product", "type", "category"]


@dataclass(frozen=True)
class Level:
    """A level's item column, and the feature groups at it."""

    name: LevelName
    item: str
    customer_group: str
    item_group: str


PRODUCT = Level("product", c.PRODUCT_ROW, "customer_products", "products")
TYPE = Level("type", c.TYPE_ROW, "customer_types", "types")
CATEGORY = Level("category", c.CATEGORY_ROW, "customer_categories", "categories")

_LEVELS = {level.name: level for level in (PRODUCT, TYPE, CATEGORY)}


def level_named(name: LevelName) -> Level:
    """Return the level of that name.

    Examples
    --------
    >>> level_named("type").item
    'type_row'
    """
    return _LEVELS[name]
