"""nginx: one worker, keep-alive to the backends, bodies streamed both ways and never on disk."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from bench.peers import web
from bench.peers.setup import BURST, DEBIAN, IDLE_LINKS, MAX_BODY_MEGABYTES, RATE, Launch, Setup, binary, write

NAME = "nginx"

FRAME = """daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
{user}
events {{ worker_connections 8192; }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server_tokens off; sendfile on; tcp_nodelay on;
    keepalive_timeout 75s; keepalive_requests 100000000;
{inside}
}}
"""

PROXY = """    {log}
    {zone}
    client_max_body_size {megabytes}m;
    upstream app {{
        {servers}
        keepalive {links}; keepalive_requests 100000000; keepalive_timeout 60s;
    }}
    server {{
        listen 127.0.0.1:{port} {tls} backlog=1024;
        server_name localhost;
        {certificate}
        location / {{
            {limit}
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_connect_timeout 5s; proxy_send_timeout 60s; proxy_read_timeout 120s;
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
        }}
    }}"""


def program() -> str:
    """The path of nginx."""
    return binary("nginx", DEBIAN)


def version() -> str:
    """As `nginx -v` says."""
    return subprocess.run([program(), "-v"], capture_output=True, text=True, check=True).stderr.strip().split("/")[-1]


def frame(folder: Path, inside: str) -> str:
    """A whole nginx.conf around what is inside its http block."""
    # Workers of a root nginx would run as nobody and could not write into the temporary folder.
    user = "user root;" if os.geteuid() == 0 else ""
    return FRAME.format(folder=folder, user=user, inside=inside)


def launch(setup: Setup) -> Launch:
    """Write nginx.conf and say how to start."""
    if setup.files is not None:
        path = write(setup, "nginx.conf", frame(setup.folder, web.inside(setup)))
        return Launch((program(), "-c", str(path), "-e", str(setup.folder / "error.log")))
    inside = PROXY.format(
        log=f"access_log {setup.access_log} combined;" if setup.policies else "access_log off;",
        zone=f"limit_req_zone $binary_remote_addr zone=per_ip:10m rate={RATE}r/s;" if setup.policies else "",
        limit=f"limit_req zone=per_ip burst={BURST} nodelay;" if setup.policies else "",
        megabytes=MAX_BODY_MEGABYTES,
        servers=" ".join(f"server {address};" for address in setup.backends),
        links=IDLE_LINKS,
        port=setup.port,
        tls=f"ssl{' http2' if setup.http2 else ''}" if setup.tls else "",
        certificate=(
            f"ssl_certificate {setup.certificate}; ssl_certificate_key {setup.key}; ssl_protocols TLSv1.2 TLSv1.3;"
            if setup.tls
            else ""
        ),
    )
    path = write(setup, "nginx.conf", frame(setup.folder, inside))
    return Launch((program(), "-c", str(path), "-e", str(setup.folder / "error.log")))
