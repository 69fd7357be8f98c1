"""Certificates that frontgate gets and renews itself, from an authority that speaks ACME (RFC 8555)."""
