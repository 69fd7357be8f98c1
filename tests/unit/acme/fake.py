"""An authority made for tests: it believes everybody, issues at once, and says what a test wants it to say.

Rules: it speaks RFC 8555 in a thread, in TLS; signatures and nonces are not looked at. `orders` are the payloads of the
orders that have come, `rules` what is answered instead, by path: a status, fields, and a problem document.
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Fake:
    """A running one, at `directory`."""

    def __init__(self, folder, *, advice=None):
        self.orders, self.rules, self.asked, self.advice = [], {}, [], advice
        self.days = 90
        self.wrong_key = False
        self.hold = threading.Event()  # issuing waits for it
        self.hold.set()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.chain = b""
        issuer = trustme.CA()
        self.ca = folder / f"ca-{id(self)}.pem"
        issuer.cert_pem.write_to_path(str(self.ca))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer.issue_cert("localhost").configure_cert(context)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}"
        self.directory = f"{self.url}/dir"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def handler(self):
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.answer(200, {}, b"")

            def do_GET(self):
                self.respond({})

            def do_POST(self):
                raw = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.respond(json.loads(decoded(raw["payload"]) or b"{}"))

            def respond(self, payload):
                fake.asked.append(self.path)
                if self.path in fake.rules:
                    self.answer(*fake.rules[self.path])
                else:
                    self.answer(*fake.answer(self.path, payload))

            def answer(self, status, fields, body):
                kind = "application/problem+json" if status >= 400 else "application/json"
                if isinstance(body, Iterator):
                    self.trickle(status, body)
                    return
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Replay-Nonce": "bm9uY2U", **fields}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def trickle(self, status, body):
                """A body that comes part by part, until nobody listens."""
                self.send_response(status)
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                with contextlib.suppress(OSError):
                    for part in body:
                        self.wfile.write(part)
                        time.sleep(0.02)
                self.close_connection = True

        return Handler

    def answer(self, path, payload):
        """Status, fields and body."""
        if path == "/dir":
            known = {name: f"{self.url}/{name}" for name in ("newNonce", "newAccount", "newOrder")}
            return 200, {}, known | ({"renewalInfo": f"{self.url}/ari"} if self.advice else {})
        if path == "/newAccount":
            return 201, {"Location": f"{self.url}/account"}, {"status": "valid"}
        if path == "/newOrder":
            self.orders.append(payload)
            return 201, {"Location": f"{self.url}/order"}, self.order("ready")
        if path == "/authz":
            return 200, {}, {"status": "valid", "identifier": {"type": "dns", "value": "any"}, "challenges": []}
        if path == "/finalize":
            self.hold.wait(10)
            self.chain = self.issue(x509.load_der_x509_csr(decoded(payload["csr"])))
            return 200, {}, self.order("valid")
        if path == "/order":
            return 200, {}, self.order("valid" if self.chain else "ready")
        if path == "/certificate":
            chain, self.chain = self.chain, b""
            return 200, {"Content-Type": "application/pem-certificate-chain"}, chain
        if path.startswith("/ari/"):
            start, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in self.advice)
            return 200, {"Retry-After": "7200"}, {"suggestedWindow": {"start": start, "end": end}}
        return 404, {}, {"type": "urn:ietf:params:acme:error:malformed", "detail": path}

    def order(self, status):
        return {
            "status": status,
            "identifiers": [],
            "authorizations": [f"{self.url}/authz"],
            "finalize": f"{self.url}/finalize",
            "certificate": f"{self.url}/certificate",
        }

    def issue(self, csr):
        """A certificate for a request."""
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Fake")])
        begins = datetime.now(UTC) - timedelta(seconds=60)
        shown = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        public = self.key.public_key() if self.wrong_key else csr.public_key()
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + timedelta(days=self.days))
            .add_extension(shown, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        return made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def problem(code, detail, status=400, **fields):
    """An answer that refuses."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return status, named, {"type": f"urn:ietf:params:acme:error:{code}", "detail": detail}
