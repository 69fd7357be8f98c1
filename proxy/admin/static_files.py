"""The files of the dashboard: read once, served from memory, and revalidated by browsers.

Rules: only what lay in the folder when the keeper began can be had, so no path leads elsewhere. They hold nothing of
the host, so whoever reaches the door may see them. The page runs no script but these and speaks to nobody but the door.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from proxy.admin.asked import Answer, Asked

FOLDER: Final = Path(__file__).parent / "static"
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


class File(NamedTuple):
    """One file, and the tag of its content."""

    content_type: str
    body: bytes
    tag: str


def files(folder: Path = FOLDER) -> dict[str, File]:
    """All files of the page by path; "/" is index.html."""
    found: dict[str, File] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        content_type = TYPES.get(path.suffix)
        if content_type is not None and path.is_file():
            body = path.read_bytes()
            found[f"/static/{path.relative_to(folder).as_posix()}"] = File(
                content_type, body, f'"{sha256(body).hexdigest()[:20]}"'
            )
    if "/static/index.html" in found:
        found["/"] = found["/static/index.html"]
    return found


def answer(file: File, asked: Asked) -> Answer:
    """A file, or that it is the one that the browser has."""
    fields = (("ETag", file.tag), ("Cache-Control", "no-cache"), ("Content-Security-Policy", POLICY))
    if file.tag in asked.fields.get("if-none-match", ""):
        return Answer(304, file.content_type, b"", fields=fields)
    return Answer(200, file.content_type, file.body, fields=fields)
