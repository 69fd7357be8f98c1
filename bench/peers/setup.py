"""What every server of the benchmark is told, and what it answers: a command line."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

RATE = 1_000_000
"""Requests per second and address that the limits allow: every request is charged, none is rejected."""
BURST = 100_000
MAX_BODY_MEGABYTES = 64
IDLE_LINKS = 256  # as many as one of the loads has requests at a time (http2: 8 connections of 32)
DEBIAN = "apt-get install nginx haproxy wrk nghttp2-client"


class Missing(Exception):
    """A server or tool cannot be run here; the text says which and what installs it."""


@dataclass(frozen=True)
class Setup:
    """One server's place in one scenario. `folder` is its own; `backends` are `host:port`; paths are absolute.

    `files` is the folder that is served in a scenario without backends.
    """

    folder: Path
    port: int
    backends: tuple[str, ...]
    tls: bool
    policies: bool
    certificate: Path
    key: Path
    files: Path | None = None
    http2: bool = False

    @property
    def access_log(self) -> Path:
        """Where the access log goes when `policies` are on."""
        return self.folder / "access.log"


@dataclass(frozen=True)
class Launch:
    """How to start a server in the foreground; its standard output and error go to `output`, if given."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    output: Path | None = None


def binary(name: str, remedy: str) -> str:
    """The path of a program, or Missing with the remedy."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if found is None:
        raise Missing(f"{name} is not installed: {remedy}")
    return found


def write(setup: Setup, name: str, text: str) -> Path:
    """Put a configuration into the server's folder."""
    path = setup.folder / name
    path.write_text(text, encoding="utf-8")
    return path
