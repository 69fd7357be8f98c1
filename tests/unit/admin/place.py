"""A host with numbers in it, filled by hand, as two workers would have."""

from __future__ import annotations

from proxy import ledger
from proxy.admin.standing import Standing
from proxy.config.model import Model
from proxy.shared.arena import Arena, Layout
from proxy.shared.memory import Memory

MODEL = Model.model_validate(
    {
        "listen": {"web": {"address": "0.0.0.0:8443", "tls": False}, "plain": {"address": "unix:/run/x.sock"}},
        "limit": {"per_ip": {"rate": "10r/s", "burst": 20}},
        "upstream": {
            "app": {
                "balance": "least_conn",
                "servers": [
                    {"address": "127.0.0.1:8001", "weight": 3},
                    {"address": "127.0.0.1:8002", "backup": True},
                    {"address": "127.0.0.1:8003", "down": True},
                    {"address": "127.0.0.1:8004"},
                ],
            }
        },
        "site": {"api": {"names": ["api.example.com"], "route": [{"path": "/", "upstream": "app"}]}},
    }
)
DOWN_UNTIL = ("backend", "app", "127.0.0.1:8004", "down_until_ms")


def standing(**more):
    layout = Layout([*ledger.counters(MODEL), DOWN_UNTIL])
    arena = Arena(Memory(Arena.size(4)), 4, layout)
    numbers = {
        ("worker", "connections"): (5, 7),
        ("worker", "accepted"): (50, 70),
        ("site", "api", "requests", "2xx"): (100, 20),
        ("site", "api", "requests", "5xx"): (1, 0),
        ("route", "api", "/", "app", "requests", "GET", "2xx"): (90, 20),
        ("route", "api", "/", "app", "requests", "POST", "2xx"): (10, 0),
        ("route", "api", "/", "app", "requests", "GET", "5xx"): (1, 0),
        ("site", "api", "duration", "0.005"): (60, 10),
        ("site", "api", "duration", "0.1"): (40, 10),
        ("site", "api", "duration", "+Inf"): (1, 0),
        ("site", "api", "duration_us"): (2_500_000, 500_000),
        ("site", "api", "bytes_in"): (1000, 1),
        ("site", "api", "bytes_out"): (2000, 2),
        ("backend", "app", "127.0.0.1:8001", "inflight"): (2, 1),
        ("backend", "app", "127.0.0.1:8001", "taken"): (90, 20),
        ("backend", "app", "127.0.0.1:8001", "failures"): (3, 0),
        DOWN_UNTIL: (5_000, 6_000),
        ("limit", "per_ip", "passed"): (30, 12),
        ("limit", "per_ip", "rejected"): (9, 0),
        ("fault", "read_timeout", "total"): (0, 4),
    }
    for name, cells in numbers.items():
        for row, number in enumerate(cells):
            arena.cells(row)[arena.column(name)] = number
    return Standing(
        **{
            "model": MODEL,
            "arena": arena,
            "version": "1.2.3",
            "started": 1000.0,
            "pids": {0: 4711, 1: 4712},
            "restarts": 2,
            **more,
        }
    )
