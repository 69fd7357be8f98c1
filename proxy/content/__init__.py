"""Destinations that answer by themselves: redirects and fixed replies."""
