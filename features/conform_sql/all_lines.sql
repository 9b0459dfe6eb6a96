-- Every line of an order, from the table and from purchase events that the table does not have; a negative quantity is a return.
-- grain: one line. The same customer, order and product with the same sign counts once, as the table has it.
create table all_lines as
with transaction_keys as (
    select distinct customer_id, order_id, product_id, coalesce(quantity, 1) < 0 as is_return
    from good_transactions where order_id in (select order_id from good_events where "type" = 'purchase')
),
raw_lines as (
    select 0 as origin, _row, customer_id, order_id, product_id, store_id, channel, ordered_at_us as at_us, ordered_at_on as at_on,
        coalesce(quantity, 1) as quantity, amount, coalesce(discount, 0) as discount
    from good_transactions
    union all
    select 1, _row, customer_id, order_id, product_id, store_id, channel, at_us, at_on,
        coalesce(quantity, 1), amount, coalesce(discount, 0)
    from good_events e
    where e."type" = 'purchase' and not exists (
        select 1 from transaction_keys k where k.customer_id = e.customer_id and k.order_id = e.order_id
            and k.product_id = e.product_id and k.is_return = (coalesce(e.quantity, 1) < 0))
),
-- ids become rows here, so that what follows sorts and joins numbers
numbered as (
    select r.* exclude (customer_id, product_id, store_id), u.customer_row, p.product_row, s.store_row,
        coalesce(z.time_zone, '{time_zone}') as zone
    from raw_lines r
    join customer_ids u on u.customer_id = r.customer_id
    join product_ids p on p.product_id = r.product_id
    left join store_ids s on s.store_id = r.store_id
    left join good_stores z on z.store_id = r.store_id
),
timed as (
    select n.*, coalesce(n.at_us, d.start_us) as ordered_us
    from numbered n left join zone_days d on d.zone = n.zone and d.day = n.at_on
)
select t.* exclude (at_us, at_on, zone),
    cast(coalesce(date_diff('day', date '1970-01-01', t.at_on), (t.ordered_us + o.offset_us) // 86400000000) as integer) as ordered_day,
    case when t.at_on is null then cast(((t.ordered_us + o.offset_us) // 3600000000) % 24 as integer) end as ordered_hour
from timed t asof join zone_offsets o on o.zone = t.zone and t.ordered_us >= o.from_us;
