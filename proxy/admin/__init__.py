"""The admin listener: health, metrics and status over all workers; runs in the keeper."""
