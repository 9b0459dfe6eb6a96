"""The backtest: what tercet answers, beside tuned peers, on later weeks than either had learned from."""
