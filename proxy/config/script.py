"""The tables of a script: what a site or route does with a request before it is let in.

Rules: pure; an operation says exactly one of set, rewrite, return, if and stop. The semantics are nginx's rewrite
module's (`policy.script`).
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from proxy.config import words
from proxy.config.table import Table

_MAIN: Final = ("set", "rewrite", "return", "if", "stop")
_CONDITION: Final = re.compile(r"!?-[fdex] .+|\$\S+|\$\S+ (?:=|!=|~|~\*|!~|!~\*) .*", re.DOTALL)


class Operation(Table):
    """One operation of a script."""

    set: str | None = Field(default=None, description="name of a variable that gets the value `to`")
    rewrite: str | None = Field(default=None, description="expression; a path that matches becomes `to`")
    return_: Annotated[int, Field(strict=True, ge=0, le=999)] | None = Field(
        default=None, alias="return", description="status of an answer with the text or address `to`; 444: no answer"
    )
    if_: str | None = Field(
        default=None,
        alias="if",
        description='condition of `do`: "$variable", "$variable = text" (!= ~ ~* !~ !~*) or "-f path" (-d -e -x)',
    )
    stop: words.Flag = Field(default=False, description="no more operations")
    to: str | None = Field(default=None, description="text with $variables, and captures $1 to $9")
    then: Literal["last", "break", "redirect", "permanent"] | None = Field(
        default=None, description="behind a rewrite: find the route anew, stay here, or send the client there"
    )
    do: tuple[Operation, ...] = Field(default=(), description="operations under the condition")
    use: str | None = Field(default=None, description="named route whose settings hold under the condition")

    @model_validator(mode="after")
    def _one(self) -> Self:
        said = [self.set is not None, self.rewrite is not None, self.return_ is not None, self.if_ is not None]
        if sum(said) + self.stop != 1:
            raise ValueError(f"must say exactly one of {', '.join(_MAIN)}")
        if (self.set is not None or self.rewrite is not None) and self.to is None:
            raise ValueError("must say what it becomes with `to`")
        if self.if_ is not None and not _CONDITION.fullmatch(self.if_):
            raise ValueError('must be "$variable", "$variable = text" (or != ~ ~* !~ !~*) or "-f path" (or -d -e -x)')
        return self


class ErrorPage(Table):
    """What is answered in place of an error."""

    status: tuple[Annotated[int, Field(strict=True, ge=300, le=599)], ...] = Field(
        min_length=1, description="statuses that are replaced"
    )
    to: str = Field(description='path of this site, "@name" of a named route, or an address; with $variables')
    answer: Annotated[int, Field(strict=True, ge=0, le=599)] | None = Field(
        default=None, description="status that the client reads: the error's when left out; 0: the page's own"
    )


class AddedField(Table):
    """A field that is added to answers."""

    name: words.ResponseHeaderName = Field(description="its name")
    value: str = Field(description="its value, with $variables; nothing is added while it is empty")
    always: words.Flag = Field(default=False, description="to errors too, and not to good answers only")


Operation.model_rebuild()
