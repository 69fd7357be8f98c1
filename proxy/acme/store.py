"""The folder of [acme]: accounts, certificates with their keys, what proves names, and what is remembered of each.

Rules: every file is readable by its owner alone and changes at once (written beside, synced, renamed), so whoever reads
sees the old or the new. Whoever orders holds the lock of the certificate, which the system takes back from a process
that dies; hosts that share the folder need a file system whose locks hold between hosts (NFS from version 4 on does).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from proxy.config import acme
from proxy.policy.renewal import Plan

STALE: Final = 86400.0  # seconds after which what should have proven a name is a leftover
_LEFT: Final = re.compile(r"\.new-\w+")


class Store:
    """One such folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Have the folders there are, and see that they can be written to. OSError."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        parts = ("accounts", "certificates", "challenges/http", "challenges/tls", "locks", "placeholders", "plans")
        for part in (*parts, "requests"):
            os.makedirs(f"{self.folder}/{part}", mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.folder):
            pass

    # --- files ------------------------------------------------------------------------------------------------------

    def write(self, path: str, content: bytes) -> None:
        """Have a file with this content, at once. OSError."""
        folder = os.path.dirname(path)
        descriptor, beside = tempfile.mkstemp(prefix=".new-", dir=folder)  # made for its owner alone
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.rename(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def read(self, path: str) -> bytes:
        """What is in a file; b"" when it is not there."""
        try:
            return Path(path).read_bytes()
        except FileNotFoundError:
            return b""

    def remove(self, path: str) -> None:
        """Have no such file."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def sweep(self) -> None:
        """Remove what processes that died have left."""
        for path in Path(self.folder).glob("*/**/*"):
            with contextlib.suppress(OSError):
                old = time.time() - path.stat().st_mtime > STALE
                proves = path.relative_to(self.folder).parts[0] == "challenges"
                if old and path.is_file() and (proves or _LEFT.fullmatch(path.name)):
                    path.unlink()

    # --- what there is ----------------------------------------------------------------------------------------------

    def bundle(self, one: str) -> bytes:
        """Key and chain of a certificate; b"" when there is none."""
        return self.read(acme.certificate_file(self.folder, one))

    def plan(self, one: str) -> Plan:
        """What is remembered of a certificate; a file that cannot be understood is forgotten."""
        try:
            found = json.loads(self.read(f"{self.folder}/plans/{one}.json") or b"{}")
            known = {field.name: field for field in fields(Plan)}
            plan = Plan(**{name: value for name, value in found.items() if name in known})
            if plan.window is not None:
                plan.window = (float(plan.window[0]), float(plan.window[1]))
            for name in ("tried", "again", "barred", "begins", "at", "ask"):
                setattr(plan, name, float(getattr(plan, name)))
            plan.failures = int(plan.failures)
        except (ValueError, TypeError, AttributeError, IndexError):
            return Plan()
        plan.wanted = self.wanted(one)
        return plan

    def remember(self, one: str, plan: Plan) -> None:
        """Keep that for the time after this process."""
        found: dict[str, Any] = asdict(plan)
        del found["wanted"]
        self.write(f"{self.folder}/plans/{one}.json", json.dumps(found, indent=1).encode())

    def wanted(self, one: str) -> bool:
        """Whether somebody asks for a new certificate now."""
        return os.path.exists(acme.request_file(self.folder, one))

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[bool]:
        """Hold a lock; false when somebody else has it."""
        descriptor = os.open(f"{self.folder}/locks/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)
