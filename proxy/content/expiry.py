"""A filter that says how long an answer may be kept (nginx's `expires`).

Rules: good answers only, as `add_header`. Fields that the answer has already are replaced.
"""

from __future__ import annotations

from proxy.content.fields import GOOD
from proxy.exchange import Downstream, Exchange
from proxy.http import expires
from proxy.http.answer import Answer
from proxy.http.conditional import UNKNOWN, parse_date
from proxy.policy.template import Template


class Expiry:
    """`rule` is the text of a form, which is read once if it has no variables."""

    __slots__ = ("_rule", "_text")

    def __init__(self, text: Template) -> None:
        """ValueError with the end of a sentence."""
        self._text = text
        self._rule = None if text.constant is None else expires.read(text.constant.decode())

    @property
    def steady(self) -> bool:
        """It says the same of the same answer, for a second."""
        return self._rule is not None

    def __call__(self, exchange: Exchange, answer: Answer, below: Downstream) -> Downstream:
        """Write the fields."""
        rule = self._rule
        if answer.status not in GOOD:
            return below
        if rule is None:
            try:
                rule = expires.read(self._text(exchange).decode("latin-1"))
            except ValueError:  # what a variable holds is no form: nothing is said
                return below
        if rule.kind != expires.OFF:
            modified = answer.get(b"last-modified") if rule.kind == expires.MODIFIED else None
            known = UNKNOWN if modified is None else parse_date(modified)
            until, control = expires.fields(rule, exchange.clock.wall, known)
            answer.set(b"Expires", until)
            answer.set(b"Cache-Control", control)
        return below
