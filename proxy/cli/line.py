"""The way of commands to the API of the admin door: over TCP, TLS or a unix socket, with the token that it asks for.

Rules: where the door is and which file has its token stands in the configuration that it runs with. Over TLS the door
is known by its very certificate, since it is asked by address. Who has to show one to it (`client_ca`) says which, with
--cert and --key or in the environment: that is the operator's own, and no affair of the configuration. What goes wrong
is a Trouble, in the door's own words where it has said any.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import ssl
from collections.abc import Iterable, Iterator
from typing import Any, Final

import shtab

from proxy.cli.asking import ASK_WITHIN, Trouble, UnixConnection, configured
from proxy.config import reading
from proxy.config.admin import Admin

JSON: Final = "application/json"
CERTIFICATE: Final = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # who accepts on every address answers on the loopback one
CERT, KEY = "FRONTGATE_ADMIN_CERT", "FRONTGATE_ADMIN_KEY"  # of the environment


def words_of_line(command: argparse.ArgumentParser) -> None:
    """What a command takes that asks the admin door."""
    configured(command)
    shown = {
        "--cert": f"certificate to show to an admin door with client_ca (default: ${CERT})",
        "--key": f"its private key (default: ${KEY}, or in the same file)",
    }
    for name, text in shown.items():
        option = command.add_argument(name, metavar="FILE", help=text)
        option.complete = shtab.FILE  # type: ignore[attr-defined]  # for `frontgate completion`


def line_of(asked: argparse.Namespace) -> Line:
    """The way to the admin door that a command is to ask. ConfigError, Trouble."""
    admin = reading.load(asked.config)[0].admin
    cert, key = asked.cert or os.environ.get(CERT), asked.key or os.environ.get(KEY)
    if key and not cert:
        raise Trouble(f"a key alone shows nothing: give its certificate too, with --cert FILE or in {CERT}")
    return Line(admin, cert or None, key or None)


class Line:
    """Asks the admin door that [admin] describes; `cert` and `key` are the files of the certificate that it shows."""

    def __init__(self, admin: Admin, cert: str | None = None, key: str | None = None) -> None:
        if admin.listen is None:
            raise Trouble('there is no admin door to ask: add [admin] with listen = "127.0.0.1:9000"')
        if admin.client_ca is not None and cert is None:
            raise Trouble(
                f"the admin door at {admin.listen} wants a certificate of whoever asks ([admin] client_ca): give yours "
                f"with --cert FILE and --key FILE, or in {CERT} and {KEY}"
            )
        self.admin = admin
        self.cert, self.key = cert, key
        self.address = admin.listen
        self.fields = credentials(admin)

    def connection(self, patience: float = ASK_WITHIN) -> http.client.HTTPConnection:
        """A connection that is still to be opened; `patience` in seconds."""
        if self.address.startswith("unix:"):
            return UnixConnection(self.address.removeprefix("unix:"))
        host, _, port = self.address.rpartition(":")
        host = host.strip("[]")
        host = EVERYWHERE.get(host, host)
        if self.admin.certificate is None:
            return http.client.HTTPConnection(host, int(port), timeout=patience)
        trust = ssl.create_default_context(cadata=first(self.admin.certificate))
        trust.check_hostname = False  # it is asked by address, and trusted by the file that it shows
        trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.cert is not None:
            shown(trust, self.cert, self.key)
        return http.client.HTTPSConnection(host, int(port), timeout=patience, context=trust)

    def ask(self, path: str) -> Any:
        """What GET answers at a path."""
        return self._speak("GET", path, None)

    def change(self, path: str, body: Any) -> Any:
        """What POST answers at a path."""
        return self._speak("POST", path, json.dumps(body).encode())

    def events(self, patience: float = 20.0) -> Iterator[tuple[str, Any]]:
        """The events of the door, as they come, until it ends. `patience`: seconds of silence that are borne."""
        connection = self.connection(patience)
        try:
            connection.request("GET", "/api/events", headers={**self.fields, "Accept": "text/event-stream"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise Trouble(reason(answer.status, answer.read(), self.address))
            yield from told(answer)
        except (OSError, http.client.HTTPException) as error:
            raise Trouble(f"nobody answers at the admin door {self.address} ({error}): does frontgate run?") from None
        except ValueError:
            raise Trouble(f"the admin door at {self.address} does not answer in JSON: is it frontgate's?") from None
        finally:
            connection.close()

    def _speak(self, method: str, path: str, body: bytes | None) -> Any:
        connection = self.connection()
        fields = {**self.fields, "Accept": JSON} if body is None else {**self.fields, "Content-Type": JSON}
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Trouble(f"nobody answers at the admin door {self.address} ({error}): does frontgate run?") from None
        finally:
            connection.close()
        if answer.status >= 400:
            raise Trouble(reason(answer.status, raw, self.address))
        try:
            return json.loads(raw)
        except ValueError:
            raise Trouble(f"the admin door at {self.address} does not answer in JSON: is it frontgate's?") from None


def shown(trust: ssl.SSLContext, cert: str, key: str | None) -> None:
    """Have a certificate shown to the door."""
    try:
        trust.load_cert_chain(cert, key)
    except OSError as error:  # ssl.SSLError is one
        files = cert if key is None else f"{cert} and {key}"
        raise Trouble(f"the certificate for the admin door in {files} cannot be used: {error.strerror}") from None


def credentials(admin: Admin) -> dict[str, str]:
    """The fields that show who asks; none where nobody is asked. The token that may change things is the better one."""
    path = admin.token or admin.read_token
    if path is None:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            return {"Authorization": f"Bearer {file.read().strip()}"}
    except OSError as error:
        raise Trouble(f"the token of the admin door in {path} cannot be read: {error.strerror}") from None


def first(path: str) -> str:
    """The door's own certificate, the first in its file: to trust those behind it too would be to trust whoever has had
    a certificate of the same authority."""
    try:
        with open(path, encoding="latin-1") as file:
            found = CERTIFICATE.search(file.read())
    except OSError as error:
        raise Trouble(f"the certificate of the admin door in {path} cannot be read: {error.strerror}") from None
    if found is None:
        raise Trouble(f"{path} holds no certificate in PEM: see [admin] certificate")
    return found[0]


def reason(status: int, raw: bytes, address: str) -> str:
    """Why the door refuses, in its words."""
    try:
        return str(json.loads(raw)["error"]["reason"])
    except (ValueError, KeyError, TypeError):
        return f"the admin door at {address} answers {status}: is it frontgate's?"


def told(lines: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    """The events in lines of a stream: name and body, which is JSON here (HTML Living Standard, section 9.2)."""
    name, body = "message", b""
    for line in lines:
        line = line.rstrip(b"\r\n")
        word, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if word == b"event":
            name = value.decode("utf-8", "replace")
        elif word == b"data":
            body += value
        elif not line:
            if body:
                yield name, json.loads(body)
            name, body = "message", b""
