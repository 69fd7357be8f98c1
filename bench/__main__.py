"""Run the benchmark: `python -m bench`. What it does and how to read it: bench/README.md."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from bench import machine, picture, report
from bench.measure import Bench, Outcome
from bench.peers import PEERS, REFERENCE, Peer
from bench.peers.setup import DEBIAN, Missing
from bench.processes import Cores, guard
from bench.scenarios import SCENARIOS, Scenario
from bench.servers import make_certificates

FULL = (3, 5)
QUICK = (1, 2)
"""Seconds of a round, and rounds."""
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    scenarios = [scenario.name for scenario in SCENARIOS]
    servers = [peer.name.lower() for peer in PEERS]
    parser.add_argument("--scenario", action="append", choices=scenarios, help="only this one (may be repeated)")
    parser.add_argument("--only", action="append", choices=servers, type=str.lower, help="only this server (repeated)")
    parser.add_argument("--seconds", type=int, help=f"of one round (default {FULL[0]})")
    parser.add_argument("--rounds", type=int, help=f"rounds per server (default {FULL[1]})")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK[1]} rounds of {QUICK[0]} s: a first look")
    parser.add_argument(
        "--output",
        type=Path,
        help="the folder for RESULTS.md and results.png; a whole run that is not quick writes into bench/ without it",
    )
    options = parser.parse_args()
    for name in ("seconds", "rounds"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name} must be 1 or more")
    return options


def check_tools() -> list[str]:
    """What is missing of what cannot be done without; the proxies themselves may be missing, the tables say so."""
    missing = [tool for tool in ("wrk", "nginx") if not shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin")]
    sentences = [f"{' and '.join(missing)} not installed: {DEBIAN}"] if missing else []
    try:
        guard()
    except Missing as error:
        sentences.append(str(error))
    return sentences


def interrupt(number: int, frame: FrameType | None) -> None:
    """End the run and all children, on Ctrl-C, SIGTERM and SIGHUP alike; a second one must not disturb the ending."""
    for one in ENDINGS:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def say(line: str) -> None:
    """Progress, at once."""
    print(line, flush=True)


def run(scenarios: Sequence[Scenario], peers: Sequence[Peer], seconds: int, rounds: int, cores: Cores) -> list[Outcome]:
    """All scenarios, one after the other; Ctrl-C keeps none."""
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="frontgate-bench-") as name:
        folder = Path(name)
        bench = Bench(folder, make_certificates(folder), cores, seconds, rounds, say)
        for scenario in scenarios:
            say(f"{scenario.name}: {scenario.title}")
            begin = time.monotonic()
            outcome = bench.measure(scenario, peers)
            outcomes.append(outcome)
            say("\n".join(["", *report.section(outcome), f"({time.monotonic() - begin:.0f} s)", ""]))
    return outcomes


def write(outcomes: Sequence[Outcome], facts: Sequence[str], how: str, folder: Path) -> None:
    """RESULTS.md and results.png."""
    folder.mkdir(parents=True, exist_ok=True)
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    drawn = picture.draw(outcomes, date, folder / "results.png")
    text = report.markdown(outcomes, facts, date, how, "results.png" if drawn else None)
    (folder / "RESULTS.md").write_text(text, encoding="utf-8")
    say(f"written: {folder / 'RESULTS.md'}{' and results.png' if drawn else ''}")


def main() -> int:
    """0 when the run came to its end, 1 when tools are missing, 130 on Ctrl-C."""
    options = arguments()
    if complaints := check_tools():
        print("\n".join(complaints), file=sys.stderr)
        return 1
    for one in ENDINGS:
        signal.signal(one, interrupt)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cores = Cores()
    # The program itself sleeps beside the load, off the measured core.
    os.sched_setaffinity(0, {cores.load})
    scenarios = [one for one in SCENARIOS if not options.scenario or one.name in options.scenario]
    peers = [one for one in PEERS if not options.only or one.name.lower() in options.only]
    default_seconds, default_rounds = QUICK if options.quick else FULL
    seconds, rounds = options.seconds or default_seconds, options.rounds or default_rounds
    how = f"{rounds} rounds of {seconds} s, servers in turn, one worker each"
    facts = machine.describe(cores, peers)
    say("\n".join(facts))
    begin = time.monotonic()
    try:
        outcomes = run(scenarios, peers, seconds, rounds, cores)
    except KeyboardInterrupt:
        print("interrupted; everything that was started has been ended, nothing was written", file=sys.stderr)
        return 130
    say(f"took {time.monotonic() - begin:.0f} s; ratios are to {REFERENCE} in the same run")
    whole = len(scenarios) == len(SCENARIOS) and len(peers) == len(PEERS) and not options.quick
    if options.output or whole:
        write(outcomes, facts, how, options.output or Path(__file__).parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
