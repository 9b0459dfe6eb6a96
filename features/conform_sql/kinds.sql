-- A product type (a category) may stand in several categories (departments): the one with most of its products, then by name.
create table types as
select i.type_row, i.product_type, c.category_row, r.is_own
from (select product_type, category, count(*) as n, bool_and(given_type is null) as is_own,
        row_number() over (partition by product_type order by count(*) desc, category) as place
    from product_kinds group by product_type, category) r
join type_ids i on i.product_type = r.product_type
join category_ids c on c.category = r.category
where r.place = 1
order by i.type_row;

create table categories as
select i.category_row, i.category, r.department, r.is_own
from (select category, department, count(*) as n, bool_and(given_category is null) as is_own,
        row_number() over (partition by category order by (department is null), count(*) desc, department) as place
    from product_kinds group by category, department) r
join category_ids i on i.category = r.category
where r.place = 1
order by i.category_row;

create table products as
select k.product_row, k.product_id, t.type_row, c.category_row,
    coalesce(k.name, k.given_type || ' (' || k.product_id || ')', k.product_id) as name,
    k.brand, k.department, k.price, k.cost, k.replenishable,
    coalesce(k.launched_at_us, d.start_us) as launched_us, k.attributes,
    coalesce(try_cast(json_extract_string(k.attributes, '$.merchandise') as boolean), true) as is_merchandise,
    try_cast(json_extract_string(k.attributes, '$.private_label') as boolean) as is_private_label
from product_kinds k
join type_ids t on t.product_type = k.product_type
join category_ids c on c.category = k.category
left join zone_days d on d.zone = '{time_zone}' and d.day = k.launched_at_on
order by k.product_row;
