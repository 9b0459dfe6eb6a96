-- grain:  customer_row, offer_row, for every offer that they redeemed
-- inputs: events, offers
select
    e.customer_row,  -- row: the customer
    o.offer_row,  -- row: the offer
    cast(count(*) as int) as n_redeemed,  -- count: times they redeemed it
    cast(count(e.discount) as int) as n_valued,  -- count: of these, where it is known what was taken off
    cast(sum(cast(round(e.discount * 10000) as bigint)) as double) / 10000 as taken_off  -- money: what these took off together; null when unknown
from events e
join offers o on o.offer_id = e.offer_id
where e.type = 'redeem'
group by e.customer_row, o.offer_row
