"""A customer simulator fitted to a shop's history, and campaigns and policies that are tried on it."""
