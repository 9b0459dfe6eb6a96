-- grain:  {item_row}, other_row: both directions of every pair with enough evidence
-- inputs: lines (purchases only: merchandise, net of returns)
-- {item_row} is product_row or category_row; other_row is the same kind of row.
-- Enough evidence: together in at least 3 baskets, or one after the other in at least 3 pairs of successive baskets.
-- Only items with at least 3 baskets can have that, so the others leave before the pairs are made.
with bought as (
    select order_row, {item_row} as item, min(customer_row) as customer_row, min(ordered_us) as ordered_us
    from lines
    where is_purchase
    group by order_row, {item_row}
),
frequent as (
    select item
    from bought
    group by item
    having count(*) >= 3
),
orders as (
    select
        order_row, n_items,
        lead(order_row) over (partition by customer_row order by ordered_us, order_row) as next_order_row
    from (
        select order_row, min(customer_row) as customer_row, min(ordered_us) as ordered_us, count(*) as n_items
        from bought
        group by order_row
    ) as sizes
),
contents as (
    select
        b.order_row, b.customer_row, b.item, o.next_order_row,
        cast(round(power(cast(o.n_items as double), cast(-0.6 as double)) * 10000000000) as bigint) as weight_e10
    from bought b
    join frequent f on f.item = b.item
    join orders o on o.order_row = b.order_row
),
together as (
    select a.item, b.item as other, count(*) as n_both, sum(a.weight_e10) as weight_e10
    from contents a
    join contents b on b.order_row = a.order_row and b.item > a.item
    group by a.item, b.item
    having count(*) >= 3
),
successive as (
    select a.item, b.item as other, count(*) as n_next
    from contents a
    join contents b on b.order_row = a.next_order_row and b.item <> a.item
    group by a.item, b.item
    having count(*) >= 3
),
evidence as (
    select item, other, n_both, weight_e10, 0 as n_next from together
    union all
    select other as item, item as other, n_both, weight_e10, 0 as n_next from together
    union all
    select item, other, 0 as n_both, 0 as weight_e10, n_next from successive
),
pairs as (
    select item, other, sum(n_both) as n_both, sum(weight_e10) as weight_e10, sum(n_next) as n_next
    from evidence
    group by item, other
),
owned as (
    select customer_row, item
    from contents
    group by customer_row, item
),
households as (
    select p.item, p.other, count(*) as n_households
    from (
        select least(item, other) as item, greatest(item, other) as other
        from pairs
        group by least(item, other), greatest(item, other)
    ) as p
    join owned a on a.item = p.item
    join owned b on b.item = p.other and b.customer_row = a.customer_row
    group by p.item, p.other
)
select
    p.item as {item_row},  -- row: the {item}
    p.other as other_row,  -- row: the other {item}
    cast(p.n_both as int) as n_both,  -- count: baskets with both (0 when fewer than 3)
    cast(p.weight_e10 as double) / 10000000000
        as weight_both,  -- weight: baskets with both, each divided by its number of items to the power of .6
    cast(p.n_next as int) as n_next,  -- count: baskets with it whose customer's next has the other (0 when fewer than 3)
    cast(h.n_households as int) as n_households  -- count: customers who bought both at any time
from pairs p
join households h on h.item = least(p.item, p.other) and h.other = greatest(p.item, p.other)
