"""The slice of the main level: processes, their user, their pid file, and how they stop."""

from __future__ import annotations

import os
from typing import Final

from proxy.config.nginx.frame import Frame
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written

USER: Final = "nobody"  # whom root's workers become when nothing is said
EVER: Final = 10 * 365 * 86400.0  # seconds: nginx sets draining workers no time
DEFAULT_PREFIX: Final = "/etc/nginx"

SPECS: Final[dict[str, Spec]] = {
    "user": spec("main", 1, 2),
    "pid": spec("main", 1),
    "daemon": spec("main", flag=True),
    "worker_processes": spec("main", 1),
    "worker_shutdown_timeout": spec("main", 1),
    "env": spec("main", 1, once=False),
}


def main(frame: Frame, table: Written, reading: Reading) -> None:
    """What the processes are told."""
    words = frame.words("user")
    if os.geteuid() == 0:
        table.put("user", words[0] if words else USER, frame.last("user"))
        if words and len(words) == 2:
            table.put("group", words[1], frame.last("user"))
    elif words:
        reading.warn(
            frame.own("user")[-1],
            'the "user" directive makes sense only if the master process runs with super-user privileges, ignored',
        )
    table.put("pid", reading.path(frame.word("pid", log_folder(reading, "/run") + "nginx.pid")), frame.last("pid"))
    table.put("daemon", frame.flag("daemon", True), frame.last("daemon"))
    if frame.word("worker_processes", "1") != "auto":
        table.put("workers", frame.number("worker_processes", 1, 1, 1024), frame.last("worker_processes"))
    timeouts = table.setdefault("timeouts", Written())
    patience = frame.time("worker_shutdown_timeout", 0.0)
    timeouts.put("shutdown", patience or EVER, frame.last("worker_shutdown_timeout"))


def log_folder(reading: Reading, standard: str) -> str:
    """Where a file goes that is not named: to "logs/" below a prefix of one's own, else where the system has it."""
    return f"{standard}/" if os.path.normpath(reading.prefix) == DEFAULT_PREFIX else "logs/"
