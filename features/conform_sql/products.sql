-- grain: one product that occurs anywhere. Without a type or a category it stands for its own.
create table product_kinds as
with known_types as (select distinct product_type from good_products where product_type is not null),
known_categories as (select distinct category from good_products where category is not null)
select i.product_row, i.product_id, p.* exclude (_row, product_id, product_type, category),
    p.product_type as given_type, p.category as given_category,
    -- an id that is also the name of a type (or category) must not fall together with it
    coalesce(p.product_type, i.product_id || case when t.product_type is null then '' else ' (product)' end) as product_type,
    coalesce(p.category, i.product_id || case when g.category is null then '' else ' (product)' end) as category
from product_ids i
left join good_products p on p.product_id = i.product_id
left join known_types t on t.product_type = i.product_id
left join known_categories g on g.category = i.product_id;
