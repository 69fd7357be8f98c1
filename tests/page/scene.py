"""A door in the middle of its day, made up: what the API would say of it, for every second.

Rules: what is said is what `proxy.admin.shapes` describes (a test holds it against that), and always the same for the
same second. Among it is all that the page must show: every state, an open breaker, a full backend, a limited client,
failures with long reasons, a certificate that ends soon.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

import proxy

START = 1_763_900_000.0
UPTIME = 186_400.0
REASONS = (
    (
        "connect_failed",
        502,
        "127.0.0.1:8003",
        "127.0.0.1:8003 refuses the connection, and no other backend was left to try",
    ),
    ("read_timeout", 504, "127.0.0.1:8002", "127.0.0.1:8002 said nothing for 30 s (read timeout)"),
    (
        "closed_early",
        502,
        "unix:/run/app/worker-4.sock",
        "the backend closed the connection before its answer was whole",
    ),
    ("queue_timeout", 503, None, "no backend of app was free within 5 s"),
)


def latency(rng: Random, middle: float) -> dict[str, float]:
    return {"p50": middle, "p90": middle * 2.2, "p99": middle * rng.uniform(4, 7), "mean": middle * 1.3}


def sample(at: float) -> dict[str, Any]:
    """What a second was like."""
    rng = Random(int(at))
    wave = 1 + 0.25 * math.sin(at / 47) + 0.1 * math.sin(at / 11)
    requests = round(420 * wave + rng.uniform(-25, 25), 1)
    trouble = int(at) % 97 < 12
    bad, wrong = (round(rng.uniform(4, 16), 1) if trouble else 0.0), round(rng.uniform(3, 9), 1)
    return {
        "at": at,
        "requests": requests,
        "classes": {"1xx": 0, "2xx": requests - bad - wrong - 4, "3xx": 4, "4xx": wrong, "5xx": bad, "other": 0},
        "bytes_in": requests * 900,
        "bytes_out": requests * 14_200,
        "latency": latency(rng, 0.011 * wave * (1.9 if trouble else 1)),
        "connections": int(160 * wave),
        "in_flight": int(9 * wave * (1.8 if trouble else 1)),
        "waiting": rng.randrange(1, 5) if trouble else 0,
        "rejected": round(rng.uniform(2, 6), 1),
        "faults": bad / 2,
    }


def backend(address: str, **more: Any) -> dict[str, Any]:
    """A backend that is well, but for what is said of it."""
    plain: dict[str, Any] = {
        "address": address,
        "state": "up",
        "why": "",
        "weight": 1,
        "configured_weight": 1,
        "drained": False,
        "disabled": False,
        "backup": False,
        "in_flight": 2,
        "max_conns": 0,
        "requests": 120_345,
        "failures": 0,
        "rate": 96.4,
        "share": 0.25,
        "latency": {"p50": 0.0112, "p90": 0.024, "p99": 0.062, "mean": 0.014},
        "breaker": "closed",
        "breaker_opened": 0,
    }
    one = {**plain, **more}
    return {**one, "load": one["in_flight"] / one["max_conns"] if one["max_conns"] else None}


NONE = {"p50": None, "p90": None, "p99": None, "mean": None}


def upstreams() -> list[dict[str, Any]]:
    """Two upstreams with everything that can be the matter with a backend."""
    app = [
        backend("127.0.0.1:8001", in_flight=4, max_conns=4, rate=182.3, share=0.45, weight=2, configured_weight=2),
        backend("127.0.0.1:8002", in_flight=3, max_conns=4, rate=101.2, share=0.25, failures=17),
        backend(
            "127.0.0.1:8003",
            state="down",
            why="its health check fails: connection refused",
            in_flight=0,
            rate=0.0,
            share=0.0,
            latency=NONE,
            failures=213,
        ),
        backend("unix:/run/app/worker-4.sock", rate=88.9, share=0.22, weight=3, in_flight=1, max_conns=4),
        backend(
            "127.0.0.1:8005",
            state="draining",
            why="the operator drains it",
            drained=True,
            in_flight=1,
            rate=0.0,
            share=0.08,
            max_conns=4,
        ),
        backend("127.0.0.1:8006", state="backup", backup=True, in_flight=0, rate=0.0, share=0.0, latency=NONE),
    ]
    search = [
        backend("10.0.3.11:9200", rate=31.0, share=0.97, in_flight=1, latency=latency(Random(1), 0.034)),
        backend(
            "10.0.3.12:9200",
            state="probing",
            breaker="probing",
            breaker_opened=3,
            rate=1.0,
            share=0.03,
            in_flight=1,
            why="its breaker tries whether it answers again",
            failures=44,
            latency=latency(Random(2), 0.3),
        ),
        backend(
            "10.0.3.13:9200",
            state="disabled",
            disabled=True,
            why="the operator has disabled it",
            in_flight=0,
            rate=0.0,
            share=0.0,
            latency=NONE,
        ),
    ]
    return [
        {"name": "app", "balance": "least_conn", "waiting": 2, "queued": 1832, "retries": 41, "backends": app},
        {"name": "search", "balance": "peak_ewma", "waiting": 0, "queued": 0, "retries": 1, "backends": search},
    ]


def limits(at: float) -> list[dict[str, Any]]:
    passed = int(at - START) * 410 + 5_000_000
    keys = [
        ("203.0.113.9", 1841, 0.4),
        ("2001:db8:71:4::/64", 322, 3),
        ("198.51.100.23", 97, 41),
        ("192.0.2.200", 4, 200),
    ]
    return [
        {
            "name": "per_ip",
            "key": "address",
            "rate": 10.0,
            "in_flight": None,
            "burst": 20,
            "passed": passed,
            "delayed": 120,
            "rejected": int(at - START) * 4 + 2264,
            "keys": [{"key": k, "rejected": n, "at_most": n, "at_least": n, "last": at - ago} for k, n, ago in keys],
        },
        {
            "name": "login",
            "key": "cookie:session",
            "rate": 0.1,
            "in_flight": None,
            "burst": 3,
            "passed": 8123,
            "delayed": 0,
            "rejected": 12,
            "keys": [{"key": "5f1c…e2", "rejected": 12, "at_most": 12, "at_least": 12, "last": at - 700}],
        },
        {
            "name": "uploads",
            "key": "address",
            "rate": None,
            "in_flight": 4,
            "burst": 0,
            "passed": 311,
            "delayed": 0,
            "rejected": 0,
            "keys": [],
        },
    ]


def brief(number: int, at: float) -> dict[str, Any]:
    """An exchange that failed."""
    fault, status, where, reason = REASONS[number % len(REASONS)]
    target = ("/api/orders/8127?expand=lines", "/api/search?q=front+door&page=2", "/checkout", "/api/reports/yearly")[
        number % 4
    ]
    return {
        "request_id": f"{number + 77:08x}5e0f4c1a9b3d2e71{number:08x}",
        "at": at,
        "worker": number % 2,
        "method": "POST" if number % 3 == 2 else "GET",
        "target": target,
        "host": "shop.example.com",
        "client": "203.0.113.9",
        "site": "shop",
        "route": "/",
        "status": status,
        "seconds": (0.004, 30.002, 0.871, 5.0)[number % 4],
        "upstream": "app",
        "backend": where,
        "attempts": 2 if number % 4 == 0 else 1,
        "fault": fault,
        "reason": reason,
        "explained": number % 4 != 3,
    }


def errors(at: float) -> list[dict[str, Any]]:
    return [brief(number, at - 3 - number * 19) for number in range(14)]


def slowest(at: float) -> list[dict[str, Any]]:
    times = (2.41, 1.86, 1.44, 0.97, 0.91, 0.83, 0.78, 0.61, 0.6, 0.52)
    return [
        {
            **brief(number, at - number),
            "status": 200,
            "fault": None,
            "reason": None,
            "seconds": seconds,
            "backend": "127.0.0.1:8002",
        }
        for number, seconds in enumerate(times)
    ]


def explanation(one: dict[str, Any]) -> dict[str, Any]:
    """The exchange `one`, told whole."""

    def candidate(address: str, state: str, in_flight: int, weight: int, **more: Any) -> dict[str, Any]:
        return {
            "address": address,
            "state": state,
            "why": "",
            "in_flight": in_flight,
            "max_conns": 4,
            "weight": weight,
            "fails": 0,
            "load": in_flight / weight,
            "tried": False,
            "chosen": False,
            **more,
        }

    first = [
        candidate("127.0.0.1:8001", "up", 4, 2, why="full: 4 of 4"),
        candidate("127.0.0.1:8002", "up", 3, 1),
        candidate("127.0.0.1:8003", "up", 0, 1, chosen=True),
        candidate("127.0.0.1:8005", "draining", 1, 1, why="the operator drains it"),
    ]
    again = [{**had, "chosen": had["address"] == "127.0.0.1:8002", "tried": had["chosen"]} for had in first]
    return {
        **one,
        "protocol": "HTTP/1.1",
        "bytes_in": 312,
        "bytes_out": 5021,
        "started": one["at"] - 0.412,
        "seconds": 0.412,
        "queue": {"seconds": 0.031},
        "limits": "passed",
        "limit": "per_ip",
        "timeline": [
            {"after": 0.0, "what": "request read"},
            {"after": 0.0002, "what": "waits in the queue of app"},
            {"after": 0.0312, "what": "127.0.0.1:8003 picked"},
            {"after": 0.0321, "what": "127.0.0.1:8002 picked"},
            {"after": 0.398, "what": "answer began"},
            {"after": 0.412, "what": "finished"},
        ],
        "picks": [
            {
                "after": 0.0312,
                "strategy": "least_conn",
                "chosen": "127.0.0.1:8003",
                "left_out": 0,
                "why": "0 in flight per weight 1 is the least of 4",
                "candidates": first,
            },
            {
                "after": 0.0321,
                "strategy": "least_conn",
                "chosen": "127.0.0.1:8002",
                "left_out": 0,
                "why": "the only one that was not tried, not full and not drained",
                "candidates": again,
            },
        ],
        "tries": [
            {
                "backend": "127.0.0.1:8003",
                "after": 0.0312,
                "connected": None,
                "answered": None,
                "seconds": 0.0009,
                "status": None,
                "fault": "connect_failed",
            },
            {
                "backend": "127.0.0.1:8002",
                "after": 0.0321,
                "connected": 0.0325,
                "answered": 0.398,
                "seconds": 0.38,
                "status": one["status"],
                "fault": None,
            },
        ],
        "sentence": f"{one['method']} {one['target']} took 412 ms: 31 ms in the queue of app, then 2 attempts.",
    }


def state(at: float) -> dict[str, Any]:
    return {
        "version": proxy.__version__,
        "at": at,
        "started": START - UPTIME,
        "uptime": at - START + UPTIME,
        "pid": 812,
        "reload": {"good": True, "at": START - 7200},
        "restarts": 1,
        "workers": 2,
        "connections": sample(at)["connections"],
        "listeners": [{"name": "web", "address": "0.0.0.0:8443", "tls": True, "http2": True, "redirect": None}],
        "explain": {"keep": 1000, "failed": 200},
        "configuration": "/etc/frontgate/frontgate.toml",
    }


def workers(at: float) -> list[dict[str, Any]]:
    return [
        {
            "slot": slot,
            "pid": 820 + slot,
            "started": START - UPTIME,
            "uptime": at - START + UPTIME,
            "connections": open_now,
            "accepted": 1_204_118 + slot * 3001,
        }
        for slot, open_now in enumerate((83, 77))
    ]


def sites(at: float, routes: bool = False) -> list[dict[str, Any]]:
    rng = Random(int(at))
    found = [
        {
            "name": name,
            "names": names,
            "listen": ["web"],
            "requests": {"2xx": 4_310_220, "4xx": 9_812, "5xx": wrong},
            "bytes_in": 812_000_000,
            "bytes_out": out,
            "rate": rate,
            "latency": latency(rng, middle),
        }
        for name, names, wrong, out, rate, middle in (
            ("shop", ["shop.example.com", "www.example.com"], 214, 61_200_000_000, 391.2, 0.0114),
            ("docs", ["docs.example.com"], 0, 4_100_000_000, 28.4, 0.0006),
        )
    ]
    return [{**one, "routes": []} for one in found] if routes else found


def certificates() -> list[dict[str, Any]]:
    rows = (
        ("shop", "acme shop.example.com", 61.4, True),
        ("docs", "certs/docs.example.com.pem", 9.2, False),
        ("new", "acme new.example.com", None, True),
    )
    return [
        {
            "site": site,
            "certificate": name,
            "days": days,
            "ordered": ordered,
            "ends": None if days is None else START + days * 86400,
        }
        for site, name, days, ordered in rows
    ]


def apps(at: float) -> list[dict[str, Any]]:
    states = ("serving", "serving", "starting")
    workers = [
        {
            "name": f"shop-{place + 1}",
            "seat": place,
            "address": f"unix:/run/frontgate/shop-{place + 1}.sock",
            "pid": 900 + place,
            "generation": 3,
            "state": word,
            "since": at - 60,
            "started": at - 4000,
            "age": 4000.0 if word == "serving" else 2.0,
            "requests": 40_000 - 77 * place,
            "in_flight": 2 - place,
            "memory": 81_000_000 + 1_300_000 * place,
            "restarts": place // 2,
            "recycled": 1,
        }
        for place, word in enumerate(states)
    ]
    shop = {"name": "shop", "app": "shop.main:app", "server": "uvicorn", "wanted": 3, "rolls": 2, "rollbacks": 1}
    return [{**shop, "rolled": at - 4000, "workers": workers}]


def live(at: float) -> list[dict[str, Any]]:
    return [
        {
            "worker": 0,
            "request_id": "00000a115e0f4c1a9b3d2e7100000001",
            "method": "GET",
            "target": "/api/reports/yearly",
            "host": "shop.example.com",
            "client": "198.51.100.23",
            "site": "shop",
            "started": at - 3.2,
            "seconds": 3.2,
            "state": "at backend",
            "backend": "127.0.0.1:8002",
            "upstream": "app",
            "attempts": 1,
            "bytes_out": 0,
            "protocol": "HTTP/2",
        },
        {
            "worker": 1,
            "request_id": "",
            "method": "PUT",
            "target": "/upload/photo.jpg",
            "host": "shop.example.com",
            "client": "2001:db8:71:4::1",
            "site": "shop",
            "started": at - 1,
            "seconds": 1.0,
            "state": "reading",
            "backend": None,
            "upstream": None,
            "attempts": 0,
            "bytes_out": 0,
            "protocol": "HTTP/1.1",
        },
    ]


def config() -> dict[str, Any]:
    file = "/etc/frontgate/frontgate.toml"
    rows = (
        ("workers", 2, 1, True, False),
        ("admin.listen", "127.0.0.1:9000", 4, True, False),
        ("upstream.app.balance", "least_conn", 21, True, False),
        ("upstream.app.zone", "64k", None, False, False),
        ("site.shop.names", ["shop.example.com", "www.example.com"], 40, True, False),
        ("auth.staff.secret", "(secret)", 52, True, True),
    )
    return {
        "file": file,
        "values": [
            {"key": key, "value": value, "file": file if said else None, "line": line, "said": said, "secret": secret}
            for key, value, line, said, secret in rows
        ],
    }


def tick(at: float) -> dict[str, Any]:
    """The event of a second."""
    return {
        "sample": sample(at),
        "state": state(at),
        "sites": sites(at),
        "upstreams": upstreams(),
        "limits": limits(at),
        "workers": workers(at),
    }
