"""What the demo needs: the addresses and files in a configuration, and whether they are free or answer.

Rules: nothing is started or written here; an address is "host:port" or "unix:" and an absolute path.
"""

from __future__ import annotations

import errno
import shutil
import socket
import ssl
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Trouble(Exception):
    """The demo cannot go on; the text is one or more sentences for the person who started it."""


@dataclass(frozen=True)
class Plan:
    """What the demo needs, read from the configuration."""

    config: Path
    secure: str
    plain: str
    admin: str
    backends: tuple[str, ...]
    certificate: Path
    key: Path

    @property
    def folder(self) -> Path:
        """Where certificates, sockets and logs are."""
        return self.certificate.parent

    @property
    def authority(self) -> Path:
        """The certificate of the authority that signs ours: what `curl --cacert` is given."""
        return self.folder / "ca.pem"


def read_plan(config: Path) -> Plan:
    """Read the addresses and files of a configuration; raise `Trouble` when it is not one the demo can run."""
    try:
        toml: dict[str, Any] = tomllib.loads(config.read_text())
        listeners = toml["listen"].values()
        site = next(site for site in toml["site"].values() if "certificate" in site)
        servers = [server for upstream in toml["upstream"].values() for server in upstream["servers"]]
        addresses = [server if isinstance(server, str) else server["address"] for server in servers]
        return Plan(
            config=config.resolve(),
            secure=next(listener["address"] for listener in listeners if listener.get("tls")),
            plain=next(listener["address"] for listener in listeners if not listener.get("tls")),
            admin=toml["admin"]["listen"],
            backends=tuple(dict.fromkeys(absolute(address, config) for address in addresses)),
            certificate=(config.resolve().parent / site["certificate"]).resolve(),
            key=(config.resolve().parent / site["key"]).resolve(),
        )
    except OSError as error:
        raise Trouble(f"{config} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, KeyError, StopIteration) as error:
        raise Trouble(
            f"{config} is not a configuration for the demo, which needs [admin], [upstream.*], a listener with tls,"
            f" one without, and a site with a certificate ({type(error).__name__}: {error})."
        ) from error


def absolute(address: str, config: Path) -> str:
    """Make the path of a unix address absolute: in the configuration it is relative to the file's folder."""
    if not address.startswith("unix:"):
        return address
    return f"unix:{(config.resolve().parent / address.removeprefix('unix:')).resolve()}"


def busy(address: str) -> str | None:
    """Say why nobody can listen on the address now, in a sentence; None when it is free."""
    if address.startswith("unix:"):
        # Gunicorn takes over a socket file that nobody listens on any more.
        in_use = connects(address)
        return f"{address} is in use by another program: stop that first." if in_use else None
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return f"Port {port} on {host} cannot be opened: {error.strerror}."
            return f"Port {port} on {host} is busy: stop the program that has it{who_has(port)}."
    return None


def who_has(port: str) -> str:
    """Say which command of this system shows who has the port; empty when there is none."""
    if shutil.which("ss"):
        return f" (`ss -ltnp 'sport = :{port}'` shows which)"
    if shutil.which("lsof"):
        return f" (`lsof -nP -iTCP:{port} -sTCP:LISTEN` shows which)"
    return ""


def dial(address: str) -> socket.socket:
    """Connect to an address within a second; raise OSError when nobody is there."""
    if address.startswith("unix:"):
        dialled = socket.socket(socket.AF_UNIX)
        dialled.settimeout(1)
        try:
            dialled.connect(address.removeprefix("unix:"))
        except OSError:
            dialled.close()
            raise
        return dialled
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=1)


def connects(address: str) -> bool:
    """Say whether somebody accepts connections there."""
    try:
        dial(address).close()
    except OSError:
        return False
    return True


def healthy(address: str, tls: ssl.SSLContext | None = None) -> bool:
    """Say whether GET /healthz is answered with 200."""
    try:
        with dial(address) as dialled:
            wire = tls.wrap_socket(dialled, server_hostname="localhost") if tls else dialled
            with wire:
                wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return wire.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
