-- grain:  {item_row}, other_row: both directions of every pair with enough evidence
-- inputs: lines (purchases only: merchandise, net of returns)
-- {item_row} is product_row or category_row; other_row is the same kind of row.
-- Enough evidence: together in at least 3 baskets (one in 15,000 where there are more than 45,000 baskets), or one
-- after the other in as many pairs of successive baskets. Only items in as many baskets can have that, so the others
-- leave before the pairs are made.
with bought as (
    select order_row, {item_row} as item, min(customer_row) as customer_row, min(ordered_us) as ordered_us
    from lines
    where is_purchase
    group by order_row, {item_row}
),
enough as (
    select greatest(3, floor(count(*) / cast(15000 as double))) as n_enough
    from (select order_row from bought group by order_row) as counted
),
frequent as (
    select item
    from bought
    group by item
    having count(*) >= (select n_enough from enough)
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
        b.order_row, b.item, o.next_order_row,
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
    having count(*) >= (select n_enough from enough)
),
successive as (
    select a.item, b.item as other, count(*) as n_next
    from contents a
    join contents b on b.order_row = a.next_order_row and b.item <> a.item
    group by a.item, b.item
    having count(*) >= (select n_enough from enough)
),
evidence as (
    select item, other, n_both, weight_e10, 0 as n_next from together
    union all
    select other as item, item as other, n_both, weight_e10, 0 as n_next from together
    union all
    select item, other, 0 as n_both, 0 as weight_e10, n_next from successive
)
select
    item as {item_row},  -- row: the {item}
    other as other_row,  -- row: the other {item}
    cast(sum(n_both) as int) as n_both,  -- count: baskets with both (0 when not enough)
    cast(sum(weight_e10) as double) / 10000000000
        as weight_both,  -- weight: baskets with both, each divided by its number of items to the power of .6
    cast(sum(n_next) as int)
        as n_next  -- count: baskets with it whose customer's next has the other (0 when not enough)
from evidence
group by item, other
