"""Builds frontgate; the modules of the hot path are compiled by mypyc when that can be, and plain Python when not.

Rules: what is compiled is the same source, typed as it is. FRONTGATE_PURE=1 asks for plain Python; without a C
compiler, without mypyc, or on any error of theirs a warning is printed and plain Python is what one gets. An editable
install (pip install -e) is never compiled: whoever edits a module expects that it is what runs.
"""

from __future__ import annotations

import os
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Everything that a request passes, in the order it does. Readers (httptools) and what runs now and then stay plain.
HOT = [
    "proxy/verdict.py",
    "proxy/faults.py",
    "proxy/clock.py",
    "proxy/timeouts.py",
    "proxy/parties.py",
    "proxy/exchange.py",
    "proxy/engine.py",
    "proxy/http/message.py",
    "proxy/http/response.py",
    "proxy/http/body.py",
    "proxy/http/chunked.py",
    "proxy/downstream/writer.py",
    "proxy/downstream/h1.py",
    "proxy/downstream/telling.py",
    "proxy/downstream/plain.py",
    "proxy/downstream/leave.py",
    "proxy/downstream/porch.py",
    "proxy/downstream/secured.py",
    "proxy/downstream/shaken.py",
    "proxy/downstream/doorstep.py",
    "proxy/downstream/entrance.py",
    "proxy/downstream/listener.py",
    "proxy/downstream/capacity.py",
    "proxy/downstream/upload.py",
    "proxy/http/gate.py",
    "proxy/http/streams.py",
    "proxy/downstream/h2/counts.py",
    "proxy/downstream/h2/engine.py",
    "proxy/downstream/h2/by_ngh2.py",
    "proxy/downstream/h2/by_h2.py",
    "proxy/downstream/h2/outlet.py",
    "proxy/downstream/h2/sending.py",
    "proxy/downstream/h2/stream.py",
    "proxy/downstream/h2/connection.py",
    "proxy/shared/places.py",
    "proxy/shared/limit.py",
    "proxy/shared/buckets.py",
    "proxy/shared/tally.py",
    "proxy/shared/sessions.py",
    "proxy/shared/in_flight.py",
    "proxy/shared/journal.py",
    "proxy/shared/offenders.py",
    "proxy/shared/diary.py",
    "proxy/policy/routing.py",
    "proxy/policy/limit/leaky.py",
    "proxy/policy/counts.py",
    "proxy/policy/backend.py",
    "proxy/policy/breaker.py",
    "proxy/policy/balance/strategy.py",
    "proxy/policy/balance/round_robin.py",
    "proxy/policy/balance/least_conn.py",
    "proxy/policy/balance/random_two.py",
    "proxy/policy/balance/peak_ewma.py",
    "proxy/policy/balance/least_time.py",
    "proxy/policy/balance/explained.py",
    "proxy/upstream/group.py",
    "proxy/upstream/pool.py",
    "proxy/upstream/sender.py",
    "proxy/upstream/link.py",
    "proxy/upstream/keyed.py",
    "proxy/observe/metrics.py",
    "proxy/observe/access_log.py",
]


def extensions() -> list[Extension]:
    """The compiled modules, or none."""
    if os.environ.get("FRONTGATE_PURE") == "1" or not {"bdist_wheel", "build", "build_ext"}.intersection(sys.argv):
        return []
    try:
        from mypyc.build import mypycify

        options = ["--ignore-missing-imports", "--python-version", "3.11"]
        return mypycify([*options, *HOT], opt_level="3", group_name="frontgate")
    except (Exception, SystemExit) as problem:  # mypyc ends the process on an error of its own
        print(f"warning: frontgate is not compiled and runs as plain Python: {problem}", file=sys.stderr)
        return []


class OptionalBuild(build_ext):
    """Without a C compiler there is nothing to build, and nothing to fail."""

    def run(self) -> None:
        """Build all extensions or none: half of a compiled package would not work together."""
        try:
            super().run()
        except Exception as problem:
            print(f"warning: frontgate is not compiled and runs as plain Python: {problem}", file=sys.stderr)
            self.extensions = []

    def get_outputs(self) -> list[str]:
        """What was built."""
        return super().get_outputs() if self.extensions else []


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuild})
