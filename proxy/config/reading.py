"""Reads a configuration, whichever language it is in: frontgate.toml, or an nginx.conf.

Rules: a file that does not end in .toml is nginx's. Its relative names begin at its folder, as those of TOML do. Pure
of everything but reading files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from proxy.config import toml
from proxy.config.model import Model
from proxy.config.nginx import reader
from proxy.config.source import Problem, Source


def is_nginx(path: str) -> bool:
    """Whether a file is taken for an nginx.conf."""
    return not path.endswith(".toml")


def load(path: str, nginx: bool = False, lenient: bool = False) -> tuple[Model, Source, Sequence[Problem]]:
    """The Model of a file, where its keys are written, and warnings; raises ConfigError with everything that is wrong.

    `nginx`: it is an nginx.conf whatever its name; `lenient` leaves out what of that is not supported.
    """
    if not nginx and not is_nginx(path):
        model, source = toml.load(path)
        return model, source, ()
    whole = os.path.abspath(path)
    model, source, found = reader.load(whole, os.path.join(os.path.dirname(whole), ""), lenient=lenient)
    return toml.read_from(model, source), source, found.warnings
