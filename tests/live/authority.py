"""A real authority for tests: Debian's pebble, with a name server that sends every name to this machine.

Rules: those of `door`. Pebble looks at the ports that it is given; it asks for no pauses, and rejects one nonce in ten.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import tempfile
import urllib.request
import weakref
from pathlib import Path
from typing import Any

from door import free_port, until

PEBBLE = shutil.which("pebble")
NAMES = shutil.which("pebble-challtestsrv")
MISSING = "pebble and pebble-challtestsrv are not installed (Debian: apt-get install pebble)"


class Pebble:
    """A running authority. `http` and `tls` are the ports at which names are looked at."""

    def __init__(self, http: int, tls: int, **more: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pebble-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.port, self.management, self.dns, self.names = (free_port() for _ in range(4))
        self.ca = self.folder / "ca.pem"
        self._certify()
        table = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(self.ca),
            "privateKey": str(self.folder / "key.pem"),
            "httpPort": http,
            "tlsPort": tls,
            "ocspResponderURL": "",
            **more,
        }
        (self.folder / "config.json").write_text(json.dumps({"pebble": table}))
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def directory(self) -> str:
        """The address to write into [acme]."""
        return f"https://localhost:{self.port}/dir"

    def _certify(self) -> None:
        words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext"
        asked = [*words.split(), "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run(
            [*asked, "-keyout", self.folder / "key.pem", "-out", self.ca],
            check=True,
            capture_output=True,
        )

    def __enter__(self) -> Pebble:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to answer."""
        assert PEBBLE is not None and NAMES is not None
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "10"}
        words = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-dns01", f"127.0.0.1:{self.dns}"]
        words += ["-management", f"127.0.0.1:{self.names}", "-defaultIPv6", ""]
        asked = [PEBBLE, "-config", str(self.folder / "config.json"), "-dnsserver", f"127.0.0.1:{self.dns}"]
        with open(self.folder / "log.txt", "ab") as log:
            for command in ([NAMES, *words], asked):
                self._processes.append(
                    subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
                )
        until(lambda: self.root(), 10.0, "pebble's start")

    def stop(self) -> None:
        """Answer no more."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(10.0)
        self._processes.clear()

    def root(self) -> str:
        """The certificate by which those that it issues are believed (PEM)."""
        trusted = ssl.create_default_context(cafile=str(self.ca))
        with urllib.request.urlopen(f"https://localhost:{self.management}/roots/0", context=trusted) as found:
            return str(found.read().decode())

    def log(self) -> str:
        """What it has written."""
        return (self.folder / "log.txt").read_text(errors="replace")
