-- grain:  customer_row, for every customer with a line before the moment
-- inputs: lines, products, returns, events
-- Trips and spend count all lines; everything about items counts purchases only (merchandise, net of returns).
-- Ages and gaps are in local days: two baskets on one day are 0 days apart. "4w" is the last 28 local days.
-- A rate over a window that began before the customer did is taken over the days since their first basket.
with baskets as (
    select
        order_row,
        min(customer_row) as customer_row,
        min(ordered_us) as ordered_us,
        min(ordered_day) as ordered_day,
        max(age_days) as age_days,
        min(ordered_hour) as ordered_hour,
        min(store_row) as store_row,
        min(channel) as channel,
        count(*) as n_lines,
        sum(amount_e4) as amount_e4
    from lines
    group by order_row
),
ordered as (
    select
        customer_row, ordered_day, age_days, ordered_hour, store_row, channel, n_lines, amount_e4,
        (ordered_day + 3) % 7 as weekday,
        lead(age_days) over (partition by customer_row order by ordered_us desc, order_row desc) - age_days
            as gap_days,
        row_number() over (partition by customer_row order by ordered_us desc, order_row desc) as back,
        cast(round(power(cast(2 as double), -age_days / cast(14 as double)) * 10000000000) as bigint) as h14_e10,
        cast(round(power(cast(2 as double), -age_days / cast(56 as double)) * 10000000000) as bigint) as h56_e10,
        cast(round(power(cast(2 as double), -age_days / cast(112 as double)) * 10000000000) as bigint) as h112_e10
    from baskets
),
trips as (
    select
        customer_row,
        count(*) as n_baskets,
        count(*) filter (where age_days <= 28) as n_4w,
        count(*) filter (where age_days <= 84) as n_12w,
        count(*) filter (where age_days <= 182) as n_26w,
        cast(sum(h14_e10) as double) / 10000000000 as h14,
        cast(sum(h56_e10) as double) / 10000000000 as h56,
        cast(sum(h112_e10) as double) / 10000000000 as h112,
        min(ordered_day) as first_day,
        max(ordered_day) as last_day,
        min(age_days) as recency_days,
        max(age_days) as tenure_days,
        count(distinct ordered_day) as n_days,
        count(gap_days) as n_gaps,
        cast(sum(gap_days) as double) as gap_sum,
        cast(sum(cast(gap_days as bigint) * gap_days) as double) as gap_squares,
        max(gap_days) filter (where back = 1) as gap_last,
        sum(n_lines) as n_lines,
        count(amount_e4) as n_amounts,
        cast(sum(amount_e4) as double) / 10000 as spend,
        cast(coalesce(sum(amount_e4) filter (where age_days <= 28), 0) as double) / 10000 as spend_4w,
        cast(coalesce(sum(amount_e4) filter (where age_days <= 84), 0) as double) / 10000 as spend_12w,
        cast(coalesce(sum(amount_e4) filter (where age_days <= 182), 0) as double) / 10000 as spend_26w,
        count(channel) as n_channels,
        count(*) filter (where channel = 'web') as n_web,
        count(*) filter (where channel = 'app') as n_app,
        count(*) filter (where weekday >= 5) as n_weekend,
        count(ordered_hour) as n_hours,
        count(*) filter (where ordered_hour < 12) as n_morning,
        count(*) filter (where ordered_hour >= 17) as n_evening,
        count(distinct store_row) as n_stores,
        count(store_row) as n_in_stores
    from ordered
    group by customer_row
),
store_visits as (
    select customer_row, store_row, count(*) as n_visits, max(ordered_day) as visited_day
    from baskets
    where store_row is not null
    group by customer_row, store_row
),
main_stores as (
    select customer_row, store_row, n_visits
    from (
        select
            customer_row, store_row, n_visits,
            row_number() over (
                partition by customer_row order by n_visits desc, visited_day desc, store_row
            ) as place
        from store_visits
    ) as ranked
    where place = 1
),
basket_categories as (
    select order_row, category_row, min(customer_row) as customer_row
    from lines
    where is_purchase
    group by order_row, category_row
),
category_breadth as (
    select
        customer_row,
        count(distinct category_row) as n_categories,
        count(*) / cast(count(distinct order_row) as double) as n_categories_per_basket
    from basket_categories
    group by customer_row
),
bought_products as (
    select
        l.customer_row, l.product_row, l.type_row,
        count(*) as n_lines,
        sum(l.quantity_e4) filter (where l.amount_e4 is not null) as priced_e4,
        sum(l.amount_e4) as amount_e4,
        sum(l.discount_e4) as discount_e4
    from lines l
    where l.is_purchase
    group by l.customer_row, l.product_row, l.type_row
),
items as (
    select
        b.customer_row,
        count(*) as n_products,
        count(distinct b.type_row) as n_types,
        cast(sum(b.amount_e4) as double) / nullif(cast(sum(b.priced_e4) as double), 0) as unit_price_mean,
        cast(sum(b.discount_e4) as double)
            / nullif(cast(sum(b.amount_e4) + sum(b.discount_e4) as double), 0) as discount_share,
        cast(sum(case when p.is_private_label then b.n_lines else 0 end) as double)
            / nullif(cast(sum(b.n_lines) filter (where p.is_private_label is not null) as double), 0)
            as private_label_share
    from bought_products b
    left join products p on p.product_row = b.product_row
    group by b.customer_row
),
taken_back as (
    select customer_row, count(*) as n_returns, count(distinct line_key) as n_returned_lines
    from returns
    group by customer_row
),
seen_events as (
    select count(*) filter (where type = 'redeem') as n_redeems_known
    from events
),
messages as (
    select
        customer_row,
        count(*) filter (where type = 'send') as n_sent,
        count(*) filter (where type = 'open') as n_opened,
        count(*) filter (where type = 'click') as n_clicked,
        count(*) filter (where type = 'redeem') as n_redeemed,
        count(*) filter (where type = 'redeem' and age_days <= 84) as n_redeemed_12w,
        count(distinct at_day) filter (where type = 'redeem') as n_redeem_days
    from events
    group by customer_row
)
select
    t.customer_row,  -- row: the customer
    cast(t.n_baskets as int) as n_baskets,  -- count: trips (orders) so far
    cast(t.n_4w as int) as n_baskets_4w,  -- count: trips in the last 28 days
    cast(t.n_12w as int) as n_baskets_12w,  -- count: trips in the last 84 days
    cast(t.n_26w as int) as n_baskets_26w,  -- count: trips in the last 182 days
    t.h14 as n_baskets_h14,  -- weight: trips, each halved for every 14 days of its age
    t.h56 as n_baskets_h56,  -- weight: trips, each halved for every 56 days of its age
    t.h112 as n_baskets_h112,  -- weight: trips, each halved for every 112 days of its age
    cast(t.n_days as int) as n_days,  -- count: local days with a trip
    cast(t.n_lines as int) as n_lines,  -- count: lines of all trips
    cast(t.first_day as int) as first_day,  -- day: local day number of the first trip
    cast(t.last_day as int) as last_day,  -- day: local day number of the last trip
    cast(t.recency_days as int) as recency_days,  -- days: since the last trip
    cast(t.tenure_days as int) as tenure_days,  -- days: since the first trip
    t.gap_sum / nullif(t.n_gaps, 0) as gap_mean_days,  -- days: mean gap between trips; null with one trip
    sqrt(
        greatest(t.n_gaps * t.gap_squares - t.gap_sum * t.gap_sum, 0)
        / nullif(cast(t.n_gaps as double) * (t.n_gaps - 1), 0)
    ) as gap_std_days,  -- days: standard deviation of the gaps; null with fewer than three trips
    cast(t.gap_last as int) as gap_last_days,  -- days: the last gap; null with one trip
    t.recency_days * t.n_gaps / nullif(t.gap_sum, 0) as gap_ratio,  -- ratio: days since the last trip ÷ mean gap
    t.spend as spend,  -- money: amount of all lines, net of returns; null when the source has no amounts
    case when t.n_amounts > 0 then t.spend_4w end as spend_4w,  -- money: spent in the last 28 days
    case when t.n_amounts > 0 then t.spend_12w end as spend_12w,  -- money: spent in the last 84 days
    case when t.n_amounts > 0 then t.spend_26w end as spend_26w,  -- money: spent in the last 182 days
    t.spend / t.n_baskets as spend_per_basket,  -- money: spend ÷ trips
    case when t.n_amounts > 0 then
        t.spend_4w * least(greatest(t.tenure_days, 1), 84)
        / nullif(t.spend_12w * least(greatest(t.tenure_days, 1), 28), 0)
    end as spend_trend,  -- ratio: spend a day in the last 28 days ÷ in the last 84; null without spend in 84
    cast(t.n_4w as double) * least(greatest(t.tenure_days, 1), 84)
        / nullif(t.n_12w * least(greatest(t.tenure_days, 1), 28), 0)
        as basket_trend_4w_12w,  -- ratio: trips a day in the last 28 days ÷ in the last 84; null without any in 84
    cast(t.n_12w as double) * least(greatest(t.tenure_days, 1), 182)
        / nullif(t.n_26w * least(greatest(t.tenure_days, 1), 84), 0)
        as basket_trend_12w_26w,  -- ratio: trips a day in the last 84 days ÷ in the last 182; null without any in 182
    cast(t.n_lines as double) / t.n_baskets as lines_per_basket,  -- ratio: lines ÷ trips
    cast(coalesce(i.n_products, 0) as int) as n_products,  -- count: different products bought
    cast(coalesce(i.n_types, 0) as int) as n_types,  -- count: different product types bought
    cast(coalesce(c.n_categories, 0) as int) as n_categories,  -- count: different categories bought
    c.n_categories_per_basket,  -- ratio: different categories in a basket with a purchase, mean
    i.discount_share,  -- share: discount ÷ (amount + discount) of what was bought
    case when e.n_redeems_known > 0 then
        least(coalesce(m.n_redeem_days, 0) / cast(t.n_days as double), 1)
    end as coupon_share,  -- share: days with a redeemed offer ÷ days with a trip; null when nobody redeemed any yet
    cast(coalesce(r.n_returns, 0) as int) as n_returns,  -- count: returns made
    least(coalesce(r.n_returned_lines, 0) / cast(t.n_lines as double), 1)
        as return_share,  -- share: lines of which something was returned ÷ lines
    cast(t.n_stores as int) as n_stores,  -- count: different stores visited
    cast(s.store_row as int) as main_store_row,  -- row: the store with most trips (then the latest); null without stores
    s.n_visits / nullif(cast(t.n_in_stores as double), 0)
        as main_store_share,  -- share: trips to the main store ÷ trips with a known store
    t.n_web / nullif(cast(t.n_channels as double), 0) as web_share,  -- share: trips on the web ÷ those of known channel
    t.n_app / nullif(cast(t.n_channels as double), 0) as app_share,  -- share: trips in the app ÷ those of known channel
    t.n_weekend / cast(t.n_baskets as double) as weekend_share,  -- share: trips on a Saturday or Sunday
    t.n_morning / nullif(cast(t.n_hours as double), 0)
        as morning_share,  -- share: trips before 12:00 local time; null when the source has no times
    t.n_evening / nullif(cast(t.n_hours as double), 0)
        as evening_share,  -- share: trips from 17:00 local time on; null when the source has no times
    i.private_label_share,  -- share: purchases of the shop's own brand ÷ those of known brand
    i.unit_price_mean,  -- money: amount ÷ quantity over all that was bought
    cast(coalesce(m.n_sent, 0) as int) as n_sent,  -- count: messages sent to them
    cast(coalesce(m.n_opened, 0) as int) as n_opened,  -- count: messages opened
    cast(coalesce(m.n_clicked, 0) as int) as n_clicked,  -- count: messages clicked
    cast(coalesce(m.n_redeemed, 0) as int) as n_redeemed,  -- count: offers redeemed
    cast(coalesce(m.n_redeemed_12w, 0) as int) as n_redeemed_12w,  -- count: offers redeemed in the last 84 days
    m.n_redeemed / nullif(cast(m.n_sent as double), 0)
        as redeem_rate  -- ratio: offers redeemed ÷ messages sent; null when none were sent
from trips t
left join category_breadth c on c.customer_row = t.customer_row
left join items i on i.customer_row = t.customer_row
left join main_stores s on s.customer_row = t.customer_row
left join taken_back r on r.customer_row = t.customer_row
left join messages m on m.customer_row = t.customer_row
cross join seen_events e
