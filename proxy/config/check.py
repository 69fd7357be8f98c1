"""What only the system can tell about a Model: files, folders, users, and whether a certificate fits its key.

Rules: nothing is changed and nothing is opened for writing. `problems` prevent serving, `warnings` do not; both name
the line of the key they are about. Used by `frontgate check` and before serving and reloading.
"""

from __future__ import annotations

import grp
import os
import pwd
import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from proxy.config import expiry
from proxy.config.model import Model
from proxy.config.source import Problem, Source, Where
from proxy.config.tls import each, named

PEOPLE: Final = 1000  # the first id that Debian gives to people and their groups; those below are services'
EXPIRES_SOON: Final = 14 * 86400.0  # seconds before its end that a certificate is warned of


def problems(model: Model, source: Source, pairs: bool = True) -> list[Problem]:
    """Everything that would keep the Model from being served, by line; without `pairs`, certificates aside."""
    found = [*_doors(model, source), *_folders(model, source), *_people(model, source)]
    for name, site in model.site.items() if pairs else ():
        for certificate, key in site.pairs:
            if named(certificate) and named(key) and not site.ordered and site.tls.passwords is None:
                found += _certificate(("site", name), certificate, key, source)
    return sorted(set(found))


def warnings(model: Model, source: Source) -> list[Problem]:
    """Everything that can be served but is probably not meant, by line."""
    found = [*_open_keys(model, source), *_unused(model, source), *_powerless(model, source)]
    found += _overheard(model, source)
    return sorted({*found, *_expiring(model, source), *_astray(model, source)})


def _doors(model: Model, source: Source) -> Iterator[Problem]:
    if not model.listen:
        yield source.problem((), 'there is no listener: add [listen.web] with address = "0.0.0.0:8080"')
    if model.admin.exposed():
        yield source.problem(("admin", "listen"), model.admin.exposed())
    if not model.site and not all(listener.redirect for listener in model.listen.values()):
        yield source.problem((), "there is no site: add [site.NAME] with a [[site.NAME.route]]")


def _folders(model: Model, source: Source) -> Iterator[Problem]:
    """The folders in which something is going to be written: logs, the pid file, sockets."""
    places: list[tuple[Where, str]] = [(("log", key), path) for key, path in _log_files(model)]
    if model.pid is not None:
        places.append((("pid",), model.pid))
    doors: list[tuple[Where, str | None]] = [(("admin", "listen"), model.admin.listen)]
    doors += [(("listen", name, "address"), listener.address) for name, listener in model.listen.items()]
    places += [(where, address[5:]) for where, address in doors if address and address.startswith("unix:")]
    for where, path in places:
        folder = Path(path).parent
        if not folder.is_dir():
            remedy = f"mkdir -p {folder}" if not folder.exists() else "choose another folder"
            yield source.problem(where, f"{where[-1]}: there is no folder {folder}; {remedy}")
        elif Path(path).is_dir():
            yield source.problem(where, f"{where[-1]}: {path} is a folder; name a file in it")


def _log_files(model: Model) -> list[tuple[str, str]]:
    pairs = [("access", model.log.access), ("error", model.log.error)]
    return [(key, path) for key, path in pairs if path not in ("-", "off")]


def _people(model: Model, source: Source) -> Iterator[Problem]:
    if model.user is not None:
        try:
            pwd.getpwnam(model.user)
        except KeyError:
            text = f'there is no user "{model.user}" on this system: create it, or name another'
            yield source.problem(("user",), text)
    if model.group is not None:
        try:
            grp.getgrnam(model.group)
        except KeyError:
            text = f'there is no group "{model.group}" on this system: create it, or name another'
            yield source.problem(("group",), text)


def _certificate(table: Where, certificate: str, key: str, source: Source) -> list[Problem]:
    """What is wrong with a certificate and its key; the first fault of each file, then of the pair."""
    found = []
    for name, path, mark in (("certificate", certificate, b" CERTIFICATE-----"), ("key", key, b"PRIVATE KEY-----")):
        fault = _unreadable(path) or _unmarked(name, path, mark)
        if fault:
            found.append(source.problem((*table, name), f"{name} {path} {fault}"))
    return found or _pair(table, certificate, key, source)


def _unreadable(path: str) -> str:
    try:
        with open(path, "rb"):
            return ""
    except FileNotFoundError:
        return "does not exist: correct the path (relative paths begin at the configuration's folder)"
    except IsADirectoryError:
        return "is a folder: name the PEM file in it"
    except PermissionError:
        return "may not be read by this user: change its permissions, or start as another user"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _unmarked(name: str, path: str, mark: bytes) -> str:
    text = Path(path).read_bytes()
    if mark not in text:
        return f"holds no {'certificate' if name == 'certificate' else 'private key'} in PEM form: name another file"
    if name == "key" and (b"BEGIN ENCRYPTED PRIVATE KEY" in text or b"Proc-Type: 4,ENCRYPTED" in text):
        return f"is encrypted: write it without pass phrase, openssl pkey -in {path} -out NEW_KEY"
    return ""


def _pair(table: Where, certificate: str, key: str, source: Source) -> list[Problem]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A password is given so that OpenSSL never asks for one at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "-")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"key {key} does not belong to certificate {certificate}: name the key it was issued for"
            return [source.problem((*table, "key"), text)]
        if error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
            text = f"certificate {certificate} is too weak for OpenSSL: issue one with 2048 bits or more and SHA-256"
            return [source.problem((*table, "certificate"), text)]
        return [_damaged(table, certificate, key, source)]
    except (OSError, ValueError) as error:
        return [source.problem((*table, "certificate"), f"certificate {certificate} cannot be loaded: {error}")]
    return []


def _damaged(table: Where, certificate: str, key: str, source: Source) -> Problem:
    """Which of the two OpenSSL could not parse: it does not say, so the certificate is tried alone."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificate)
    except (ssl.SSLError, ValueError):
        return source.problem((*table, "certificate"), f"certificate {certificate} is damaged: copy it again, as PEM")
    return source.problem((*table, "key"), f"key {key} is damaged: copy it again, as PEM")


def _overheard(model: Model, source: Source) -> Iterator[Problem]:
    """A token that travels where others can read it."""
    if not model.admin.local and model.admin.certificate is None and not model.admin.exposed():
        text = "the token goes to the admin door in the clear: add certificate and key, or put TLS before it"
        yield source.problem(("admin", "listen"), text)


def _open_keys(model: Model, source: Source) -> Iterator[Problem]:
    """Private keys and what seals tickets, where others can come to them."""
    secrets: list[tuple[Where, str, str]] = [
        (("site", name, "key"), "key", key) for name, site in model.site.items() for key in each(site.key)
    ]
    for name, site in model.site.items():
        files = [*site.tls.ticket_keys, *([site.tls.passwords] if site.tls.passwords else [])]
        secrets += [(("site", name, "tls"), "file", path) for path in files]
    for name, upstream in model.upstream.items():
        if upstream.tls is not None and upstream.tls.key:
            secrets.append((("upstream", name, "tls", "key"), "key", upstream.tls.key))
    for key in ("token", "read_token", "key"):
        path = getattr(model.admin, key)
        if path is not None:
            secrets.append((("admin", key), "key" if key == "key" else "token", path))
    for where, what, path in secrets:
        try:
            fault = exposed(path, os.stat(path))
        except OSError:
            continue  # a problem already, or no file
        if fault:
            yield source.problem(where, f"{what} {path} {fault}")


def exposed(path: str, found: os.stat_result) -> str:
    """What is wrong with a secret file's mode; "" for nothing: 0600, or 0640 for a group of the system's own, such as
    Debian's root:ssl-cert."""
    if found.st_mode & (stat.S_IROTH | stat.S_IWOTH):
        return f"is open to everybody: chmod o-rw {path}"
    if found.st_mode & stat.S_IWGRP:
        return f"can be changed by its group: chmod g-w {path}"
    if found.st_mode & stat.S_IRGRP and found.st_gid >= PEOPLE and found.st_gid != os.getegid():
        return f"can be read by a group of people ({found.st_gid}): chmod g-r {path}"
    if found.st_uid >= PEOPLE and found.st_uid != os.geteuid():
        return f"belongs to another user ({found.st_uid}), who can change it: chown root {path}"
    return ""


def _expiring(model: Model, source: Source) -> Iterator[Problem]:
    """Certificates that browsers refuse, or will soon; the chain's first to end counts."""
    now = time.time()
    own = [(name, site) for name, site in model.site.items() if not site.ordered]
    for name, path in [(name, path) for name, site in own for path in each(site.certificate)]:
        try:
            ends = expiry.ends(Path(path).read_bytes()) if named(path) else []
        except (OSError, ValueError):
            continue  # a problem already
        if not ends or min(ends) > now + EXPIRES_SOON:
            continue
        number, day = ends.index(min(ends)) + 1, time.strftime("%Y-%m-%d", time.gmtime(min(ends)))
        which = f"certificate {path}" + (f" (number {number} of its chain)" if number > 1 else "")
        verb = "has expired on" if min(ends) <= now else "expires on"
        yield source.problem(("site", name, "certificate"), f"{which} {verb} {day}: renew it, then frontgate reload")


def _astray(model: Model, source: Source) -> Iterator[Problem]:
    """Redirects to https where nobody listens for it; that may be right behind a balancer that speaks TLS."""
    if any(listener.tls for listener in model.listen.values()):
        return
    for name, listener in model.listen.items():
        if listener.redirect:
            text = f'listener "{name}" redirects to https, but no listener has tls = true: add one, with a certificate'
            yield source.problem(("listen", name, "redirect"), text)


def _unused(model: Model, source: Source) -> Iterator[Problem]:
    routes = [route for site in model.site.values() for route in site.route]
    for name in model.upstream.keys() - {route.upstream for route in routes}:
        yield source.problem(("upstream", name), f'upstream "{name}" is used by no route: remove it, or name it in one')
    for name in model.limit.keys() - {limit.name for route in routes for limit in route.limits}:
        yield source.problem(("limit", name), f'limit "{name}" is used by no route: remove it, or name it in one')
    for name, site in model.site.items():
        if not site.route:
            yield source.problem(
                ("site", name), f'site "{name}" has no route and answers 404: add [[site.{name}.route]]'
            )


def _powerless(model: Model, source: Source) -> Iterator[Problem]:
    if os.geteuid() != 0:
        for key in ("user", "group"):
            if getattr(model, key) is not None:
                text = f"{key} has no effect when frontgate is not started as root: leave it out, or start as root"
                yield source.problem((key,), text)
