-- grain: one line of an order with quantity >= 0, in the order of time. An order is a customer's order_id.
create table orders as
select customer_row, order_id, cast(row_number() over (order by first_us, customer_row, order_id) - 1 as integer) as order_row
from (select customer_row, order_id, min(ordered_us) as first_us from all_lines where quantity >= 0 group by customer_row, order_id);

create table lines as
select row_number() over (order by l.ordered_us, o.order_row, l.product_row, l.origin, l._row) - 1 as line_key,
    l.customer_row, o.order_row, l.product_row, l.store_row, l.channel, l.ordered_us, l.ordered_day, l.ordered_hour,
    l.quantity, l.amount, l.discount
from all_lines l join orders o on o.customer_row = l.customer_row and o.order_id = l.order_id
where l.quantity >= 0
order by line_key;

-- grain: one return row of the source, before it is netted; order_row is -1 when nothing was bought in its order.
create table return_rows as
select row_number() over (order by l.ordered_us, l.customer_row, l.product_row, l.origin, l._row) - 1 as return_number,
    l.customer_row, l.product_row, coalesce(o.order_row, -1) as order_row, l.ordered_us as returned_us,
    l.ordered_day as returned_day, -l.quantity as quantity, abs(l.amount) as amount
from all_lines l left join orders o on o.customer_row = l.customer_row and o.order_id = l.order_id
where l.quantity < 0
order by return_number;
