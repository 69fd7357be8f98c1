"""Makes the step that answers for names that are to be proven by HTTP-01, where certificates are ordered."""

from __future__ import annotations

from typing import Final

from proxy.config.acme import TOKENS
from proxy.config.model import Model
from proxy.content.tokens import Tokens
from proxy.exchange import Step

PATH: Final = TOKENS.encode()


def answers_tokens(model: Model) -> tuple[Step, ...]:
    """That step; none where nothing is ordered, or not proven so."""
    if not model.ordered or "http-01" not in model.acme.challenges:
        return ()
    return (Tokens(model.acme.folder),)
