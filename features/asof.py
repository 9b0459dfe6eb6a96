"""The only comparison with time: moments, and the views of the tables as they were known at one.

A feature as of a moment sees rows that lie strictly before it. `known_at` gives the views in which later rows do not
exist, so that the SQL of the feature groups never compares with the moment itself: it has `age_days`, the number of
local days between a row and the moment (1 for yesterday when the moment is a midnight). The views are portable SQL,
the same on DuckDB and on Spark.

Sums of doubles depend on the order of rows, and so on threads and partitions. The views therefore carry money and
quantities as whole ten-thousandths as well (`*_e4`, BIGINT): what is summed from them is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

SOURCE_PREFIX = "source_"  # the engines register the conformed table `lines` as `source_lines`, and so on
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, order=True)
class Moment:
    """An instant, and the local day in which it lies."""

    us: int
    day: int

    def plus_days(self, n: int, time_zone: str) -> Moment:
        """Return the moment `n` local calendar days later (earlier when negative), at the same local clock time.

        A local midnight stays one across clock changes.

        >>> local_midnight(date(2017, 3, 12), "America/New_York").plus_days(1, "America/New_York").us
        1489377600000000
        """
        midnight = local_midnight(self.day, time_zone)
        if self.us == midnight.us:
            return local_midnight(self.day + n, time_zone)
        local = at_utc(self.us).astimezone(ZoneInfo(time_zone)) + timedelta(days=n)
        return moment_at(local, time_zone)


def local_midnight(day: date | int, time_zone: str) -> Moment:
    """Return the first instant of a local day, given as a date or as days since 1970-01-01.

    >>> local_midnight(date(2018, 1, 1), "America/New_York")
    Moment(us=1514782800000000, day=17532)
    """
    number = day if isinstance(day, int) else day.toordinal() - _EPOCH_ORDINAL
    start = datetime.combine(date.fromordinal(number + _EPOCH_ORDINAL), time(), tzinfo=ZoneInfo(time_zone))
    return Moment(us=(start - _EPOCH) // _MICROSECOND, day=number)


def moment_at(at: datetime, time_zone: str) -> Moment:
    """Return the moment of an aware datetime, with the day that it is in `time_zone`.

    Raises
    ------
    ValueError
        When `at` carries no zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"the moment {at.isoformat()} has no time zone: give one, such as +00:00")
    local = at.astimezone(ZoneInfo(time_zone))
    return Moment(us=(at - _EPOCH) // _MICROSECOND, day=local.toordinal() - _EPOCH_ORDINAL)


def at_utc(us: int) -> datetime:
    """Return the aware UTC datetime of epoch microseconds."""
    return _EPOCH + us * _MICROSECOND


_SOLD = """
select
    l.line_key, l.customer_row, l.order_row, l.product_row, p.type_row, p.category_row, l.store_row, l.channel,
    l.ordered_us, l.ordered_day, l.ordered_hour,
    cast(round(l.quantity * 10000) as bigint) as sold_e4,
    cast(round(l.amount * 10000) as bigint) as amount_e4,
    cast(round(l.discount * 10000) as bigint) as discount_e4,
    p.cost, p.is_merchandise
from source_lines l
join source_products p on p.product_row = l.product_row
"""

_LINES = """
with known_returns as (
    select
        line_key,
        cast(sum(cast(round(quantity * 10000) as bigint)) as bigint) as quantity_e4,
        cast(sum(cast(round(amount * 10000) as bigint)) as bigint) as amount_e4
    from source_returns
    where returned_us < {as_of_us} and line_key is not null
    group by line_key
),
net as (
    select
        s.line_key, s.customer_row, s.order_row, s.product_row, s.type_row, s.category_row, s.store_row, s.channel,
        s.ordered_us, s.ordered_day, s.ordered_hour,
        greatest(s.sold_e4 - coalesce(r.quantity_e4, 0), 0) as quantity_e4,
        case
            when r.line_key is null then s.amount_e4
            else greatest(s.amount_e4 - coalesce(r.amount_e4, 0), 0)
        end as amount_e4,
        case
            when r.line_key is null or s.sold_e4 = 0 then s.discount_e4
            else cast(round(
                s.discount_e4 * (greatest(s.sold_e4 - r.quantity_e4, 0) / cast(s.sold_e4 as double))
            ) as bigint)
        end as discount_e4,
        s.cost, s.is_merchandise
    from sold s
    left join known_returns r on r.line_key = s.line_key
    where s.ordered_us < {as_of_us}
)
select
    line_key, customer_row, order_row, product_row, type_row, category_row, store_row, channel,
    ordered_us, ordered_day, ordered_hour,
    {as_of_day} - ordered_day as age_days,
    quantity_e4 / cast(10000 as double) as quantity,
    amount_e4 / cast(10000 as double) as amount,
    discount_e4 / cast(10000 as double) as discount,
    quantity_e4, amount_e4, discount_e4,
    cast(round(cost * quantity_e4) as bigint) as cost_e4,
    is_merchandise,
    is_merchandise and quantity_e4 > 0 as is_purchase
from net
"""

_PRODUCTS = """
select
    product_row, product_id, type_row, category_row, name, brand, department, price, cost, replenishable,
    attributes, is_merchandise, is_private_label
from source_products
where launched_us is null or launched_us < {as_of_us}
"""

_VIEWS: Mapping[str, str] = {
    "moment": "select cast({as_of_us} as bigint) as as_of_us, cast({as_of_day} as int) as as_of_day",
    "lines": _LINES,
    "returns": """
select return_key, customer_row, product_row, line_key, returned_us, returned_day,
    {as_of_day} - returned_day as age_days, quantity, amount,
    cast(round(quantity * 10000) as bigint) as quantity_e4
from source_returns
where returned_us < {as_of_us}
""",
    "events": """
select event_key, event_id, customer_row, type, at_us, at_day, {as_of_day} - at_day as age_days, product_row,
    order_id, offer_id, quantity, amount, discount, channel, store_row, value
from source_events
where at_us < {as_of_us}
""",
    "offers": """
select offer_row, offer_id, kind, value, cost, starts_us, ends_us, channels, budget, category, department
from source_offers
where starts_us is null or starts_us < {as_of_us}
""",
    "offer_products": """
select op.offer_row, op.product_row
from source_offer_products op
join source_offers o on o.offer_row = op.offer_row
where o.starts_us is null or o.starts_us < {as_of_us}
""",
    "products": _PRODUCTS,
    "types": "select type_row, product_type, category_row, is_own from source_types",
    "categories": "select category_row, category, department, is_own from source_categories",
    "customers": """
select customer_row, customer_id, joined_us, consent, attributes
from source_customers
where joined_us is null or joined_us < {as_of_us}
""",
    "stores": "select store_row, store_id, latitude, longitude, time_zone, opens, closes from source_stores",
}


@dataclass(frozen=True)
class SteadyView:
    """A view that no moment changes, and the order of its rows in which an engine that keeps them does best."""

    select: str
    order: tuple[str, ...]


STEADY: Mapping[str, SteadyView] = MappingProxyType(
    {"sold": SteadyView(_SOLD, ("customer_row", "ordered_us", "order_row", "line_key"))}
)
"""What the views of every moment read: the lines with what is known of their products. Kept with a customer's lines
together, since most groups are by customer: their rows are met one after the other."""

_WINDOW = """
select line_key, customer_row, order_row, product_row, type_row, category_row, ordered_us, ordered_day,
    ordered_day - {from_day} as day_offset, quantity, amount, discount, is_merchandise, is_purchase
from lines
where ordered_us >= {from_us}
"""


def known_at(moment: Moment) -> dict[str, str]:
    """Return the views that feature SQL reads, by name in the order to make them: only rows strictly before `moment`.

    `lines` are net of the returns known by then; a line that was taken back whole stays (the trip took place) and is
    no purchase. Offers are known from their start. A product before its launch is not in `products`; what carries no
    time (types, categories, stores, prices) is as it is today.
    """
    return {name: sql.format(as_of_us=moment.us, as_of_day=moment.day) for name, sql in _VIEWS.items()}


def known_between(start: Moment, end: Moment) -> dict[str, str]:
    """Return the views as of `end`, and `window_lines`: the lines of [`start`, `end`), days counted from `start`."""
    return {**known_at(end), "window_lines": _WINDOW.format(from_us=start.us, from_day=start.day)}


def views_text() -> str:
    """Return the text of all the views before a moment is filled in, to tell whether built features are still valid."""
    steady = (f"{name}: {view.select}" for name, view in STEADY.items())
    return "\n".join([*steady, *(f"{name}: {sql}" for name, sql in _VIEWS.items()), _WINDOW])
