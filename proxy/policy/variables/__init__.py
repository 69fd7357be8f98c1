"""The variables of configurations: every name, and what finds its value for an exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from proxy.policy.template import Getter, Vocabulary
from proxy.policy.variables import access, attempts, connection, files, heralded, proxied, request, response, tls, trace

KNOWN: Final[Mapping[str, Getter]] = {
    **connection.KNOWN,
    **heralded.KNOWN,
    **request.KNOWN,
    **response.KNOWN,
    **attempts.KNOWN,
    **proxied.KNOWN,
    **access.KNOWN,
    **files.KNOWN,
    **tls.KNOWN,
    **trace.KNOWN,
}

PREFIXES: Final[Mapping[str, Callable[[str], Getter]]] = {
    **request.PREFIXES,
    **response.PREFIXES,
    **attempts.PREFIXES,
    **heralded.PREFIXES,
}


def vocabulary() -> Vocabulary:
    """The variables of the house, to which a configuration may add its own."""
    return Vocabulary(KNOWN, PREFIXES)
