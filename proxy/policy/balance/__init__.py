"""Strategies: `pick(exchange, tried) -> Backend | None`."""
