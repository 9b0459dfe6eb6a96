-- grain:  customer_row, for every customer with a line before the moment
-- inputs: lines (all), returns
-- What they buy at a discount, and what they bring back.
with bought as (
    select
        customer_row,
        count(*) as n_lines,
        count(*) filter (where discount_e4 > 0) as n_discounted,
        sum(quantity_e4) as kept_e4,
        sum(case when age_days <= 182 then amount_e4 end) as amount_e4,
        sum(case when age_days <= 182 then discount_e4 end) as discount_e4
    from lines
    group by customer_row
),
brought_back as (
    select customer_row, sum(quantity_e4) as returned_e4
    from returns
    group by customer_row
)
select
    b.customer_row,  -- row: the customer
    cast(b.discount_e4 as double) / nullif(cast(b.amount_e4 + b.discount_e4 as double), 0) as discount_share_26w,  -- share: discount ÷ (amount + discount) of the last 182 days; null without amounts
    b.n_discounted / cast(b.n_lines as double) as discounted_line_share,  -- share: lines bought at a discount ÷ lines
    cast(coalesce(r.returned_e4, 0) as double)
        / nullif(cast(b.kept_e4 + coalesce(r.returned_e4, 0) as double), 0) as returned_piece_share  -- share: pieces returned ÷ pieces bought
from bought b
left join brought_back r on r.customer_row = b.customer_row
