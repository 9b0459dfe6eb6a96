-- grain:  customer_row, place, for every message sent to them in the last 28 days
-- inputs: events, offers; a message about an offer that nobody knows yet, or about none, has no offer_row
with answers as (
    select customer_row, lower(channel) as channel, offer_id, at_us
    from events
    where type in ('open', 'click', 'redeem')
),
by_channel as (
    select customer_row, channel, max(at_us) as answered_us
    from answers
    where channel is not null
    group by customer_row, channel
),
by_offer as (
    select customer_row, offer_id, max(at_us) as answered_us
    from answers
    where offer_id is not null
    group by customer_row, offer_id
)
select
    e.customer_row,  -- row: the customer
    cast(row_number() over (partition by e.customer_row order by e.at_us, e.event_id) as int) as place,  -- number: 1 for the earliest of their messages, and on
    e.at_us,  -- time: when it was sent
    e.channel,  -- name: the channel, such as email; null where the source names none
    o.offer_row,  -- row: the offer that it was about; null for none
    coalesce(c.answered_us >= e.at_us, false) or coalesce(b.answered_us >= e.at_us, false) as is_answered  -- flag: they opened, clicked or redeemed something afterwards, on that channel or of that offer
from events e
left join offers o on o.offer_id = e.offer_id
left join by_channel c on c.customer_row = e.customer_row and c.channel = lower(e.channel)
left join by_offer b on b.customer_row = e.customer_row and b.offer_id = e.offer_id
where e.type = 'send' and e.age_days <= 28
