"""What the rows mean: checked tables, and features as of a moment."""
