"""Decisions: pure objects that are given the time, chance and shared cells, so the laboratory can run them too."""
