-- grain: one line of an order with quantity >= 0, in the order of time. An order is a customer's order_id.
create table orders as
select customer_id, order_id, cast(row_number() over (order by first_us, customer_id, order_id) - 1 as integer) as order_row
from (select customer_id, order_id, min(ordered_us) as first_us from all_lines where quantity >= 0 group by customer_id, order_id);

create table lines as
select row_number() over (order by l.ordered_us, o.order_row, p.product_row, l.origin, l._row) - 1 as line_key,
    u.customer_row, o.order_row, p.product_row, s.store_row, l.channel, l.ordered_us, l.ordered_day, l.ordered_hour,
    l.quantity, l.amount, l.discount
from all_lines l
join orders o on o.customer_id = l.customer_id and o.order_id = l.order_id
join customer_ids u on u.customer_id = l.customer_id
join product_ids p on p.product_id = l.product_id
left join store_ids s on s.store_id = l.store_id
where l.quantity >= 0
order by line_key;

-- grain: one return row of the source, before it is netted; order_row is -1 when nothing was bought in its order.
create table return_rows as
select row_number() over (order by l.ordered_us, u.customer_row, p.product_row, l.origin, l._row) - 1 as return_number,
    u.customer_row, p.product_row, coalesce(o.order_row, -1) as order_row, l.ordered_us as returned_us, l.ordered_day as returned_day,
    -l.quantity as quantity, abs(l.amount) as amount
from all_lines l
join customer_ids u on u.customer_id = l.customer_id
join product_ids p on p.product_id = l.product_id
left join orders o on o.customer_id = l.customer_id and o.order_id = l.order_id
where l.quantity < 0
order by return_number;
