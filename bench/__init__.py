"""The benchmark: frontgate beside nginx, HAProxy, Caddy and the usual aiohttp proxy, equally configured, in one run."""
