"""The configuration that most tests of a whole frontgate begin with: everything goes to one upstream.

Rules: the site's one route comes last, so that a test may append to it, or whole sections. {port} and {backend} are
filled in by `door.Door`, and so is whatever else stands in braces in what a test gives.
"""

from __future__ import annotations

BACKEND = 'servers = ["127.0.0.1:{backend}"]'


def plain(sections: str = "", *, workers: int | str = 1, upstream: str = BACKEND, route: str = "") -> str:
    """A listener without TLS, the upstream `app` and a route to it; `sections` come before them."""
    parts = (
        f"\nworkers = {workers}",
        sections,
        '[listen.web]\naddress = "127.0.0.1:{port}"',
        f"[upstream.app]\n{upstream}",
        '[site.s]\ndefault = true\n[[site.s.route]]\npath = "/"\nupstream = "app"',
        route,
    )
    return "".join(f"{part.rstrip()}\n" for part in parts if part)


def fixed(path: str, body: str) -> str:
    """One more route of the site, with an answer of its own."""
    return f'[[site.s.route]]\npath = "{path}"\nreply = {{ body = "{body}" }}\n'


def secured(config: str) -> str:
    """The same over TLS, with the pair of files that `certificates.certify` writes."""
    listening = config.replace('{port}"\n', '{port}"\ntls = true\n', 1)
    return listening.replace("default = true\n", 'default = true\ncertificate = "tls.pem"\nkey = "tls.key"\n', 1)
