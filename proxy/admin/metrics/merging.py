"""Merges what several programs say of themselves into one text of Prometheus' format 0.0.4.

Rules: https://prometheus.io/docs/instrumenting/exposition_formats/: all samples of a family stand together behind one
HELP and one TYPE, so families are put together by name, and who says another type than those before is left out with
that family. Each sample gets the labels of who said it; a label of the same name that it had is called exported_NAME,
as Prometheus does it. Numbers are passed on as they were written. Text that is not of the format is refused whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL: Final = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*(?:,|$)')
_SAMPLE: Final = re.compile(
    rf'({_NAME})[ \t]*(?:\{{((?:[^"{{}}]|"(?:[^"\\]|\\.)*")*)\}})?[ \t]*'
    r"(?<=[ \t}])([+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[Ii]nf(?:inity)?|[Nn]a[Nn]))"
    r"((?:[ \t]+-?\d+)?)[ \t]*"
)
_SAID: Final = re.compile(rf"#[ \t]+(HELP|TYPE)[ \t]+({_NAME})(?:[ \t]+(.*))?")
TYPES: Final = ("counter", "gauge", "histogram", "summary", "untyped")
_PARTS: Final = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
UNTYPED: Final = "untyped"


class Family:
    """One family: its type, what is said of it, and its samples."""

    __slots__ = ("help", "samples", "type")

    def __init__(self) -> None:
        self.type = UNTYPED
        self.help: str | None = None
        self.samples: list[str] = []


def read(text: str, labels: Mapping[str, str]) -> dict[str, Family]:
    """The families of a text, by name, with these labels on each sample. ValueError with what is wrong."""
    families: dict[str, Family] = {}
    own = [f'{name}="{_escaped(value)}"' for name, value in labels.items()]
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(" \t\r")
        if line.startswith("#"):
            _take_word(families, line)
            continue
        if not line:
            continue
        match = _SAMPLE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is no sample")
        name, inner, value, when = match.groups()
        found = _labels(inner or "", labels)
        if found is None:
            raise ValueError(f"line {number} has labels that cannot be read")
        family = families.setdefault(_family_of(name, families), Family())
        family.samples.append(f"{name}{{{','.join([*own, *found])}}} {value}{when}")
    return {name: family for name, family in families.items() if family.samples}


class Merged:
    """The families of all, put together."""

    def __init__(self) -> None:
        self.families: dict[str, Family] = {}

    def add(self, families: Mapping[str, Family]) -> list[str]:
        """Add those of one; the names of the families that are left out, as others say another type."""
        left_out = []
        for name, family in families.items():
            known = self.families.get(name)
            if known is None:
                self.families[name] = family
            elif known.type != family.type:
                left_out.append(name)
            else:
                known.help = known.help or family.help
                known.samples += family.samples
        return left_out

    def lines(self) -> list[str]:
        """All of it, in order of names."""
        lines: list[str] = []
        for name, family in sorted(self.families.items()):
            if family.help:
                lines.append(f"# HELP {name} {family.help}")
            lines += [f"# TYPE {name} {family.type}", *family.samples]
        return lines


def _take_word(families: dict[str, Family], line: str) -> None:
    """A HELP or a TYPE; other comments are dropped."""
    match = _SAID.fullmatch(line)
    if match is None:
        return
    kind, name, words = match.groups()
    family = families.setdefault(name, Family())
    if kind == "HELP":
        family.help = words
    elif words in TYPES and not family.samples:
        family.type = words


def _family_of(name: str, families: Mapping[str, Family]) -> str:
    """The family that a sample belongs to: that of its name, or a histogram's or summary's whose part it is."""
    if name in families:
        return name
    for kind, parts in _PARTS.items():
        for part in parts:
            base = name.removesuffix(part)
            if base != name and base in families and families[base].type == kind:
                return base
    return name


def _labels(inner: str, own: Mapping[str, str]) -> list[str] | None:
    """The labels of a sample, with other names where ours are the same; None for what are no labels."""
    found: list[str] = []
    at = 0
    while at < len(inner.rstrip()):
        match = _LABEL.match(inner, at)
        if match is None:
            return None
        name, value = match.groups()
        found.append(f'{f"exported_{name}" if name in own else name}="{value}"')
        at = match.end()
    return found


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
