"""The tables that go in: which columns, of which kind, within which bounds; what breaks them goes to quarantine.

The contract is data. `features.conform_checks` turns it into one SQL expression a column, so that a table of any size
is checked in one streaming pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from features import columns as c

# Share of bad rows in one table above which the source as a whole is not to be trusted.
BAD_SHARE_LIMIT = 0.20
# Characters: no call of the API takes a longer one (serving.api.MAX_ID_LENGTH), so nobody could ever ask for it.
MAX_ID_LENGTH = 200

EVENT_TYPES = (
    "view",
    "search",
    "wishlist",
    "cart",
    "uncart",
    "purchase",
    "send",
    "impression",
    "open",
    "click",
    "redeem",
    "dismiss",
    "unsubscribe",
    "notification_block",
    "scan",
    "visit",
)
PURCHASE = "purchase"
OFFER_KINDS = ("discount", "free_shipping", "points", "gift")
CONSENTS = ("personalize", "email", "sms", "push", "location")


class Kind(Enum):
    """What a column's values must be; the value says it to a person."""

    ID = "an id"
    TEXT = "text"
    TIME = "an ISO 8601 time (2017-01-31T18:05:00Z) or date (2017-01-31) from 1970 to 2199"
    NUMBER = "a number"
    FLAG = "true or false"
    AMOUNT_ON_HAND = "true, false or a count of at least 0"
    OBJECT = "a JSON object"
    CONSENT = "a JSON object of true and false"
    STRINGS = "a JSON list of ids or words"
    ZONE = "a time zone such as Europe/Berlin"
    CLOCK = "a time of day such as 08:30"


@dataclass(frozen=True)
class Column:
    """One column of a source's table.

    `low` and `high` bound a number (inclusive); `choices` are the only texts allowed; a date in a column with
    `ends_day` means the end of that local day, elsewhere its start.
    """

    name: str
    kind: Kind
    required: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    ends_day: bool = False


def rough(time_column: str) -> str:
    """Return the name under which a rule finds a time as a TIMESTAMP, in whatever zone a date in it may be."""
    return f"{time_column}_rough"


@dataclass(frozen=True)
class Rule:
    """A claim about several columns; `broken_when` is SQL over the checked columns that is true for a bad row."""

    broken_when: str
    reason: str


@dataclass(frozen=True)
class Contract:
    """One table that may come in; two rows with the same `key` and other values contradict each other."""

    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def required(self) -> tuple[str, ...]:
        """Return the columns without which the table means nothing."""
        return tuple(column.name for column in self.columns if column.required)

    def column(self, name: str) -> Column:
        """Return the column of that name; `KeyError` when there is none."""
        return {column.name: column for column in self.columns}[name]


TRANSACTIONS = "transactions"
PRODUCTS = "products"
CUSTOMERS = "customers"
IDENTITIES = "identities"
OFFERS = "offers"
EVENTS = "events"
STOCK = "stock"
STORES = "stores"

_LINE_COLUMNS = (
    Column(c.QUANTITY, Kind.NUMBER),
    Column(c.AMOUNT, Kind.NUMBER),
    Column(c.DISCOUNT, Kind.NUMBER, low=0.0),
    Column(c.STORE_ID, Kind.ID),
    Column(c.CHANNEL, Kind.TEXT),
)

CONTRACTS: tuple[Contract, ...] = (
    Contract(
        TRANSACTIONS,
        (
            Column(c.CUSTOMER_ID, Kind.ID, required=True),
            Column(c.ORDER_ID, Kind.ID, required=True),
            Column(c.PRODUCT_ID, Kind.ID, required=True),
            Column(c.ORDERED_AT, Kind.TIME, required=True),
            Column(c.LINE_ID, Kind.ID),
            *_LINE_COLUMNS,
        ),
    ),
    Contract(
        PRODUCTS,
        (
            Column(c.PRODUCT_ID, Kind.ID, required=True),
            Column(c.NAME, Kind.TEXT),
            Column(c.PRODUCT_TYPE, Kind.TEXT),
            Column(c.CATEGORY, Kind.TEXT),
            Column(c.DEPARTMENT, Kind.TEXT),
            Column(c.BRAND, Kind.TEXT),
            Column(c.PRICE, Kind.NUMBER, low=0.0),
            Column(c.COST, Kind.NUMBER, low=0.0),
            Column(c.REPLENISHABLE, Kind.FLAG),
            Column(c.LAUNCHED_AT, Kind.TIME),
            Column(c.ATTRIBUTES, Kind.OBJECT),
        ),
        key=(c.PRODUCT_ID,),
    ),
    Contract(
        CUSTOMERS,
        (
            Column(c.CUSTOMER_ID, Kind.ID, required=True),
            Column(c.JOINED_AT, Kind.TIME),
            Column(c.CONSENT, Kind.CONSENT),
            Column(c.ATTRIBUTES, Kind.OBJECT),
        ),
        key=(c.CUSTOMER_ID,),
    ),
    Contract(
        IDENTITIES,
        (
            Column(c.CUSTOMER_ID, Kind.ID, required=True),
            Column(c.KIND, Kind.TEXT, required=True),
            Column(c.VALUE, Kind.TEXT, required=True),
        ),
    ),
    Contract(
        OFFERS,
        (
            Column(c.OFFER_ID, Kind.ID, required=True),
            Column(c.KIND, Kind.TEXT, required=True, choices=OFFER_KINDS),
            Column(c.PRODUCT_IDS, Kind.STRINGS),
            Column(c.CATEGORY, Kind.TEXT),
            Column(c.DEPARTMENT, Kind.TEXT),
            Column(c.VALUE, Kind.NUMBER, low=0.0),
            Column(c.COST, Kind.NUMBER, low=0.0),
            Column(c.STARTS_AT, Kind.TIME),
            Column(c.ENDS_AT, Kind.TIME, ends_day=True),
            Column(c.CHANNELS, Kind.STRINGS),
            Column(c.BUDGET, Kind.NUMBER, low=0.0),
        ),
        key=(c.OFFER_ID,),
        rules=(Rule(f"{rough(c.ENDS_AT)} < {rough(c.STARTS_AT)}", f"{c.ENDS_AT} is before {c.STARTS_AT}"),),
    ),
    Contract(
        EVENTS,
        (
            Column(c.EVENT_ID, Kind.ID, required=True),
            Column(c.CUSTOMER_ID, Kind.ID, required=True),
            Column(c.TYPE, Kind.TEXT, required=True, choices=EVENT_TYPES),
            Column(c.AT, Kind.TIME, required=True),
            Column(c.PRODUCT_ID, Kind.ID),
            Column(c.ORDER_ID, Kind.ID),
            *_LINE_COLUMNS,
            Column(c.OFFER_ID, Kind.ID),
            Column(c.DECISION_ID, Kind.ID),
            Column(c.VALUE, Kind.TEXT),
        ),
        key=(c.EVENT_ID,),
        rules=(
            Rule(f"{c.TYPE} = '{PURCHASE}' and {c.PRODUCT_ID} is null", f"{c.PRODUCT_ID} is empty in a purchase"),
            Rule(f"{c.TYPE} = '{PURCHASE}' and {c.ORDER_ID} is null", f"{c.ORDER_ID} is empty in a purchase"),
        ),
    ),
    Contract(
        STOCK,
        (
            Column(c.PRODUCT_ID, Kind.ID, required=True),
            Column(c.STORE_ID, Kind.ID),
            Column(c.AVAILABLE, Kind.AMOUNT_ON_HAND, required=True),
        ),
        key=(c.PRODUCT_ID, c.STORE_ID),
    ),
    Contract(
        STORES,
        (
            Column(c.STORE_ID, Kind.ID, required=True),
            Column(c.LATITUDE, Kind.NUMBER, low=-90.0, high=90.0),
            Column(c.LONGITUDE, Kind.NUMBER, low=-180.0, high=180.0),
            Column(c.TIME_ZONE, Kind.ZONE),
            Column(c.OPENS, Kind.CLOCK),
            Column(c.CLOSES, Kind.CLOCK),
        ),
        key=(c.STORE_ID,),
    ),
)


def contract_for(table: str) -> Contract:
    """Return the contract of a table; `KeyError` when contracts.md has no such table."""
    return {contract.table: contract for contract in CONTRACTS}[table]
