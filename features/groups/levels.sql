-- grain:  {item_row}, for everything that was ever bought
-- inputs: lines (purchases only: merchandise, net of returns; customers are active by any purchase)
-- {item_row} is product_row, type_row or category_row, {item} the same in words.
-- Ages and gaps are in local days. "4w" is the last 28 local days; where the source began later, the days since it did.
with bought as (
    select
        order_row, {item_row},
        min(customer_row) as customer_row,
        max(age_days) as age_days,
        cast(sum(quantity_e4) filter (where amount_e4 is not null) as bigint) as priced_e4,
        cast(sum(amount_e4) as bigint) as amount_e4,
        cast(sum(amount_e4) filter (where cost_e4 is not null) as bigint) as costed_e4,
        cast(sum(cost_e4) filter (where amount_e4 is not null) as bigint) as cost_e4
    from lines
    where is_purchase
    group by order_row, {item_row}
),
baskets as (
    select order_row, min(customer_row) as customer_row, max(age_days) as age_days
    from lines
    where is_purchase
    group by order_row
),
active as (
    select customer_row
    from baskets
    where age_days <= 28
    group by customer_row
),
totals as (
    select
        cast(greatest(max(age_days), 1) as double) as span_days,
        (select count(*) from active) as n_active,
        count(*) filter (where age_days <= 364) as n_baskets_52w,
        count(*) filter (where age_days > 336 and age_days <= 364) as n_baskets_season
    from baskets
),
buyers as (
    select
        customer_row, {item_row},
        count(*) as n_baskets,
        count(*) filter (where age_days <= 28) as n_4w,
        count(*) filter (where age_days <= 84) as n_12w,
        count(*) filter (where age_days <= 364) as n_52w,
        count(*) filter (where age_days > 336 and age_days <= 364) as n_season,
        max(age_days) as first_days,
        min(age_days) as recency_days,
        max(case when age_days <= 7 then 1 else 0 end)
            + max(case when age_days > 7 and age_days <= 14 then 1 else 0 end)
            + max(case when age_days > 14 and age_days <= 21 then 1 else 0 end)
            + max(case when age_days > 21 and age_days <= 28 then 1 else 0 end) as n_weeks,
        sum(priced_e4) as priced_e4,
        sum(amount_e4) as amount_e4,
        sum(priced_e4) filter (where age_days <= 28) as priced_4w_e4,
        sum(amount_e4) filter (where age_days <= 28) as amount_4w_e4,
        sum(costed_e4) as costed_e4,
        sum(cost_e4) as cost_e4
    from bought
    group by customer_row, {item_row}
),
items as (
    select
        b.{item_row},
        count(*) as n_customers,
        sum(b.n_baskets) as n_baskets,
        sum(b.n_4w) as n_4w,
        sum(b.n_12w) as n_12w,
        sum(b.n_52w) as n_52w,
        sum(b.n_season) as n_season,
        count(*) filter (where b.n_4w > 0) as n_customers_4w,
        count(*) filter (where b.n_baskets >= 2) as n_rebuyers,
        count(*) filter (where b.first_days <= 28) as n_adopters,
        count(*) filter (where b.first_days > 28 and a.customer_row is not null) as n_had_it,
        sum(b.n_weeks) as n_weeks,
        cast(sum(b.first_days - b.recency_days) as double) as gap_sum,
        sum(b.n_baskets - 1) as n_gaps,
        max(b.first_days) as first_days,
        min(b.recency_days) as recency_days,
        cast(sum(b.priced_e4) as double) as priced_e4,
        cast(sum(b.amount_e4) as double) as amount_e4,
        cast(sum(b.priced_4w_e4) as double) as priced_4w_e4,
        cast(sum(b.amount_4w_e4) as double) as amount_4w_e4,
        cast(sum(b.costed_e4) as double) as costed_e4,
        cast(sum(b.cost_e4) as double) as cost_e4
    from buyers b
    left join active a on a.customer_row = b.customer_row
    group by b.{item_row}
),
sold_in as (
    select {item_row}, count(distinct store_row) as n_stores
    from lines
    where is_purchase
    group by {item_row}
)
select
    i.{item_row},  -- row: the {item}
    cast(i.n_customers as int) as n_customers,  -- count: customers who ever bought it
    cast(i.n_customers_4w as int) as n_customers_4w,  -- count: customers who bought it in the last 28 days
    cast(i.n_baskets as int) as n_baskets,  -- count: baskets with it
    cast(i.n_4w as int) as n_baskets_4w,  -- count: baskets with it in the last 28 days
    cast(i.n_12w as int) as n_baskets_12w,  -- count: baskets with it in the last 84 days
    cast(i.first_days as int) as first_days,  -- days: since it was first bought
    cast(i.recency_days as int) as recency_days,  -- days: since it was last bought
    i.n_customers_4w / nullif(cast(t.n_active as double), 0)
        as buyer_share_4w,  -- share: its buyers of the last 28 days ÷ customers active in them
    cast(i.n_4w as double) * least(t.span_days, 84) / nullif(i.n_12w * least(t.span_days, 28), 0)
        as trend_4w_12w,  -- ratio: baskets a day in the last 28 days ÷ in the last 84; null without any in 84
    i.amount_e4 / nullif(i.priced_e4, 0) as price_mean,  -- money: amount ÷ quantity of all its purchases
    i.amount_4w_e4 / nullif(i.priced_4w_e4, 0) as price_4w,  -- money: amount ÷ quantity in the last 28 days
    i.n_rebuyers / cast(i.n_customers as double)
        as rebuy_rate,  -- share: of its customers, those who bought it in two baskets or more
    i.gap_sum / nullif(cast(i.n_gaps as double), 0)
        as gap_mean_days,  -- days: mean gap between one customer's baskets with it, over all such gaps
    i.n_adopters / nullif(cast(t.n_active - i.n_had_it as double), 0)
        as adoption_4w,  -- share: first bought it in the last 28 days ÷ active customers who hadn't had it before
    case when t.span_days >= 364 then
        (i.n_season / nullif(cast(t.n_baskets_season as double), 0))
        / nullif(i.n_52w / nullif(cast(t.n_baskets_52w as double), 0), 0)
    end as season_ratio,  -- ratio: its share of baskets in the coming 28 days a year ago ÷ over the year; null before a year
    (i.costed_e4 - i.cost_e4) / nullif(i.costed_e4, 0)
        as margin_rate,  -- rate: (amount − cost) ÷ amount where the cost is known; else null
    cast(s.n_stores as int) as n_stores,  -- count: stores that sold it
    i.n_weeks / (
        least(cast(4 as double), floor((t.span_days + 6) / 7)) * nullif(cast(t.n_active as double), 0)
    ) as weekly_rate  -- share: of active customers, those who buy it in a week: mean of the last 4 weeks
from items i
join sold_in s on s.{item_row} = i.{item_row}
cross join totals t
