-- grain:  customer_row, offer_row: what was sent to them before the moment, and for everyone the offers they could get now
-- inputs: lines (trips: all; its products: purchases), events, offers, offer_products, categories, products, moment
-- An offer's products are those that it lists, and those of its category or department.
-- Everything but `n_redeemed`, `is_over` and `n_customers` is as of the sending, or as of the moment for what was not sent: that is what
-- could be known when it was decided to send it. "Could get now" are the offers that run at the moment, and the five that
-- began last whether they run or not, so that there is always something to compare customers by.
with named_offers as (
    select
        o.offer_row, o.offer_id, o.value, o.cost, o.starts_us, o.ends_us, o.category, o.department,
        coalesce(o.ends_us <= m.as_of_us, false) as is_over,
        row_number() over (order by o.starts_us desc nulls last, o.offer_row) as place,
        m.as_of_us, m.as_of_day
    from offers o
    cross join moment m
),
offered as (
    select offer_row, product_row
    from offer_products
    union
    select o.offer_row, p.product_row
    from named_offers o
    join categories c on c.category = o.category
    join products p on p.category_row = c.category_row
    union
    select o.offer_row, p.product_row
    from named_offers o
    join products p on p.department = o.department
),
sizes as (
    select offer_row, count(*) as n_products
    from offered
    group by offer_row
),
answers as (
    select e.customer_row, o.offer_row, e.type, e.at_us, e.at_day
    from events e
    join named_offers o on o.offer_id = e.offer_id
    where e.type in ('send', 'redeem')
),
sends as (
    select customer_row, offer_row, min(at_us) as sent_us, min(at_day) as sent_day
    from answers
    where type = 'send'
    group by customer_row, offer_row
),
redeems as (
    select customer_row, offer_row, count(*) as n_redeemed, min(at_us) as redeemed_us
    from answers
    where type = 'redeem'
    group by customer_row, offer_row
),
baskets as (
    select
        order_row,
        min(customer_row) as customer_row,
        min(ordered_us) as ordered_us,
        min(ordered_day) as ordered_day,
        sum(amount_e4) as amount_e4,
        sum(discount_e4) as discount_e4
    from lines
    group by order_row
),
shoppers as (
    select distinct customer_row
    from baskets
),
pairs as (
    select customer_row, offer_row, sent_us, sent_day, true as is_sent
    from sends
    union all
    select s.customer_row, o.offer_row, o.as_of_us as sent_us, o.as_of_day as sent_day, false as is_sent
    from shoppers s
    cross join named_offers o
    left join sends x on x.customer_row = s.customer_row and x.offer_row = o.offer_row
    where (not o.is_over or o.place <= 5) and x.customer_row is null
),
earlier_offers as (
    select
        p.customer_row, p.offer_row,
        count(*) as n_sent,
        count(r.redeemed_us) filter (where r.redeemed_us < p.sent_us) as n_redeemed,
        count(o.offer_row) filter (where o.ends_us <= p.sent_us) as n_over,
        count(r.redeemed_us) filter (where o.ends_us <= p.sent_us) as n_over_redeemed
    from pairs p
    join sends s on s.customer_row = p.customer_row and s.sent_us < p.sent_us
    join named_offers o on o.offer_row = s.offer_row
    left join redeems r on r.customer_row = s.customer_row and r.offer_row = s.offer_row
    group by p.customer_row, p.offer_row
),
earlier_redeems as (
    select
        p.customer_row, p.offer_row,
        count(*) as n_redeems,
        count(*) filter (where p.sent_day - a.at_day <= 84) as n_12w,
        min(p.sent_day - a.at_day) as redeem_recency_days
    from pairs p
    join answers a on a.customer_row = p.customer_row and a.type = 'redeem' and a.at_us < p.sent_us
    group by p.customer_row, p.offer_row
),
trips as (
    select
        p.customer_row, p.offer_row,
        count(*) as n_baskets,
        count(*) filter (where p.sent_day - b.ordered_day <= 28) as n_4w,
        count(*) filter (where p.sent_day - b.ordered_day <= 84) as n_12w,
        cast(sum(b.amount_e4) filter (where p.sent_day - b.ordered_day <= 84) as double) / 10000 as spend_12w,
        cast(sum(b.discount_e4) filter (where p.sent_day - b.ordered_day <= 84) as double) / 10000 as discount_12w,
        count(b.amount_e4) as n_amounts,
        min(p.sent_day - b.ordered_day) as recency_days,
        max(p.sent_day - b.ordered_day) as tenure_days
    from pairs p
    join baskets b on b.customer_row = p.customer_row and b.ordered_us < p.sent_us
    group by p.customer_row, p.offer_row
),
bought as (
    select l.customer_row, op.offer_row, l.product_row, l.order_row, l.ordered_us, l.ordered_day, l.amount_e4
    from lines l
    join offered op on op.product_row = l.product_row
    where l.is_purchase
),
fondness as (
    select
        p.customer_row, p.offer_row,
        count(distinct b.product_row) as n_products,
        count(distinct b.order_row) as n_baskets,
        count(distinct b.order_row) filter (where p.sent_day - b.ordered_day <= 84) as n_12w,
        cast(sum(b.amount_e4) filter (where p.sent_day - b.ordered_day <= 84) as double) / 10000 as spend_12w,
        min(p.sent_day - b.ordered_day) as recency_days
    from pairs p
    join bought b on b.customer_row = p.customer_row and b.offer_row = p.offer_row and b.ordered_us < p.sent_us
    group by p.customer_row, p.offer_row
),
reach as (
    select offer_row, count(*) as n_customers
    from sends
    group by offer_row
)
select
    p.customer_row,  -- row: the customer
    p.offer_row,  -- row: the offer
    p.is_sent,  -- flag: it was sent to them before the moment
    o.is_over,  -- flag: the offer had ended at the moment
    not o.is_over or o.place <= 5 as is_current,  -- flag: it runs at the moment, or is one of the five that began last
    cast(p.sent_day as int) as sent_day,  -- day: local day number of the first sending, or of the moment
    cast(case when p.is_sent then coalesce(r.n_redeemed, 0) else 0 end as int) as n_redeemed,  -- count: times they redeemed it by the moment
    o.value,  -- money: what the offer takes off
    o.cost,  -- money: what the offer costs the shop
    cast(coalesce(z.n_products, 0) as int) as n_offer_products,  -- count: products that the offer is for
    cast(round((o.ends_us - o.starts_us) / cast(86400000000 as double)) as int) as offer_days,  -- days: that the offer runs; null when open
    cast(coalesce(h.n_customers, 0) as int) as n_customers,  -- count: customers it was sent to by the moment
    cast(coalesce(e.n_sent, 0) as int) as n_sent_before,  -- count: offers sent to them earlier
    cast(coalesce(e.n_redeemed, 0) as int) as n_redeemed_before,  -- count: of these, redeemed by then
    e.n_over_redeemed / nullif(cast(e.n_over as double), 0) as redeem_rate,  -- share: redeemed ÷ sent, of offers that had ended by then
    cast(coalesce(a.n_redeems, 0) as int) as n_redeems_before,  -- count: redemptions they had made by then, of any offer
    cast(coalesce(a.n_12w, 0) as int) as n_redeems_12w,  -- count: redemptions in the 84 days before it
    cast(a.redeem_recency_days as int) as redeem_recency_days,  -- days: from their last redemption to it; null before any
    t.discount_12w / nullif(t.spend_12w + t.discount_12w, 0) as discount_share,  -- share: discount ÷ (amount + discount) in the 84 days before it
    cast(coalesce(t.n_baskets, 0) as int) as n_baskets,  -- count: trips before it
    cast(coalesce(t.n_4w, 0) as int) as n_baskets_4w,  -- count: trips in the 28 days before it
    cast(coalesce(t.n_12w, 0) as int) as n_baskets_12w,  -- count: trips in the 84 days before it
    case when t.n_amounts > 0 then coalesce(t.spend_12w, 0) end as spend_12w,  -- money: spent in the 84 days before it
    cast(t.recency_days as int) as recency_days,  -- days: from the last trip to it; null before any
    cast(t.tenure_days as int) as tenure_days,  -- days: from the first trip to it
    cast(coalesce(f.n_products, 0) as int) as n_products_owned,  -- count: its products that they had bought
    cast(coalesce(f.n_baskets, 0) as int) as n_baskets_owned,  -- count: their baskets with any of its products
    cast(coalesce(f.n_12w, 0) as int) as n_baskets_owned_12w,  -- count: of these, in the 84 days before it
    case when t.n_amounts > 0 then coalesce(f.spend_12w, 0) end as spend_owned_12w,  -- money: spent on its products in the 84 days before it
    cast(f.recency_days as int) as owned_recency_days  -- days: from their last basket with any of its products to it; null before any
from pairs p
join named_offers o on o.offer_row = p.offer_row
left join sizes z on z.offer_row = p.offer_row
left join reach h on h.offer_row = p.offer_row
left join redeems r on r.customer_row = p.customer_row and r.offer_row = p.offer_row
left join earlier_offers e on e.customer_row = p.customer_row and e.offer_row = p.offer_row
left join earlier_redeems a on a.customer_row = p.customer_row and a.offer_row = p.offer_row
left join trips t on t.customer_row = p.customer_row and t.offer_row = p.offer_row
left join fondness f on f.customer_row = p.customer_row and f.offer_row = p.offer_row
