"""What a source's tables and columns switch off when they are not there, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from features import columns as c
from features import contracts
from features.conform_build import BuiltFacts

# (table, column): what is off without it. A table that is missing as a whole says it once, under its own name.
_WITHOUT_COLUMN: Mapping[tuple[str, str], str] = {
    (contracts.TRANSACTIONS, c.DISCOUNT): "discount shares and leaning to coupons",
    (contracts.TRANSACTIONS, c.STORE_ID): "usual stores, what is popular in a store, or days by a store's time zone",
    (contracts.TRANSACTIONS, c.CHANNEL): "channel mix",
    (contracts.PRODUCTS, c.NAME): "names (a product is called by its id)",
    (contracts.PRODUCTS, c.BRAND): "brands",
    (contracts.PRODUCTS, c.COST): "margins (prices stand in for them)",
    (contracts.CUSTOMERS, c.CONSENT): "consent on record (the policy says what is assumed)",
}
_WITHOUT_TABLE: Mapping[str, str] = {
    contracts.PRODUCTS: "names, brands, types, categories, prices or costs",
    contracts.CUSTOMERS: "consent on record (the policy says what is assumed)",
    contracts.IDENTITIES: "finding one customer behind several identities",
    contracts.OFFERS: "offers",
    contracts.EVENTS: "engagement with messages or the response to coupons",
    contracts.STOCK: "stock (everything counts as available)",
    contracts.STORES: "where stores are, when they open, or their own time zones",
}


def switched_off(present: Mapping[str, Iterable[str]], facts: BuiltFacts) -> tuple[str, ...]:
    """Return a readable line for each part that is off; `present` maps each table of the source to its columns."""
    off = [f"no table {table}, and so without {what}" for table, what in _WITHOUT_TABLE.items() if table not in present]
    off += [
        f"{table} has no column {column}, and so no {what}"
        for (table, column), what in _WITHOUT_COLUMN.items()
        if table in present and column not in present[table]
    ]
    return tuple(off + _off_by_content(facts))


def _off_by_content(facts: BuiltFacts) -> list[str]:
    """Return what is off because no row says it, whether or not the column is there."""
    claims = {
        "no line has a time of day: no hours, best hour or when in the day they shop": facts.n_hours == 0,
        "no line has an amount: no spend, price levels or lifetime value in money": facts.n_amounts == 0,
        "no product has a product_type: each product is its own type": facts.n_types == 0,
        "no product has a category: each product is its own category, and 'new to the customer' means a new product": (
            facts.n_categories == 0
        ),
        "no product has a price: prices are learned from what was paid": facts.n_prices == 0 and facts.n_amounts > 0,
        "no product has a price and no line an amount: no prices, rewards by margin or max_price": (
            facts.n_prices == 0 and facts.n_amounts == 0
        ),
    }
    return [line for line, is_off in claims.items() if is_off]
