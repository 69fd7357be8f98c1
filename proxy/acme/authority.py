"""Speaks with an authority: an account, an order, a certificate (RFC 8555), and its advice on renewal (RFC 9773).

Rules: everything here blocks, so it runs in a thread; `over` ends every wait. What goes wrong is a Refusal with a
sentence, and with the seconds that the authority wants us to wait. An authority is not trusted with more than to issue
certificates: what it asks for are names that we have ordered and tokens that are tokens, and its answers are bounded
(`acme.talk`).
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any, Final

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.errors import Error as JoseError
from josepy.json_util import decode_b64jose, encode_b64jose, field
from josepy.jwa import ES256
from josepy.jwk import JWK, JWKEC

from proxy import __version__
from proxy.acme.store import Store
from proxy.acme.talk import PATIENCE, Talk, plain_words, reason
from proxy.config.acme import Acme, address_of

LONGEST: Final = 180.0  # seconds for the authority to look, and for it to issue
NONCES: Final = 3  # that may be refused, in pairs
STEP: Final = 1.0  # seconds between two looks
MOST_STEP: Final = 30.0

TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{16,200}")  # RFC 8555 section 8.3; `content.tokens` answers for no others
STRANGE: Final = (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)  # of answers without sense

Present = Callable[[str, str, str], None]  # name, token, what is to be shown for it


class Refusal(Exception):
    """Something went wrong. `wait` is how many seconds the authority wants us to wait, `proof` that a name was not
    proven, `away` that there was no authority to speak with. Its own words are shortened, and cannot pass for ours."""

    def __init__(self, sentence: str, wait: float = 0.0, *, proof: bool = False, away: bool = False) -> None:
        super().__init__(plain_words(sentence))
        self.wait = wait
        self.proof = proof
        self.away = away


class Network(client.ClientNetwork):
    """Asks once more, some times, when the authority does not like a nonce (RFC 8555 section 6.5); the library asks
    once."""

    def post(self, *words: Any, **more: Any) -> requests.Response:
        """Ask."""
        for _ in range(NONCES):
            try:
                return super().post(*words, **more)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*words, **more)


class Order(messages.NewOrder):
    """An order that says which certificate it replaces (RFC 9773 section 5)."""

    replaces: str = field("replaces", omitempty=True)
    profile: str = field("profile", omitempty=True)


class Authority:
    """An authority, by the address of its directory, and our account with it."""

    def __init__(self, directory: str, table: Acme, store: Store, over: Event) -> None:
        self.url = directory
        self._table = table
        self._store = store
        self._over = over
        digest = hashlib.sha256(f"{directory}\n{table.email or ''}".encode()).hexdigest()[:16]
        self._path = f"{store.folder}/accounts/{digest}.json"
        self._lock = f"account-{digest}"
        self._said = threading.local()  # by each thread's last answer
        self._client: client.ClientV2 | None = None

    # --- talk -------------------------------------------------------------------------------------------------------

    @property
    def _wait(self) -> float:
        """How many seconds the last answer wants us to wait."""
        return getattr(self._said, "wait", 0.0)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever goes wrong inside is a Refusal; the directory is asked for again then."""
        self._said.wait = 0.0
        try:
            yield
        except Refusal:
            raise
        except messages.Error as error:
            self._client = None
            parts = [error.detail or error.title or error.typ, *[one.detail or "" for one in error.subproblems or ()]]
            raise Refusal(f"{self.url}: {'; '.join(part for part in parts if part)}", self._wait) from None
        except (errors.Error, JoseError, requests.RequestException, OSError, ValueError) as error:
            self._client = None
            away = isinstance(error, requests.RequestException)
            raise Refusal(f"{self.url}: {reason(error)}", self._wait, away=away) from None
        except STRANGE as error:
            self._client = None
            words = f"{self.url}: it answers what makes no sense ({type(error).__name__}: {error})"
            raise Refusal(words, self._wait) from None

    def _heard(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Look at every answer: how long we are to wait."""
        self._said.wait = seconds(response.headers.get("Retry-After", ""))

    def _network(self, key: JWK) -> Network:
        trusted: Any = self._table.trusted_ca or True
        net = Network(key, alg=ES256, verify_ssl=trusted, user_agent=f"frontgate/{__version__}", timeout=PATIENCE)
        net.session = Talk()
        net.session.hooks["response"].append(self._heard)
        return net

    def open(self) -> client.ClientV2:
        """Be known to the authority, by the account that there is or a new one. Refusal."""
        known = self._client
        if known is not None:
            return known
        for _ in self._looks():
            with self._store.lock(self._lock) as held:
                if held:
                    with self._told():
                        known = self._client = self._opened()
                    return known
        raise Refusal(f"{self.url}: another process has been at our account for {LONGEST:g} s")

    def _account(self) -> dict[str, Any]:
        """What is known of our account. ValueError with a sentence."""
        try:
            known = json.loads(self._store.read(self._path) or b"{}")
        except ValueError:
            known = None
        if not isinstance(known, dict):
            raise ValueError(f"{self._path} cannot be understood: put it back, or remove it to have a new account")
        return known

    def _opened(self) -> client.ClientV2:
        known = self._account()
        if "key" not in known:
            made = JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
            known = {"directory": self.url, "email": self._table.email, "key": made.to_json()}
            self._store.write(self._path, json.dumps(known).encode())  # first, so that no account loses its key
        key = JWKEC.from_json(known["key"])
        if not isinstance(key, JWK):
            raise ValueError(f"{self._path} has no key")
        net = self._network(key)
        found = client.ClientV2(client.ClientV2.get_directory(self.url, net), net)
        if "uri" in known:
            net.account = messages.RegistrationResource(uri=known["uri"], body=messages.Registration())
            return found
        known["uri"] = self._registered(found, key)
        self._store.write(self._path, json.dumps(known).encode())
        return found

    def _registered(self, found: client.ClientV2, key: JWK) -> str:
        table = self._table
        if table.eab is None and found.external_account_required():
            raise ValueError("it wants our account to be bound to another: write [acme.eab] with kid and key")
        bound = None
        if table.eab is not None:
            if not re.fullmatch(r"[A-Za-z0-9_-]+=*", table.eab.key):
                raise ValueError("the key of [acme.eab] is none in base64url: letters, digits, - and _")
            public = key.public_key()
            bound = messages.ExternalAccountBinding.from_data(public, table.eab.kid, table.eab.key, found.directory)
        asked = messages.NewRegistration.from_data(
            email=table.email, terms_of_service_agreed=table.agree, external_account_binding=bound
        )
        try:
            return str(found.new_account(asked).uri)
        except errors.ConflictError as error:  # it knows our key already
            found.net.account = messages.RegistrationResource(uri=error.location, body=messages.Registration())
            return str(error.location)

    def forget(self) -> None:
        """The authority does not know our account any more: have a new one next time, with the same key."""
        known = self._account()
        known.pop("uri", None)
        self._store.write(self._path, json.dumps(known).encode())
        self._client = None

    # --- orders -----------------------------------------------------------------------------------------------------

    def issue(self, names: Sequence[str], csr: bytes, kind: str, present: Present, replaces: bytes) -> bytes:
        """A chain for names, proven by one kind of challenge, in place of the certificate `replaces`. Refusal."""
        found = self.open()
        with self._told():
            try:
                order = self._begun(found, names, csr, replaces)
            except messages.Error as error:
                if error.code != "accountDoesNotExist":
                    raise
                self.forget()
                found = self.open()
                order = self._begun(found, names, csr, replaces)
        with self._told():
            self._prove(found, order, names, kind, present)
        with self._told():
            return self._finished(found, order)

    def _begun(
        self, found: client.ClientV2, names: Sequence[str], csr: bytes, replaces: bytes
    ) -> messages.OrderResource:
        which = [
            messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=name.lower())
            if address_of(name) is None
            else messages.Identifier(typ=messages.IDENTIFIER_IP, value=str(address_of(name)))
            for name in names
        ]
        more = {"replaces": ari_name(replaces)} if replaces and _has_advice(found) else {}
        if self._table.profile is not None:
            more["profile"] = self._table.profile
        try:
            response = self._post(found, found.directory["newOrder"], Order(identifiers=which, **more))
        except messages.Error as error:
            if "replaces" not in more or error.code not in ("alreadyReplaced", "malformed", "conflict"):
                raise
            del more["replaces"]  # it has been replaced before, or is another authority's
            response = self._post(found, found.directory["newOrder"], Order(identifiers=which, **more))
        except errors.ConflictError:
            more.pop("replaces", None)
            response = self._post(found, found.directory["newOrder"], Order(identifiers=which, **more))
        uri = response.headers.get("Location")
        return messages.OrderResource(body=messages.Order.from_json(response.json()), uri=uri, csr_pem=csr)

    def _prove(
        self, found: client.ClientV2, order: messages.OrderResource, names: Sequence[str], kind: str, present: Present
    ) -> None:
        """Answer every challenge of an order for names, and wait until the authority has looked."""
        pending = []
        ours = {str(address_of(name) or name.lower()) for name in names}
        for url in order.body.authorizations:
            one = self._get(found, url).json()
            if one["status"] == "valid":
                continue
            name = one["identifier"]["value"]
            if name.lower() not in ours:
                raise Refusal(f"{self.url}: it asks us to prove {name!r}, which was not ordered")
            offered = [challenge for challenge in one["challenges"] if challenge["type"] == kind]
            if not offered:
                raise Refusal(f"{self.url}: {name} cannot be proven by {kind}", proof=True)
            # Of both kinds the token is authorized alike, and the library has words for one of them alone.
            token = offered[0]["token"]
            if not TOKEN.fullmatch(token):
                raise Refusal(f"{self.url}: it asks for {token!r}, which is no token")
            made = challenges.HTTP01(token=decode_b64jose(token))
            present(name.lower(), token, made.key_authorization(found.net.key))
            pending.append((name, url, offered[0]["url"], made.response(found.net.key)))
        for _, _, challenge, answer in pending:
            self._post(found, challenge, answer)
        self._await_proofs(found, [(name, url) for name, url, _, _ in pending], kind)

    def _await_proofs(self, found: client.ClientV2, pending: list[tuple[str, str]], kind: str) -> None:
        """Look at all that is not proven yet, as long as there is patience for all of them. Refusal."""
        for _ in self._looks():
            pending = [(name, url) for name, url in pending if not self._proven(found, name, url, kind)]
            if not pending:
                return
        names = ", ".join(name for name, _ in pending)
        raise Refusal(f"{self.url}: it has not looked for {names} in {LONGEST:g} s", proof=True)

    def _proven(self, found: client.ClientV2, name: str, url: str, kind: str) -> bool:
        """Whether a name is proven already. Refusal when it never will be."""
        one = self._get(found, url).json()
        if one["status"] in ("valid", "pending"):
            return bool(one["status"] == "valid")
        why = [told["error"].get("detail", "") for told in one["challenges"] if told.get("error")]
        raise Refusal(f"{name} was not proven by {kind}: {'; '.join(why) or one['status']}", proof=True)

    def _finished(self, found: client.ClientV2, order: messages.OrderResource) -> bytes:
        """Have the certificate issued, and get it."""
        csr = x509.load_pem_x509_csr(order.csr_pem)
        asked = False
        for _ in self._looks():
            body = self._get(found, order.uri).json()
            if body["status"] == "valid":
                return self._get(found, body["certificate"]).content
            if body["status"] == "invalid":
                raise Refusal(f"{self.url}: {(body.get('error') or {}).get('detail', 'the order has become invalid')}")
            if body["status"] == "ready" and not asked:
                self._post(found, body["finalize"], messages.CertificateRequest(csr=csr))
                asked = True
        raise Refusal(f"{self.url}: it has not issued a certificate in {LONGEST:g} s")

    def _looks(self) -> Iterator[None]:
        """Times to look: at once, then with pauses, as long as there is patience. Refusal when all is over."""
        end = time.monotonic() + LONGEST
        while time.monotonic() < end:
            yield
            if self._over.wait(min(max(STEP, self._wait), MOST_STEP)):
                raise Refusal("frontgate stops")

    def _post(self, found: client.ClientV2, url: str, what: Any) -> requests.Response:
        return found.net.post(url, what, new_nonce_url=found.directory["newNonce"])

    def _get(self, found: client.ClientV2, url: str) -> requests.Response:
        """POST-as-GET (RFC 8555 section 6.3)."""
        return self._post(found, url, None)

    # --- advice -----------------------------------------------------------------------------------------------------

    def advice(self, chain: bytes) -> tuple[tuple[float, float] | None, float]:
        """When the authority would have a certificate renewed, and in how many seconds to ask again (0: it does not
        say). Refusal."""
        found = self.open()
        with self._told():
            if not _has_advice(found):
                return None, 0.0
            name = ari_name(chain)
            if not name:
                return None, 0.0
            told = found.net.get(f"{found.directory['renewalInfo'].rstrip('/')}/{name}").json()
            window = told["suggestedWindow"]
            return (_time(window["start"]), _time(window["end"])), self._wait


def _has_advice(found: client.ClientV2) -> bool:
    try:
        return bool(found.directory["renewalInfo"])
    except KeyError:
        return False


def ari_name(chain: bytes) -> str:
    """What a certificate is called in RFC 9773 (section 4.1); "" for one without an identifier of its issuer's key."""
    try:
        found = x509.load_pem_x509_certificate(chain)
        issuer = found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (ValueError, x509.ExtensionNotFound):
        return ""
    number = found.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return f"{encode_b64jose(issuer)}.{encode_b64jose(serial)}" if issuer else ""


def seconds(text: str) -> float:
    """A value of Retry-After (RFC 9110 section 10.2.3) in seconds from now; 0 for none, or one that is past."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _time(text: str) -> float:
    """A time of RFC 3339 in seconds since 1970. Digits behind the sixth of a second are cut off."""
    head, dot, rest = text.replace("Z", "+00:00").replace("z", "+00:00").partition(".")
    if dot:
        digits = rest.rstrip("0123456789:+-") or rest
        zone = next((at for at, letter in enumerate(digits) if letter in "+-"), len(digits))
        head = f"{head}.{digits[:zone][:6].ljust(6, '0')}{digits[zone:]}"
    return datetime.fromisoformat(head).timestamp()
