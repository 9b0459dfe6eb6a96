-- grain:  customer_row, {item_row}, for everything the customer ever bought
-- inputs: lines (purchases only: merchandise, net of returns)
-- {item_row} is product_row, type_row or category_row, {item} the same in words.
-- A basket here is an order with at least one purchase. Ages and gaps are in local days: two baskets on one day are 0
-- days apart. "4w" is the last 28 local days.
with orders as (
    select
        order_row,
        min(customer_row) as customer_row,
        min(ordered_us) as ordered_us,
        min(ordered_day) as ordered_day,
        max(age_days) as age_days
    from lines
    where is_purchase
    group by order_row
),
baskets as (
    select
        order_row, customer_row, ordered_day, age_days,
        row_number() over (partition by customer_row order by ordered_us desc, order_row desc) as back,
        cast(round(power(cast(2 as double), -age_days / cast(14 as double)) * 10000000000) as bigint) as h14_e10,
        cast(round(power(cast(2 as double), -age_days / cast(56 as double)) * 10000000000) as bigint) as h56_e10,
        cast(round(power(cast(2 as double), -age_days / cast(112 as double)) * 10000000000) as bigint) as h112_e10
    from orders
),
bought as (
    select
        order_row, {item_row},
        cast(sum(quantity_e4) as bigint) as quantity_e4,
        cast(sum(quantity_e4) filter (where amount_e4 is not null) as bigint) as priced_e4,
        cast(sum(amount_e4) as bigint) as amount_e4,
        cast(sum(discount_e4) as bigint) as discount_e4
    from lines
    where is_purchase
    group by order_row, {item_row}
),
placed as (
    select
        k.customer_row, b.{item_row}, k.ordered_day, k.age_days, k.back, k.h14_e10, k.h56_e10, k.h112_e10,
        b.quantity_e4, b.priced_e4, b.amount_e4, b.discount_e4,
        lead(k.age_days) over (partition by k.customer_row, b.{item_row} order by k.back) - k.age_days as gap_days,
        row_number() over (partition by k.customer_row, b.{item_row} order by k.back) as place
    from bought b
    join baskets k on k.order_row = b.order_row
),
habits as (
    select
        customer_row, {item_row},
        count(*) as n,
        cast(sum(h14_e10) as double) / 10000000000 as h14,
        cast(sum(h56_e10) as double) / 10000000000 as h56,
        cast(sum(h112_e10) as double) / 10000000000 as h112,
        min(ordered_day) as first_day,
        max(ordered_day) as last_day,
        min(age_days) as recency_days,
        max(age_days) as first_days,
        min(back) as last_back,
        max(back) as first_back,
        cast(sum(gap_days) as double) as gap_sum,
        cast(sum(cast(gap_days as bigint) * gap_days) as double) as gap_squares,
        max(gap_days) filter (where place = 1) as gap_last,
        count(*) filter (where age_days <= 28) as n_4w,
        count(*) filter (where age_days <= 84) as n_12w,
        count(*) filter (where age_days <= 182) as n_26w,
        count(*) filter (where back <= 1) as in_last_1,
        count(*) filter (where back <= 3) as in_last_3,
        count(*) filter (where back <= 5) as in_last_5,
        cast(sum(quantity_e4) as double) / 10000 as quantity,
        count(*) filter (where quantity_e4 < 15000) as n_of_1,
        count(*) filter (where quantity_e4 < 25000) as n_to_2,
        count(*) filter (where quantity_e4 < 35000) as n_to_3,
        count(*) filter (where quantity_e4 < 45000) as n_to_4,
        count(*) filter (where quantity_e4 < 55000) as n_to_5,
        count(*) filter (where quantity_e4 < 65000) as n_to_6,
        cast(sum(priced_e4) as double) as priced_e4,
        cast(sum(amount_e4) as double) as amount_e4,
        cast(sum(discount_e4) as double) as discount_e4,
        cast(max(priced_e4) filter (where place = 1) as double) as last_priced_e4,
        cast(max(amount_e4) filter (where place = 1) as double) as last_amount_e4
    from placed
    group by customer_row, {item_row}
),
prices as (
    select {item_row}, cast(sum(amount_e4) as double) / nullif(cast(sum(priced_e4) as double), 0) as price_mean
    from bought
    group by {item_row}
)
select
    h.customer_row,  -- row: the customer
    h.{item_row},  -- row: the {item}
    cast(h.n as int) as n_baskets,  -- count: baskets with it
    cast(h.n_4w as int) as n_baskets_4w,  -- count: baskets with it in the last 28 days
    cast(h.n_12w as int) as n_baskets_12w,  -- count: baskets with it in the last 84 days
    cast(h.n_26w as int) as n_baskets_26w,  -- count: baskets with it in the last 182 days
    h.h14 as n_baskets_h14,  -- weight: baskets with it, each halved for every 14 days of its age
    h.h56 as n_baskets_h56,  -- weight: baskets with it, each halved for every 56 days of its age
    h.h112 as n_baskets_h112,  -- weight: baskets with it, each halved for every 112 days of its age
    cast(h.first_day as int) as first_day,  -- day: local day number of the first basket with it
    cast(h.last_day as int) as last_day,  -- day: local day number of the last basket with it
    cast(h.recency_days as int) as recency_days,  -- days: since the last basket with it
    cast(h.first_days as int) as first_days,  -- days: since the first basket with it
    h.gap_sum / nullif(h.n - 1, 0) as gap_mean_days,  -- days: mean gap between baskets with it; null with one
    sqrt(
        greatest((h.n - 1) * h.gap_squares - h.gap_sum * h.gap_sum, 0)
        / nullif(cast(h.n - 1 as double) * (h.n - 2), 0)
    ) as gap_std_days,  -- days: standard deviation of these gaps; null with fewer than three baskets
    cast(h.gap_last as int) as gap_last_days,  -- days: the last gap; null with one basket
    h.recency_days * (h.n - 1) / nullif(h.gap_sum, 0) as due_ratio,  -- ratio: days since the last ÷ mean gap
    h.n / cast(h.first_back as double)
        as basket_share,  -- share: of the customer's baskets from their first one with it on, those with it
    cast(h.in_last_1 as int) as in_last_1,  -- count: 1 when it is in the customer's last basket
    cast(h.in_last_3 as int) as in_last_3,  -- count: baskets with it among the customer's last 3
    cast(h.in_last_5 as int) as in_last_5,  -- count: baskets with it among the customer's last 5
    cast(h.last_back - 1 as int) as baskets_since,  -- count: the customer's baskets after the last one with it
    h.quantity / h.n as quantity_mean,  -- quantity: bought in a basket with it, mean
    cast(case
        when 2 * h.n_of_1 >= h.n then 1
        when 2 * h.n_to_2 >= h.n then 2
        when 2 * h.n_to_3 >= h.n then 3
        when 2 * h.n_to_4 >= h.n then 4
        when 2 * h.n_to_5 >= h.n then 5
        when 2 * h.n_to_6 >= h.n then 6
        else floor(h.quantity / h.n + cast(0.5 as double))
    end as int) as quantity_usual,  -- quantity: the (lower) median of a basket, whole, at least 1; above 6 the mean
    h.amount_e4 / 10000 as spend,  -- money: paid for it, net of returns; null when the source has no amounts
    h.amount_e4 / nullif(h.priced_e4, 0) as unit_price_mean,  -- money: paid for one, mean
    h.amount_e4 / nullif(h.priced_e4, 0) / nullif(p.price_mean, 0)
        as price_ratio,  -- ratio: what they pay for one ÷ what everyone pays for one
    (h.last_amount_e4 / nullif(h.last_priced_e4, 0)) / nullif(h.amount_e4 / nullif(h.priced_e4, 0), 0)
        as price_last_ratio,  -- ratio: what they paid for one the last time ÷ what they usually pay
    h.discount_e4 / nullif(h.amount_e4 + h.discount_e4, 0)
        as discount_share  -- share: discount ÷ (amount + discount) of their purchases of it
from habits h
join prices p on p.{item_row} = h.{item_row}
