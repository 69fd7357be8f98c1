"""What a lenient reading may leave out of an nginx.conf, and what takes its place: nothing that was shut is open then.

Rules: what says who may come in is never left out, nor what could be a misspelt word of that kind. A location that
loses what answers in it, or what its answers are made of, answers 502: else clients would read the sources below its
root. As in nginx, an `if` or `limit_except` block has the one of its location, locations inside do not.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.config.nginx.frame import Frame
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec
from proxy.config.nginx.written import Written

SPECS: Final[dict[str, Spec]] = {}

_BLOCKS: Final = ("if", "if-location", "limit_except")
_ANSWERS: Final = re.compile(r"\w+_pass|content_by_lua\w*|js_content|perl|empty_gif|echo|passenger_enabled")
_MADE_OF: Final = ("ssi", "xslt_stylesheet", "image_filter")  # inherited; what they are made of is not for clients


def route(frame: Frame, table: Written, reading: Reading) -> None:
    """Put an answer into the place of a destination that was left out."""
    directive = _answering(frame) if reading.lenient else None
    if directive is None:
        return
    for key in ("upstream", "url", "proxy", "retry"):  # those of a location around
        table.pop(key, None)
    gone = Written(directive)
    gone["status"] = 502
    table.put("reply", gone, directive)
    reading.warn(directive, f'what "{directive.name}" answers in nginx is answered with 502')


def _answering(frame: Frame) -> Directive | None:
    """The directive that says who answers, if it is one that was left out; or who makes something of the answers."""
    for name in _MADE_OF:
        made = frame.last(name)
        if made is not None and made.args[:1] != ("off",):
            return made
    at: Frame | None = frame
    while at is not None:
        for directive in at.directives:
            if directive.name == "proxy_pass":
                return None
            if _ANSWERS.fullmatch(directive.name):
                return directive
        at = at.parent if at.name in _BLOCKS else None
    return None
