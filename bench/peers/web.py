"""What nginx and frontgate serve alike from one nginx.conf: files, zipped answers, many locations.

Rules: the same text inside `http { }` goes to both; the other servers have no such configuration and are left out.
Files lie behind ^~, or nginx would try all expressions for each of them.
"""

from __future__ import annotations

import json
from pathlib import Path

from bench.peers.setup import Missing, Setup

LOCATIONS = 500
SMALL, LARGE = 1024, 10_000_000

SITE = """    access_log off;
    open_file_cache max=1000; open_file_cache_valid 1s;
    types {{ text/plain txt; application/json json; }}
    gzip_types application/json;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        server_name localhost;
        root {files};
        location ^~ /files/ {{ alias {files}/; }}
        location ^~ /zipped/ {{ alias {files}/; gzip on; }}
{locations}
    }}"""

LOCATION = '        location ~ ^/r{number}/(.+)\\.html$ {{ return 200 "{number} $1\\n"; }}'


def make_files(folder: Path) -> None:
    """The files: 1 KB, 10 MB, and 20 KB of JSON."""
    folder.mkdir()
    (folder / "small.txt").write_bytes(b"x" * SMALL)
    (folder / "large.txt").write_bytes(b"x" * LARGE)
    rows = [{"id": number, "name": f"name {number}", "score": number * 37 % 101} for number in range(420)]
    (folder / "body.json").write_text(json.dumps(rows))


def inside(setup: Setup) -> str:
    """What stands inside `http { }`."""
    locations = "\n".join(LOCATION.format(number=number) for number in range(LOCATIONS))
    return SITE.format(port=setup.port, files=setup.files, locations=locations)


def refuse(setup: Setup) -> None:
    """For servers that only proxy: Missing in a scenario of this kind."""
    if setup.files is not None:
        raise Missing("it is not compared here: one nginx.conf is served by nginx and frontgate")
