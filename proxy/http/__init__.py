"""Facts of the protocol: heads, framing, targets, rendering. Pure: bytes in, values out."""
