"""What the synthetic shop sells: departments, categories, kinds of product, brands and their price level.

A small made-up range, so that answers and tests read like a shop's. The words carry no data of anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# department -> category -> (mean price in euros, kinds of product)
RANGE: dict[str, dict[str, tuple[float, tuple[str, ...]]]] = {
    "dairy": {
        "milk": (1.3, ("whole milk", "skimmed milk", "buttermilk")),
        "cheese": (3.4, ("cheddar", "gouda", "mozzarella")),
        "yoghurt": (1.9, ("plain yoghurt", "fruit yoghurt", "kefir")),
        "eggs": (2.8, ("free-range eggs", "organic eggs", "quail eggs")),
    },
    "bakery": {
        "bread": (2.6, ("rye bread", "white bread", "baguette")),
        "pastry": (2.1, ("croissant", "muffin", "cinnamon roll")),
        "breakfast cereal": (3.9, ("muesli", "porridge oats", "corn flakes")),
        "biscuits": (2.4, ("butter biscuits", "crackers", "wafers")),
    },
    "produce": {
        "fruit": (2.9, ("apples", "bananas", "berries")),
        "vegetables": (2.2, ("carrots", "tomatoes", "courgettes")),
        "salad": (2.0, ("lettuce", "rocket", "cucumber")),
        "fresh herbs": (1.6, ("basil", "parsley", "chives")),
    },
    "pantry": {
        "pasta": (1.8, ("spaghetti", "penne", "lasagne sheets")),
        "sauces": (3.1, ("tomato sauce", "pesto", "mustard")),
        "rice": (2.7, ("basmati rice", "risotto rice", "brown rice")),
        "spreads": (4.2, ("honey", "jam", "peanut butter")),
        "plant drinks": (2.9, ("oat drink", "soy drink", "almond drink")),
    },
    "drinks": {
        "coffee": (7.9, ("ground coffee", "coffee beans", "espresso pods")),
        "tea": (3.8, ("black tea", "green tea", "herbal tea")),
        "juice": (2.5, ("orange juice", "apple juice", "smoothie")),
        "water": (0.9, ("sparkling water", "still water", "tonic water")),
        "wine": (9.5, ("red wine", "white wine", "rosé wine")),
    },
    "household": {
        "cleaning": (3.6, ("dish soap", "laundry powder", "surface cleaner")),
        "paper goods": (4.1, ("kitchen roll", "napkins", "baking paper")),
        "pet food": (6.8, ("cat food", "dog food", "bird seed")),
        "pain relief": (4.9, ("ibuprofen", "paracetamol", "cooling gel")),
    },
}

BRANDS = ("Northfield", "Albion Mill", "Sunbank", "Hearth")
PRIVATE_LABEL = "Hearth"
BRAND_LEVEL = (1.15, 1.05, 1.0, 0.8)  # price of each brand's product relative to its kind's mean
BRAND_SHARE = (0.45, 0.28, 0.17, 0.10)  # of a kind's buyers, from its favourite brand down

HEALTHY = frozenset(
    {"skimmed milk", "plain yoghurt", "kefir", "rye bread", "muesli", "porridge oats", "brown rice", "green tea"}
    | set(RANGE["produce"]["fruit"][1] + RANGE["produce"]["vegetables"][1] + RANGE["produce"]["salad"][1])
)

# Categories that the shop sells now and then but in which nothing is planted: a policy may restrict them.
NEVER_HABITS = frozenset({"wine", "pain relief"})

# Who buys the first regularly often comes to buy the second: breakfast leads to lunch.
STRETCH_LINKS = (("breakfast cereal", "plant drinks"), ("pasta", "fresh herbs"), ("coffee", "spreads"))

# Kinds whose regular buyers change between two products from one time to the next, and rarely take both.
SUBSTITUTE_KINDS = ("black tea", "apples", "dish soap", "gouda")

# The favourite product of the first pulls the favourite product of the second into the same basket.
PAIRED_KINDS = (
    ("spaghetti", "tomato sauce"),
    ("croissant", "orange juice"),
    ("cheddar", "crackers"),
    ("ground coffee", "whole milk"),
    ("cat food", "kitchen roll"),
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Goods:
    """The range as arrays. Products are numbered kind by kind, each brand one: ``n_products = n_kinds * n_brands``.

    ``category`` is each kind's, shape ``(n_kinds,)``; ``favourites`` its brands, most bought first, shape
    ``(n_kinds, n_brands)``; ``extra_share`` the chance that an unplanned product is of that kind; ``price`` and
    ``cost`` are euros, shape ``(n_products,)``.
    """

    kinds: tuple[str, ...]
    categories: tuple[str, ...]
    departments: tuple[str, ...]
    category: Ints
    favourites: Ints
    has_substitutes: npt.NDArray[np.bool_]
    extra_share: Floats
    brand_share: Floats
    price: Floats
    cost: Floats
    ids: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    substitutes: tuple[tuple[int, int], ...]
    stretch_links: tuple[tuple[str, str], ...] = STRETCH_LINKS

    @property
    def n_brands(self) -> int:
        """Return how many brands there are, and so how many products a kind has."""
        return len(self.brand_share)

    def product_of(self, kind: Ints, brand: Ints) -> Ints:
        """Return the product numbers of kinds and brands."""
        return kind * self.n_brands + brand

    def category_of(self, kind: int) -> str:
        """Return the name of a kind's category."""
        return self.categories[int(self.category[kind])]


def make_goods(rng: np.random.Generator) -> Goods:
    """Return the range with prices, favourites and planted pairs drawn from `rng`."""
    rows = [(d, c, mean, kind) for d, cs in RANGE.items() for c, (mean, kinds) in cs.items() for kind in kinds]
    kinds = tuple(row[3] for row in rows)
    categories = tuple(dict.fromkeys(row[1] for row in rows))
    n_kinds, n_brands = len(kinds), len(BRANDS)
    favourites = rng.permuted(np.tile(np.arange(n_brands), (n_kinds, 1)), axis=1)
    level = np.array([row[2] for row in rows])[:, None] * rng.uniform(0.8, 1.25, (n_kinds, 1)) * np.array(BRAND_LEVEL)
    price = np.round(level.ravel(), 2)
    favourite = {kind: i * n_brands + int(favourites[i, 0]) for i, kind in enumerate(kinds)}
    second = {kind: i * n_brands + int(favourites[i, 1]) for i, kind in enumerate(kinds)}
    seldom = {target for _, target in STRETCH_LINKS} | NEVER_HABITS
    weight = rng.pareto(1.5, n_kinds) + 0.5
    weight = np.minimum(weight, 5.0) * np.array([0.15 if row[1] in seldom else 1.0 for row in rows])
    return Goods(
        kinds=kinds,
        categories=categories,
        departments=tuple(next(row[0] for row in rows if row[1] == name) for name in categories),
        category=np.array([categories.index(row[1]) for row in rows]),
        favourites=favourites,
        has_substitutes=np.array([kind in SUBSTITUTE_KINDS for kind in kinds]),
        extra_share=weight / weight.sum(),
        brand_share=np.array(BRAND_SHARE),
        price=price,
        cost=np.round(price * rng.uniform(0.55, 0.8, len(price)), 2),
        ids=tuple(f"p{i:04d}" for i in range(n_kinds * n_brands)),
        pairs=tuple((favourite[one], favourite[other]) for one, other in PAIRED_KINDS),
        substitutes=tuple((favourite[kind], second[kind]) for kind in SUBSTITUTE_KINDS),
    )
