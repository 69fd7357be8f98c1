"""Gunicorn's settings for a FastAPI application behind frontgate.

To start one by hand: `FRONTGATE_BIND=127.0.0.1:8001 gunicorn -c backends/gunicorn.conf.py backends.app:app`.

Rules: only settings that UvicornWorker obeys stand here, and at the end is a sentence on each well-known one that is
left out; what differs between two instances comes from the environment: FRONTGATE_BIND (host:port or unix:/path) and
WEB_CONCURRENCY (worker processes).

Rather than one Gunicorn with many workers, start several with one worker each: the workers of one Gunicorn race for
the connections of one shared socket, and with kept-alive connections the winner keeps them, whereas frontgate can
balance over sockets of their own.
"""

from __future__ import annotations

import os

# Where this instance listens. Loopback or a unix socket: only the door should be able to reach it.
bind = os.environ.get("FRONTGATE_BIND", "127.0.0.1:8001")

# Connections that the kernel holds while the workers are busy. UvicornWorker passes it on.
backlog = 2048

# Worker processes behind this one socket. An asynchronous worker fills a core, so one per core and no more.
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))

# The package uvicorn-worker; `uvicorn.workers.UvicornWorker` is deprecated. It picks uvloop and httptools by itself
# when they are installed (UvicornH11Worker is the slow pair, asyncio and h11, meant for PyPy).
worker_class = "uvicorn_worker.UvicornWorker"

# Seconds an idle connection is kept. It must be longer than the door keeps its idle links (`keepalive_timeout` of the
# upstream in frontgate's configuration, 60 s in the demo), or the door sends a request into a connection that is just
# being closed. Gunicorn's default is 2 s.
keepalive = 75

# Whose X-Forwarded-For and X-Forwarded-Proto are believed. Only the door's: it stands on this host, and it throws away
# what clients wrote there and sends exactly one address. A unix socket has no address to compare, hence "*", which is
# honest only there: whoever may open the socket is the door. On a TCP address "*" lets every client choose its address.
forwarded_allow_ips = "*" if bind.startswith("unix:") else "127.0.0.1,::1"

# ... and so the socket is for this user and group alone (Gunicorn's default is everybody): put the door into the group.
umask = 0o007

# A heartbeat, not a time limit on requests: a worker whose event loop does not turn for this many seconds is killed,
# with all its requests. A slow `await` never triggers it. How long a request may take is decided at the door
# (`timeouts.read`).
timeout = 30

# Restart a worker after so many requests: a bandage for memory leaks. 0 is never, and that is the honest default: the
# worker closes its connections when it goes and the requests just arriving on them are lost or must be retried. Who
# needs it sets a large number and a jitter of a tenth of it, so that not all the workers go at once.
max_requests = 0
max_requests_jitter = 0

# The log of starts, stops and errors, to standard error. There is no access log here: the door writes one, with the
# backend and the timings in it.
errorlog = "-"
loglevel = "info"

# Gunicorn 25 and later open a control socket at one path per user, which several instances would fight for.
control_socket_disable = True

# Left out, because UvicornWorker ignores them:
#   worker_connections: uvicorn's counterpart (limit_concurrency) cannot be set from here; use the door's `max_conns`.
#   threads: there is one event loop per worker; `def` endpoints run in Starlette's own pool of threads.
#   limit_request_line, limit_request_fields: uvicorn never reads them; the door limits heads (`http.max_head`,
#     `http.max_fields`, `http.max_target`).
#   graceful_timeout: the worker does not know it and waits for its requests; only the master uses it, to kill a worker
#     that is still there 30 s (the default) after a stop.
# And `kill -HUP` is not free of losses: the old workers are stopped once the new ones are started, not once they are
# ready.
