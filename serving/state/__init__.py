"""What changes between bundles: events, consent, challenges kept, stock, decisions; one protocol, two stores."""
