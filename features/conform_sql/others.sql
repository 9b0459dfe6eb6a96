-- Tables with one row for each row of the source (or each id that occurs): ids become rows, times become microseconds UTC.
create table customers as
select i.customer_row, i.customer_id, coalesce(u.joined_at_us, d.start_us) as joined_us, u.consent, u.attributes
from customer_ids i
left join good_customers u on u.customer_id = i.customer_id
left join zone_days d on d.zone = '{time_zone}' and d.day = u.joined_at_on
order by i.customer_row;

create table stores as
select i.store_row, i.store_id, s.latitude, s.longitude, s.time_zone, s.opens, s.closes
from store_ids i left join good_stores s on s.store_id = i.store_id
order by i.store_row;

-- ends_us is the first moment after the offer: a date holds to the end of its day
create table offers as
select i.offer_row, i.offer_id, o.kind, o.value, o.cost, coalesce(o.starts_at_us, s.start_us) as starts_us,
    coalesce(o.ends_at_us, e.start_us) as ends_us, o.channels, o.budget, o.category, o.department
from offer_ids i
join good_offers o on o.offer_id = i.offer_id
left join zone_days s on s.zone = '{time_zone}' and s.day = o.starts_at_on
left join zone_days e on e.zone = '{time_zone}' and e.day = o.ends_at_on + 1
order by i.offer_row;

create table offer_products as
select distinct i.offer_row, p.product_row
from offered_products o
join offer_ids i on i.offer_id = o.offer_id
join product_ids p on p.product_id = o.product_id
order by i.offer_row, p.product_row;

-- purchases are lines; every other event is here
create table events as
with timed as (
    select e.*, coalesce(z.time_zone, '{time_zone}') as zone, coalesce(e.at_us, d.start_us) as moment_us
    from good_events e
    left join good_stores z on z.store_id = e.store_id
    left join zone_days d on d.zone = coalesce(z.time_zone, '{time_zone}') and d.day = e.at_on
    where e."type" <> 'purchase'
)
select row_number() over (order by e.moment_us, e.event_id) - 1 as event_key, e.event_id, u.customer_row, e."type",
    e.moment_us as at_us,
    cast(coalesce(date_diff('day', date '1970-01-01', e.at_on), (e.moment_us + o.offset_us) // 86400000000) as integer) as at_day,
    p.product_row, e.order_id, e.offer_id, coalesce(e.quantity, 1) as quantity, e.amount, e.discount, e.channel, s.store_row, e."value"
from timed e
asof join zone_offsets o on o.zone = e.zone and e.moment_us >= o.from_us
join customer_ids u on u.customer_id = e.customer_id
left join product_ids p on p.product_id = e.product_id
left join store_ids s on s.store_id = e.store_id
order by event_key;

create table stock as
select p.product_row, s.store_row, k.available
from good_stock k
join product_ids p on p.product_id = k.product_id
left join store_ids s on s.store_id = k.store_id
order by p.product_row, s.store_row nulls first;

-- of a value only its keyed hash is kept
create table identities as
select distinct u.customer_row, n.kind, h.value_hash
from good_identities n
join customer_ids u on u.customer_id = n.customer_id
left join identity_names h on h.kind = n.kind and h."value" = n."value"
order by u.customer_row, n.kind, h.value_hash;

-- ids that were merged into another's
create table aliases as
select u.customer_row, m.customer_id
from customer_map m join customer_ids u on u.customer_id = m."into"
where m.customer_id <> m."into"
order by u.customer_row, m.customer_id;
