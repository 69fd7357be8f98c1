"""The demo: several Gunicorns with the sample application, frontgate in front of them, until Ctrl-C.

Rules: every address and file comes from the configuration (config/demo.toml, see plan.py); what can be known to fail
is looked at before the first process starts; what a process writes goes to a file in the certificate's folder;
every wait passes through `Demo.pause`, which notices a stop and a process that died; nothing started here outlives
this program, not even when it is killed.

    python -m backends.demo [-c FILE] [--check-only]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme

from backends.plan import Plan, Trouble, busy, healthy, read_plan

ROOT = Path(__file__).resolve().parents[1]
READY_WITHIN = 30.0  # seconds that one process has to answer its first request
STOP_WITHIN = 5.0  # seconds between SIGTERM and SIGKILL


class Stopped(Exception):
    """Somebody asked the demo to stop."""


def make_certificates(plan: Plan) -> None:
    """Make an authority and a certificate for localhost, unless those of an earlier run are there.

    The authority's private key is never written, so nobody can sign with it afterwards.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    if all(path.exists() for path in (plan.authority, plan.certificate, plan.key)):
        return
    authority = trustme.CA(organization_name="frontgate demo")
    leaf = authority.issue_cert("localhost", "127.0.0.1", "::1", common_name="localhost")
    plan.key.touch(mode=0o600)
    leaf.private_key_pem.write_to_path(plan.key)
    plan.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    authority.cert_pem.write_to_path(plan.authority)


def dying_with_parent() -> Callable[[], None] | None:
    """Give what a child runs first so that the kernel stops it when this program is killed; None except on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, set_death_signal = ctypes.CDLL(None).prctl, 1
    return lambda: prctl(set_death_signal, signal.SIGTERM)


@dataclass(frozen=True)
class Child:
    """One process of the demo and the file it writes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def tail(self, lines: int = 15) -> str:
        """Give the end of what it wrote."""
        last = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"The end of {shown(self.log)}:", *(f"    {line}" for line in last)])

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the process and its workers; those that are gone are no error."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return


class Demo:
    """The running demo: its children, started in order and stopped together."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.children: list[Child] = []
        self.asked = False

    def ask_to_stop(self, *_: object) -> None:
        """Remember that a stop was asked for (a signal's function); the next `pause` raises `Stopped`."""
        self.asked = True

    def run(self) -> None:
        """Start everything, wait until a stop is asked for or a child dies (`Trouble`), and stop everything."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.ask_to_stop)
        try:
            make_certificates(self.plan)
            self.start_backends()
            self.start_door()
            print(invitation(self.plan), flush=True)
            while True:
                self.pause()
        except Stopped:
            print("\nStopping.", flush=True)
        finally:
            self.stop()

    def start_backends(self) -> None:
        """Start one Gunicorn per backend, all at once, then wait for each."""
        settings = str(ROOT / "backends" / "gunicorn.conf.py")
        command = [sys.executable, "-m", "gunicorn", "-c", settings, "backends.app:app"]
        for number, address in enumerate(self.plan.backends, 1):
            name = f"app-{number}"
            self.start(name, command, {"FRONTGATE_BIND": address, "FRONTGATE_BACKEND": name, "WEB_CONCURRENCY": "1"})
        for child, address in zip(list(self.children), self.plan.backends, strict=True):
            self.wait_for(child, address)
            print(f"{child.name} answers at {address}", flush=True)

    def start_door(self) -> None:
        """Start frontgate and wait until a request comes through it, over TLS and from a backend."""
        child = self.start("frontgate", [sys.executable, "-m", "proxy.cli", "serve", "-c", str(self.plan.config)], {})
        self.wait_for(child, self.plan.secure, ssl.create_default_context(cafile=str(self.plan.authority)))

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start a process in a group of its own, so that Ctrl-C reaches only this program and we stop them in order."""
        log = self.plan.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dying_with_parent(),
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def wait_for(self, child: Child, address: str, tls: ssl.SSLContext | None = None) -> None:
        """Wait until the child answers; raise `Trouble` with its last words when it takes too long."""
        deadline = time.monotonic() + READY_WITHIN
        while not healthy(address, tls):
            self.pause()
            if time.monotonic() > deadline:
                late = f"{child.name} does not answer at {address} after {READY_WITHIN:.0f} s."
                raise Trouble(f"{late}\n{child.tail()}")

    def pause(self) -> None:
        """Sleep a moment; raise `Stopped` when that was asked for and `Trouble` when a child has died."""
        time.sleep(0.1)
        if self.asked:
            raise Stopped
        for child in self.children:
            status = child.process.poll()
            if status is not None:
                raise Trouble(f"{child.name} ended by itself with status {status}.\n{child.tail()}")

    def stop(self) -> None:
        """Stop the children, the door first: SIGTERM, then SIGKILL for what is left of each group after 5 s."""
        deadline = time.monotonic() + STOP_WITHIN
        for child in reversed(self.children):
            if child.process.poll() is None:
                child.process.terminate()
        for child in reversed(self.children):
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                print(f"{child.name} did not stop within {STOP_WITHIN:.0f} s and is killed.", file=sys.stderr)
            # Also when it did stop: a worker that its master left behind is in the same group.
            child.signal_group(signal.SIGKILL)
            child.process.wait()


def shown(path: Path) -> str:
    """Write a path as short as it can be typed here."""
    return os.path.relpath(path)


def invitation(plan: Plan) -> str:
    """Say what runs where and what to try."""
    door, trust = f"https://localhost:{plan.secure.rpartition(':')[2]}", f"--cacert {shown(plan.authority)}"
    plain, parallel = (
        f"http://localhost:{plan.plain.rpartition(':')[2]}",
        "seq 30 | xargs -P 30 -I{} curl -s -o /dev/null",
    )
    command = shown(Path(sys.prefix) / "bin" / "frontgate")
    return f"""
frontgate is open: {len(plan.backends)} Gunicorns with FastAPI stand behind it.

    {door}/hello            a page (the certificate is the demo's own, your browser will say so)
    {door}/round-robin/     also /weighted/ /least-conn/ /ip-hash/ /limited/
    {plain}/hello             redirects to https
    http://{plan.admin}/status        also /metrics and /healthz

Try, in another terminal:

    curl -i {trust} {door}/hello
    for i in 1 2 3 4 5; do curl -s {trust} {door}/weighted/; echo; done
    {parallel} -w '%{{http_code}}\\n' {trust} {door}/limited/ | sort | uniq -c
    curl -N {trust} {door}/events
    head -c 5000000 /dev/zero | curl {trust} --data-binary @- {door}/echo
    {command} status -c {shown(plan.config)}
    {command} reload -c {shown(plan.config)}

Logs are in {shown(plan.folder)}/*.log. Ctrl-C stops everything."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; give 0 after a stop, 1 when something it needs is missing or a part of it died."""
    parser = argparse.ArgumentParser(prog="python -m backends.demo", description="frontgate before several backends")
    parser.add_argument("-c", "--config", type=Path, default=ROOT / "config" / "demo.toml", help="what to serve")
    parser.add_argument("--check-only", action="store_true", help="look whether every port is free, and start nothing")
    options = parser.parse_args(arguments)
    try:
        plan = read_plan(options.config)
        reasons = [busy(address) for address in (plan.secure, plan.plain, plan.admin, *plan.backends)]
        if any(reasons):
            raise Trouble("\n".join(reason for reason in reasons if reason))
        if options.check_only:
            print("Every port that the demo needs is free.")
            return 0
        Demo(plan).run()
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
