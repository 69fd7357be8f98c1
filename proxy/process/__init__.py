"""Processes: workers serve, the keeper keeps, the master minds."""
