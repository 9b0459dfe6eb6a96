-- grain:  store_row, product_row, for everything that a store sold
-- inputs: lines (purchases only: merchandise, net of returns)
with bought as (
    select order_row, store_row, product_row, max(age_days) as age_days
    from lines
    where is_purchase and store_row is not null
    group by order_row, store_row, product_row
)
select
    cast(store_row as int) as store_row,  -- row: the store
    product_row,  -- row: the product
    cast(count(*) as int) as n_baskets,  -- count: baskets with it there
    cast(count(*) filter (where age_days <= 28) as int) as n_baskets_4w,  -- count: in the last 28 days
    cast(sum(
        cast(round(power(cast(2 as double), -age_days / cast(28 as double)) * 10000000000) as bigint)
    ) as double) / 10000000000 as n_baskets_h28  -- weight: baskets, each halved for every 28 days of its age
from bought
group by store_row, product_row
