"""Typed configuration: the Model, its TOML reader, and errors that name their place."""
