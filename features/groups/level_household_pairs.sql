-- grain:  {item_row}, other_row: each pair once, the lower row first, that at least 3 customers bought over time
-- inputs: lines (purchases only: merchandise, net of returns)
-- {item_row} is product_row or category_row; other_row is the same kind of row.
-- Only the 1,000 that most customers bought (ties: the lower row): pairs grow with the square of what a customer owns.
with owned as (
    select customer_row, {item_row} as item
    from lines
    where is_purchase
    group by customer_row, {item_row}
),
widespread as (
    select item
    from (
        select item, row_number() over (order by n_owners desc, item) as place
        from (select item, count(*) as n_owners from owned group by item) as counted
    ) as ranked
    where place <= 1000
),
kept as (
    select o.customer_row, o.item
    from owned o
    join widespread w on w.item = o.item
)
select
    a.item as {item_row},  -- row: the {item}
    b.item as other_row,  -- row: the other {item}
    cast(count(*) as int) as n_households  -- count: customers who bought both at any time
from kept a
join kept b on b.customer_row = a.customer_row and b.item > a.item
group by a.item, b.item
having count(*) >= 3
