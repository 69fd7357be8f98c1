"""What is wrong with a site whose certificate is to be ordered.

Rules: pure; each finding is the key below the site's table that shows the place, and the sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from proxy.config.acme import orderable
from proxy.config.source import Where

if TYPE_CHECKING:
    from proxy.config.model import Model, Site

Found = tuple[Where, str]


def findings(model: Model, name: str, site: Site) -> Iterator[Found]:
    """Everything of this kind."""
    if not model.acme.agree:
        text = f'site "{name}" orders a certificate: add [acme] with agree = true (to the terms of service) and email'
        yield ("certificate",), text
    if site.key:
        yield ("key",), f'site "{name}" has a certificate that is ordered with its key: leave out key'
    if not site.names:
        yield ("names",), f'site "{name}" orders a certificate without a name: write names = ["example.com"]'
    for index, one in enumerate(site.names):
        if not orderable(one):
            text = f'no certificate can be ordered for "{one}" (that needs DNS-01): write each host name'
            yield ("names", index), text
    here = [model.listen[one] for one in model.listeners(site) if one in model.listen]
    if not any(one.tls for one in here):
        yield ("certificate",), f'site "{name}" has a certificate but no listener with tls = true: add one'
    kinds = model.acme.challenges
    if "tls-alpn-01" not in kinds and all(one.tls for one in model.listen.values()):
        text = f'site "{name}" cannot prove its names by http-01 without a listener that has no tls: add [listen.plain]'
        yield ("certificate",), text
