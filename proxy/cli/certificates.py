"""`frontgate certificates`: list the certificates of sites, or have one renewed."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from proxy.acme import certified
from proxy.cli.asking import configured
from proxy.cli.tables import table
from proxy.config import reading
from proxy.config.model import Model


def words(commands: Any) -> None:
    """What the command takes."""
    text = "list the certificates of sites, or have one renewed"
    command = commands.add_parser("certificates", help=text, description=text)
    configured(command)
    command.add_argument("--json", action="store_true", help="as JSON")
    command.add_argument("--renew", metavar="SITE", help="order the certificate of a site anew, within seconds")
    command.set_defaults(do=do)


def do(asked: argparse.Namespace) -> int:
    """List them, or ask."""
    return certificates(reading.load(asked.config)[0], asked.renew, asked.json)


def certificates(model: Model, renew: str | None, as_json: bool) -> int:
    """List the certificates on disk, or ask for one to be renewed."""
    if renew is not None:
        certified.ask(model, renew)
        print(f"the certificate of site {renew} is asked for: see the error log, or frontgate certificates")
        return 0
    found = certified.listed(model)
    if as_json:
        print(json.dumps([one._asdict() for one in found], indent=2))
        return 0
    rows = [(one.site, ", ".join(one.names), one.source, certified.held(one, time.time()), one.state) for one in found]
    print(table(("SITE", "NAMES", "CERTIFICATE", "ENDS", "STATE"), rows) or "no site has a certificate")
    return 0
