"""Observers: what is told of every finished exchange."""
