-- grain:  customer_row, weekday, hour, for every local hour of the week in which the customer shopped
-- inputs: lines (all of them: a trip is a trip); empty when the source has no times
with baskets as (
    select
        order_row,
        min(customer_row) as customer_row,
        min(ordered_day) as ordered_day,
        min(ordered_hour) as hour,
        max(age_days) as age_days
    from lines
    where ordered_hour is not null
    group by order_row
)
select
    customer_row,  -- row: the customer
    cast((ordered_day + 3) % 7 as int) as weekday,  -- number: 0 for Monday to 6 for Sunday
    cast(hour as int) as hour,  -- number: local hour, 0 to 23
    cast(floor(hour / cast(4 as double)) as int) as hour_block,  -- number: 0 to 5, four hours each
    cast(count(*) as int) as n_baskets,  -- count: trips in that hour
    cast(count(*) filter (where age_days <= 84) as int) as n_baskets_12w  -- count: of them in the last 84 days
from baskets
group by customer_row, (ordered_day + 3) % 7, hour
