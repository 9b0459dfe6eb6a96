"""Where tables come from: one reader for each kind of source."""
