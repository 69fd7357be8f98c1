"""Balancers and what binds clients in TOML: what goes together."""

from __future__ import annotations

import pytest

from proxy.config.balance_rules import findings
from proxy.config.upstream import Upstream


def told(**table):
    table.setdefault("servers", ["10.0.0.1:80"])
    return [sentence for _, sentence in findings(Upstream.model_validate(table))]


@pytest.mark.parametrize(
    "table",
    [
        {"balance": "hash", "hash": "$uri", "consistent": True},
        {"balance": "least_time", "inflight": True},
        {"balance": "random_two", "random_by": "least_time"},
        {"sticky": {"cookie": "srv", "expires": "1h", "samesite": "lax"}},
        {"sticky": {"cookie": "srv", "expires": "max", "samesite": "$arg_s"}},
        {"sticky": {"route": ["$arg_a"]}},
        {"sticky": {"learn": {"create": ["$upstream_cookie_s"], "lookup": ["$cookie_s"]}}},
        {"servers": [{"address": "a.test:80", "resolve": True}]},
        {"servers": [{"address": "a.test:80", "resolve": True, "service": "http"}], "resolver": {"servers": ["::1"]}},
    ],
)
def test_what_is_right(table):
    assert told(**table) == []


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"balance": "hash"}, "a hash needs something to go by"),
        ({"hash": "$uri"}, 'go with balance = "hash" only'),
        ({"consistent": True}, 'go with balance = "hash" only'),
        ({"inflight": True}, 'goes with balance = "least_time" only'),
        ({"sticky": {}}, "exactly one of cookie, route and learn"),
        ({"sticky": {"cookie": "a", "route": ["$b"]}}, "exactly one of cookie, route and learn"),
        ({"sticky": {"route": ["$b"], "secure": True}}, "only a cookie has attributes: leave out secure"),
        ({"sticky": {"cookie": "a", "samesite": "maybe"}}, 'must be "strict", "lax" or "none"'),
        ({"balance": "random", "servers": [{"address": "a:1", "backup": True}]}, "random knows no backup servers"),
        ({"servers": [{"address": "a:1", "service": "http"}]}, "add resolve = true"),
        ({"servers": [{"address": "10.0.0.1:1", "resolve": True}]}, "is no name: leave out resolve"),
    ],
)
def test_what_is_wrong(table, sentence):
    assert any(sentence in one for one in told(**table))
