"""Makes the steps that answer for names that are to be proven by HTTP-01, where certificates are ordered.

Rules: they go before all that a site says of that path; what is no token of ours takes the way it would have taken.
"""

from __future__ import annotations

from typing import Final

from proxy import engine
from proxy.config.acme import TOKENS
from proxy.config.model import Model
from proxy.content.tokens import Tokens
from proxy.exchange import Exchange, Step
from proxy.policy.routing import Site
from proxy.policy.script import turned
from proxy.verdict import Verdict

PATH: Final = TOKENS.encode()


class Behind:
    """A step: on to the route that a request would have had. `site` is its site without this."""

    __slots__ = ("_site",)

    def __init__(self, site: Site) -> None:
        self._site = site

    def __call__(self, exchange: Exchange) -> Verdict:
        """Go there, if it takes the body, which nobody has weighed yet."""
        verdict = turned(exchange, self._site.find(exchange))
        return engine.fits(exchange) or verdict


def answers_tokens(model: Model) -> tuple[Step, ...]:
    """That step; none where nothing is ordered, or not proven so."""
    if not model.ordered or "http-01" not in model.acme.challenges:
        return ()
    return (Tokens(model.acme.folder),)
