"""What `tercet tune` searches, and what it makes of a search; `training.tune` is the door to Optuna."""
