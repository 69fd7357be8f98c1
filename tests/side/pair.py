"""nginx and frontgate side by side: the same nginx.conf, the same files, the same backend, the same requests.

Rules: each server has a folder and ports of its own, which stand as %%P1%%, %%P2%% in the configuration; %%FILES%% is
the folder of files and %%B1%% the port of a backend that tells what it was asked. What is compared is a status, the
fields and the body, in which the servers' own names and ports are written alike.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import h11
from door import free_port

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
UNTOLD = frozenset((b"date", b"server"))
PATIENCE = 10.0

HEAD = """
daemon off;
pid %%HERE%%/pid;
error_log %%HERE%%/error.log;
worker_processes 1;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path %%HERE%%/body;
    proxy_temp_path %%HERE%%/proxy;
    fastcgi_temp_path %%HERE%%/fastcgi;
    uwsgi_temp_path %%HERE%%/uwsgi;
    scgi_temp_path %%HERE%%/scgi;
"""


@dataclass
class Told:
    """What a client reads."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes

    def likened(self, ports):
        """The same with names and ports that differ by nature written alike."""

        def plain(text):
            for number, port in enumerate(ports):
                text = text.replace(b":%d" % port, b":P%d" % number).replace(b"=%d;" % port, b"=P%d;" % number)
            return re.sub(rb"nginx/[\d.]+|\bnginx\b|\bfrontgate\b", b"SERVER", text)

        body, untold = self.body, UNTOLD
        if (b"content-encoding", b"gzip") in self.fields and body:  # there are many ways to say the same, and to end it
            body, untold = gzip.decompress(body), UNTOLD | {b"transfer-encoding", b"content-length"}
        body = plain(body)
        length = b"%d" % len(self.body)  # which a name in the body makes longer
        told = [(b"content-length", b"%d" % len(body)) if field == (b"content-length", length) else field
                for field in self.fields]  # fmt: skip
        return self.status, sorted((name, plain(value)) for name, value in told if name not in untold), body


@dataclass
class Server:
    """One of the two, running."""

    name: str
    folder: Path
    ports: list[int]
    process: subprocess.Popen = field(repr=False)

    def ask(self, request, door=0, secure=False):
        """Send raw bytes to one of the doors, over TLS if asked to, and read one answer."""
        with socket.create_connection(("127.0.0.1", self.ports[door]), timeout=PATIENCE) as plain:
            connection = over_tls(plain, request) if secure else plain
            connection.sendall(request)
            return read_answer(connection, request.split(b" ", 1)[0])

    def talk(self, requests, door=0):
        """Send requests on one connection, each when the answer before it is read; status 0 once it is closed."""
        told = []
        with socket.create_connection(("127.0.0.1", self.ports[door]), timeout=PATIENCE) as connection:
            for request in requests:
                try:
                    connection.sendall(request)
                    told.append(read_answer(connection, request.split(b" ", 1)[0]))
                except (BrokenPipeError, ConnectionResetError):
                    told.append(Told(0, [], b""))
        return told

    def tell(self, asked, door=0, secure=False):
        """What it answers to a request, or to several on one connection, with its names and ports made alike."""
        if isinstance(asked, bytes):
            return self.ask(asked, door, secure).likened(self.ports)
        return [one.likened(self.ports) for one in self.talk(asked, door)]

    def end(self):
        """Stop it, and see that it stops."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)


def over_tls(plain, request):
    """A connection with the handshake done; the name in Host is asked for, and nothing is verified."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=re.search(rb"Host: ([^:\r]*)", request)[1].decode() or None)


def read_answer(connection, method=b"GET"):
    """One whole answer off a connection; status 0 when it is closed without one."""
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    reader.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    reader.send(h11.EndOfMessage())
    head, body = None, b""
    while True:
        event = reader.next_event()
        if event is h11.NEED_DATA:
            try:
                data = connection.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data and head is None and not reader.trailing_data[0]:
                return Told(0, [], b"")
            reader.receive_data(data)
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return Told(head.status_code, [(bytes(n).lower(), bytes(v)) for n, v in head.headers], body)


def start(name, command, text, folder, ports, files, backend):
    """Run a server until it accepts; its own words when it does not."""
    folder.mkdir()
    (folder / "logs").mkdir()
    user = "user root;\n" if os.geteuid() == 0 else ""  # whose files the tests write
    conf = user + HEAD + text + "\n}\n"
    for number, port in enumerate(ports, 1):
        conf = conf.replace(f"%%P{number}%%", str(port))
    conf = conf.replace("%%HERE%%", str(folder)).replace("%%FILES%%", str(files)).replace("%%B1%%", str(backend))
    (folder / "nginx.conf").write_text(conf)
    process = subprocess.Popen(
        [*command, "-p", f"{folder}/", "-c", str(folder / "nginx.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.environ.get("FRONTGATE_UNDER_TEST", str(Path(__file__).parents[2]))},
    )
    deadline = time.monotonic() + PATIENCE
    while not (folder / "pid").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"{name} does not start: {process.stderr.read().decode()}")
        time.sleep(0.01)
    return Server(name, folder, ports, process)


def both(text, folder, files, backend):
    """nginx and frontgate with the same configuration."""
    doors = len(set(re.findall(r"%%P(\d)%%", text)))
    ports = [free_port() for _ in range(2 * doors)]
    ours = [sys.executable, "-P", "-m", "proxy.cli", "nginx"]
    nginx = start("nginx", [NGINX], text, folder / "nginx", ports[:doors], files, backend)
    try:
        return nginx, start("frontgate", ours, text, folder / "frontgate", ports[doors:], files, backend)
    except BaseException:
        nginx.end()
        raise


class Backend:
    """A backend that answers with what it was asked; some paths ask for more, such as /status/N."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Answer no more."""
        self._socket.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    more = connection.recv(65536)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                body, data = self._body(connection, head, data)
                if body is None:
                    return
                connection.sendall(answer(head, body))
                if b" HTTP/1.0" in head.split(b"\r\n")[0] or b"connection: close" in head.lower():
                    return

    @staticmethod
    def _body(connection, head, data):
        match = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if match is None and b"chunked" in head.lower():
            while b"0\r\n\r\n" not in data:
                data += connection.recv(65536)
            body, _, data = data.partition(b"0\r\n\r\n")
            return body, data
        length = int(match[1]) if match else 0
        while len(data) < length:
            more = connection.recv(65536)
            if not more:
                return None, b""
            data += more
        return data[:length], data[length:]


def answer(head, body):
    """What the backend says to a request."""
    target = head.split(b" ")[1]
    # nginx 1.22 closes links where newer ones, and frontgate, keep them: what says so is not told.
    fields = [line for line in head.split(b"\r\n")[1:] if not line.lower().startswith(b"connection:")]
    told = b"\n".join([head.split(b"\r\n")[0], *sorted(fields, key=bytes.lower), body])
    status, more, content = b"200 OK", b"Content-Type: text/plain\r\n", told
    path = target.partition(b"?")[0]
    if match := re.search(rb"/status/(\d{3})", path):
        status = match[1] + b" Told"
    if match := re.search(rb"/goto/(.*)", target):
        status, more = b"302 Found", more + b"Location: %b\r\n" % match[1]
    if b"/cookies" in path:
        more += b"Set-Cookie: a=1; Domain=old.example; Path=/old/; Secure\r\nSet-Cookie: b=2; path=/x\r\n"
    if b"/fields" in path:
        more += b"X-One: 1\r\nX-Two: 2\r\nServer: behind\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-Accel-Test: 1\r\n"
    if b"/json" in path:
        more, content = b"Content-Type: application/json\r\n", b'{"key": "%b"}' % (b"value" * 200)
    if b"/gzipped" in path:
        more, content = more + b"Content-Encoding: gzip\r\n", gzip.compress(b"zipped " * 100, mtime=0)
    if b"/tagged" in path:
        more += b'ETag: "tag"\r\nLast-Modified: Thu, 01 Jan 2015 00:00:00 GMT\r\nCache-Control: max-age=5\r\n'
    if b"/sent" in path:
        more += b"X-Accel-Redirect: /inner/small.txt\r\nSet-Cookie: kept=1\r\n"
    if head.startswith(b"HEAD"):
        return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n" % (status, more, len(content))
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, more, len(content), content)
