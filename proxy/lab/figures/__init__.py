"""The figures of simulations: what of an outcome is drawn, and how it is told."""
