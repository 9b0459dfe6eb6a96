"""Everything that fits, judges and registers, and the command line."""
