"""The few words of an exchange that policies look at."""

from __future__ import annotations

from proxy.policy.backend import Backend


class Client:
    def __init__(self, packed=b"\x7f\x00\x00\x01", address=b"127.0.0.1"):
        self.packed = packed
        self.address = address


class Fields:
    def __init__(self, **values):
        self.values = values

    def get(self, name):
        return self.values.get(name.decode())

    def cookie(self, name):
        return self.values.get("cookie_" + name.decode())


class Asking:
    """An exchange as far as strategies and keys know it."""

    def __init__(self, packed=b"\x7f\x00\x00\x01", address=b"127.0.0.1", **fields):
        self.client = Client(packed, address)
        self.fields = Fields(**fields)


def backends(*weights, **options):
    return [Backend(chr(ord("a") + i), weight=weight, **options) for i, weight in enumerate(weights)]
