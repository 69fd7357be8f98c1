"""The tables of variables that a configuration declares: [map.NAME], [geo.NAME] and [split.NAME] make $NAME.

Rules: pure; see `model`. Their meaning is nginx's (`policy.declared`). Texts in `from` and in the values of a map may
hold variables themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from proxy.config import words
from proxy.config.table import Table

WHOLE: Final = 100.0


def network_or_range(value: str) -> str:
    """A network, an address or a range of addresses."""
    first, dash, last = value.partition("-")
    try:
        if dash:
            backwards = ip_address(first).packed > ip_address(last).packed
            wrong = backwards or ip_address(first).version != ip_address(last).version
        else:
            wrong = ip_network(value, strict=False) is None
    except ValueError:
        wrong = True
    if wrong:
        raise ValueError('must be a network such as "10.0.0.0/8", or a range "10.0.0.1-10.0.0.9"')
    return value


def variable(value: str) -> str:
    """The name of a variable, without its "$"."""
    if not value.isascii() or not value.replace("_", "a").isalnum():
        raise ValueError("must be the name of a variable: letters, digits and _")
    return value


Place = Annotated[str, AfterValidator(network_or_range)]
Variable = Annotated[str, AfterValidator(variable)]


class Map(Table):
    """A variable whose value depends on a text: the first case that holds says it."""

    from_: str = Field(alias="from", description="the text, with $variables", examples=["$host"])
    default: str = Field(default="", description="the value when no case holds; with $variables")
    cases: Mapping[str, str] = Field(
        default={},
        description='values by text, in any case of letters; "~expression" ("~*": in any case), tried in order behind'
        " all texts; a backslash before the first character takes its meaning away",
        examples=[{"example.com": "main", "~^www\\.": "www"}],
    )
    hostnames: words.Flag = Field(default=False, description='texts may be "*.example.com", ".example.com", "www.*"')
    volatile: words.Flag = Field(default=False, description="find the value each time, and not once per request")


class Geo(Table):
    """A variable whose value depends on an address: the smallest network that holds it says the value."""

    from_: str | None = Field(
        default=None, alias="from", description="text with the address, with $variables; the client's when left out"
    )
    default: str = Field(default="", description="the value when no network holds the address")
    networks: Mapping[Place, str] = Field(
        default={}, description='values by network or range "first-last"', examples=[{"10.0.0.0/8": "inside"}]
    )
    proxies: tuple[words.Network, ...] = Field(default=(), description="peers whose X-Forwarded-For is believed here")
    recursive: words.Flag = Field(default=False, description="believe it through several of these proxies")
    volatile: words.Flag = Field(default=False, description="find the value each time, and not once per request")


class Part(Table):
    """A part of a split."""

    percent: Annotated[float, Field(gt=0, le=WHOLE)] = Field(description="how much of all, to the hundredth")
    value: str = Field(description="the value for this part")


class Split(Table):
    """A variable with one of several values, the same for the same text: for tests with a part of all clients."""

    from_: str = Field(alias="from", description="the text, with $variables", examples=["$remote_addr"])
    parts: tuple[Part, ...] = Field(default=(), description="the parts, in order")
    default: str = Field(default="", description="the value for the rest")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if sum(self.hundredths) > 100 * WHOLE:
            raise ValueError("must not have parts of more than 100 percent together")
        return self

    @property
    def hundredths(self) -> list[int]:
        """The parts in hundredths of a percent."""
        return [round(part.percent * WHOLE) for part in self.parts]
