-- grain:  customer_row, order_row, line_key: the lines of the days that begin at the moment
-- inputs: window_lines (net of what was returned by the end of the window)
select
    customer_row,  -- row: the customer
    order_row,  -- row: the order
    line_key,  -- row: the line
    product_row,  -- row: the product
    type_row,  -- row: its type
    category_row,  -- row: its category
    cast(day_offset as int) as day_offset,  -- days: local days after the moment's, 0 for its own
    ordered_us,  -- time: microseconds since 1970 UTC
    quantity,  -- quantity: kept at the end of the window
    amount,  -- money: paid and not given back
    discount,  -- money: taken off what was kept
    is_merchandise,  -- flag: an article (no fuel, no coupon line)
    is_purchase  -- flag: merchandise of which something was kept
from window_lines
