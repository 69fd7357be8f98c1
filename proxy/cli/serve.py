"""`frontgate serve`: serve a configuration until told to stop."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from proxy.cli.asking import Trouble, checked, configured, nginxed
from proxy.config.model import Model
from proxy.process import log
from proxy.process.daemon import detach
from proxy.process.master import Master


def words(commands: Any) -> None:
    """What the command takes."""
    text = "serve a configuration"
    command = commands.add_parser("serve", help=text, description=text)
    configured(command)
    nginxed(command)
    command.set_defaults(do=do)


def do(asked: argparse.Namespace) -> int:
    """Serve what -c names."""
    return serve(asked.config, partial(checked, nginx=asked.nginx, lenient=asked.lenient))


def serve(path: str, read: Callable[[str], Model]) -> int:
    """Serve until told to stop."""
    model = read(path)
    try:
        error_log = log.start(model)
    except OSError as error:
        raise Trouble(f"the error log {model.log.error} cannot be opened: {error.strerror}") from None
    try:
        master = Master(path, model, error_log, read)
    except OSError as error:
        raise Trouble(f"cannot start: {error}") from None
    if model.daemon and not master.succeeds:
        master.serves = detach(model.log.error != "-")
    return master.run()
