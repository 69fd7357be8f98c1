"""Limits: the arithmetic of the leaky bucket, and what a bucket is kept for."""
