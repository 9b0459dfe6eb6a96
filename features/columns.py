"""Every column name once; the unit stands in the name (`_days`, `_us`, `_day`, `_share`)."""
