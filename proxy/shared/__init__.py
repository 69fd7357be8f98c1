"""What the workers of a host share: memory, locks, counters, leaky buckets."""
