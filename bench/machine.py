"""What the figures were measured on: processor, cores, kernel, and the versions of everything."""

from __future__ import annotations

import platform
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.peers import Peer
from bench.peers.setup import Missing
from bench.processes import Cores


def processor() -> str:
    """The processor's model, as the kernel names it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def cores_in_words(cores: Cores) -> str:
    """Which core does what, and whether the two are halves of one (then the load slows the server down a bit)."""
    if not cores.apart:
        return f"server, load and backends all on core {cores.server}: ONE CORE ONLY, THE FIGURES MEAN LITTLE"
    siblings = Path(f"/sys/devices/system/cpu/cpu{cores.server}/topology/thread_siblings_list")
    shared = ""
    try:
        listed = siblings.read_text(encoding="ascii").strip()
        if cores.load in spread(listed):
            shared = " (two threads of one physical core: they share its caches and units)"
    except OSError:
        shared = " (topology unknown)"
    return f"server on core {cores.server}, load and backends on core {cores.load}{shared}"


def spread(listed: str) -> set[int]:
    """The numbers of a kernel list such as `0-1,4`."""
    found: set[int] = set()
    for part in listed.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def wrk_version() -> str:
    """As `wrk -v` says; it ends with an error status by habit."""
    try:
        said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    except OSError:
        return "not installed"
    words = (said.stdout + said.stderr).split()
    return words[1] if len(words) > 1 else "unknown"


def describe(cores: Cores, peers: Sequence[Peer]) -> list[str]:
    """Lines of `what: which`."""
    lines = [
        f"machine: {processor()}, {len(spread_online())} cores online",
        f"pinning: {cores_in_words(cores)}",
        f"system: {platform.system()} {platform.release()}",
        f"OpenSSL of Python: {ssl.OPENSSL_VERSION}",
        f"load: wrk {wrk_version()}; TLS handshakes by bench/handshakes.py",
    ]
    for peer in peers:
        try:
            lines.append(f"{peer.name}: {peer.version()}")
        except (Missing, OSError, subprocess.SubprocessError, IndexError) as error:
            lines.append(f"{peer.name}: not available ({error})")
    return lines


def spread_online() -> set[int]:
    """The cores that are online."""
    return spread(Path("/sys/devices/system/cpu/online").read_text(encoding="ascii").strip())
