-- grain:  customer_row, channel, for every channel on which the customer shopped or was sent or answered a message
-- inputs: lines (all: a trip is a trip), events; rows without a channel are left out
with trips as (
    select customer_row, channel, count(distinct order_row) as n_baskets
    from lines
    where channel is not null
    group by customer_row, channel
),
messages as (
    select
        customer_row,
        channel,
        count(*) filter (where type = 'send') as n_sent,
        count(*) filter (where type in ('open', 'click', 'redeem')) as n_answered,
        count(*) filter (where type in ('unsubscribe', 'notification_block')) as n_left
    from events
    where channel is not null
    group by customer_row, channel
)
select
    coalesce(t.customer_row, m.customer_row) as customer_row,  -- row: the customer
    coalesce(t.channel, m.channel) as channel,  -- name: the channel, such as store, web, app, email
    cast(coalesce(t.n_baskets, 0) as int) as n_baskets,  -- count: trips made on it
    cast(coalesce(m.n_sent, 0) as int) as n_sent,  -- count: messages sent on it
    cast(coalesce(m.n_answered, 0) as int) as n_answered,  -- count: messages opened, clicked or redeemed on it
    cast(coalesce(m.n_left, 0) as int) as n_left  -- count: times they unsubscribed from it or blocked it
from trips t
full outer join messages m on m.customer_row = t.customer_row and m.channel = t.channel
