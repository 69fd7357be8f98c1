"""`frontgate nginx`: does what nginx's command line asks for, with nginx's texts and exit codes.

Rules: 0 when all is well, else 1. What is said goes to standard error, sentences of the level `emerg` to the error log
too, which exists as soon as the process starts.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from proxy.config import check
from proxy.config.model import Model
from proxy.config.nginx import reader
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.written import positions
from proxy.config.source import ConfigError, Problem, Source
from proxy.config.toml import validate
from proxy.process import log
from proxy.process.daemon import detach
from proxy.process.denied import Denied
from proxy.process.log_lines import EMERGENCY, NginxLine, placed
from proxy.process.master import Master
from proxy.process.nginx.early import answer
from proxy.process.nginx.options import CONFIGURATION, PREFIX, Options
from proxy.process.nginx.trial import trial

logger = logging.getLogger("frontgate")

SIGNALS: Final = {
    "stop": signal.SIGTERM,
    "quit": signal.SIGQUIT,
    "reload": signal.SIGHUP,
    "reopen": signal.SIGUSR1,
}


def main(words: Sequence[str]) -> int:
    """Run the command; gives its exit code."""
    asked = answer(words)
    if isinstance(asked, int):
        return asked
    return Command(asked).run()


class Command:
    """One run of the command."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.prefix = os.path.join(os.path.abspath(options.prefix), "")
        default = CONFIGURATION if options.prefix == PREFIX else f"conf/{CONFIGURATION}"
        self.file = os.path.join(self.prefix, options.configuration or default)
        self.error_log = log.ErrorLog(self._early_log())
        self.error_log.setFormatter(NginxLine())
        log.begin(self.error_log, EMERGENCY)

    def run(self) -> int:
        """Do what was asked for."""
        try:
            model, reading = self.read()
        except ConfigError as error:
            return self.refused(error.errors)
        for warning in reading.warnings:
            self.say("warn", placed(warning))
        if self.options.test:
            return self.test(model, reading)
        if self.options.signal:
            return self.signal(model)
        return self.serve(model)

    def read(self) -> tuple[Model, Reading]:
        """The configuration, checked; ConfigError with all that is wrong."""
        reading = reader.read(self.file, self.prefix, self.options.directives)
        tables = reading.model
        if "error" not in tables["log"].said and self.options.error_log:
            tables["log"]["error"] = self._early_log()
        source = Source(self.file, dict(positions(tables)))
        model = validate(tables, source)
        problems = check.problems(model, source, pairs=False)  # loading them tells, in nginx's words
        if problems:
            raise ConfigError(problems)
        return model, reading

    # --- what it does -----------------------------------------------------------------------------------------------

    def test(self, model: Model, reading: Reading) -> int:
        """-t and -T."""
        problem = trial(model)
        if problem:
            return self.refused([Problem(self.file, 0, problem)])
        if not self.options.quiet:
            self.note(f"the configuration file {self.file} syntax is ok")
            self.note(f"configuration file {self.file} test is successful")
        if self.options.dump:
            print(reading.files.dump(), end="")
        return 0

    def signal(self, model: Model) -> int:
        """-s."""
        path = model.pid or ""
        try:
            text = Path(path).read_text(encoding="ascii", errors="replace").strip()
        except OSError as error:
            self.say("error", f'open() "{path}" failed ({error.errno}: {error.strerror})')
            return 1
        if not text.isdigit() or not int(text):
            self.say("error", f'invalid PID number "{text}" in "{path}"')
            return 1
        number = SIGNALS[self.options.signal]
        try:
            os.kill(int(text), number)
        except OSError as error:
            self.say("alert", f"kill({text}, {int(number)}) failed ({error.errno}: {error.strerror})")
            return 1
        return 0

    def serve(self, model: Model) -> int:
        """Serve until told to stop."""
        try:
            self.error_log.adopt(model)
            master = Master(self.file, model, self.error_log, read=lambda path: self.read()[0])
        except Denied as denied:
            self.say("emerg", denied.nginx)
            return 1
        except OSError as error:
            self.say("emerg", f'open() "{error.filename}" failed ({error.errno}: {error.strerror})')
            return 1
        except ValueError as wrong:
            self.say("emerg", str(wrong))
            return 1
        master.refused = lambda sentence: self.say("emerg", sentence)
        if model.daemon and not master.succeeds:
            master.serves = detach(self.error_log.path != "-")
        return master.run()

    # --- what it says -----------------------------------------------------------------------------------------------

    def refused(self, problems: Sequence[Problem]) -> int:
        """Say what is wrong with the configuration."""
        for problem in problems:
            self.say("emerg", placed(problem))
        if self.options.test:
            self.note(f"configuration file {self.file} test failed")
        return 1

    def say(self, level: str, sentence: str) -> None:
        """A sentence of a level, on standard error, and in the error log when it is the end."""
        self.note(f"[{level}] {sentence}")
        if level == "emerg" and self.error_log.path != "-":
            logger.log(EMERGENCY, "%s", sentence)

    def note(self, sentence: str) -> None:
        """A line on standard error."""
        print(f"nginx: {sentence}", file=sys.stderr, flush=True)

    def _early_log(self) -> str:
        """Where errors go until the configuration says; standard error if that cannot be opened."""
        named = self.options.error_log
        if named == "stderr":
            return "-"
        path = os.path.join(self.prefix, named or "logs/error.log")
        if not named and self.options.prefix == PREFIX:
            path = "/var/log/nginx/error.log"
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640))
        except OSError as error:
            could_not = f'could not open error log file: open() "{path}" failed ({error.errno}: {error.strerror})'
            self.note(f"[alert] {could_not}")
            return "-"
        return path
