"""The slice of who may come in, and of the requests that a location makes itself."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Final

from proxy.config.nginx.addresses import looked_up
from proxy.config.nginx.frame import Frame
from proxy.config.nginx.parser import Directive
from proxy.config.nginx.reading import Reading
from proxy.config.nginx.specs import Spec, spec
from proxy.config.nginx.written import Written

_ANY: Final = "http server location"
_GUARDED: Final = f"{_ANY} limit_except"
_LINKS: Final = ("secure_link", "secure_link_md5", "secure_link_secret")

SPECS: Final[dict[str, Spec]] = {
    "allow": spec(_GUARDED, 1, once=False),
    "deny": spec(_GUARDED, 1, once=False),
    "auth_basic": spec(_GUARDED, 1),
    "auth_basic_user_file": spec(_GUARDED, 1),
    "auth_delay": spec(_ANY, 1),
    "auth_request": spec(_ANY, 1),
    "auth_request_set": spec(_ANY, 2, once=False),
    "limit_except": spec("location", 1, None, block=True),
    "log_subrequest": spec(_ANY, flag=True),
    "mirror": spec(_ANY, 1, once=False),
    "mirror_request_body": spec(_ANY, flag=True),
    "real_ip_header": spec(_ANY, 1),
    "real_ip_recursive": spec(_ANY, flag=True),
    "satisfy": spec(_ANY, 1),
    "secure_link": spec(_ANY, 1),
    "secure_link_md5": spec(_ANY, 1),
    "secure_link_secret": spec("location", 1),
    "set_real_ip_from": spec(_ANY, 1, once=False),
    "valid_referers": spec("server location", 1, None, once=False),
}


def site(frame: Frame, table: Written, reading: Reading) -> None:
    """What holds before a location is looked for."""
    _real_ip(frame, table, reading)
    _referers(frame, table, reading)
    _link(frame, table, reading)


def route(frame: Frame, table: Written, reading: Reading) -> None:
    """What holds in a location."""
    site(frame, table, reading)
    rules = [_rule(one, reading) for one in frame.nearest("allow", "deny")]
    if rules:
        table["access"] = rules
    _password(frame, table, reading)
    _request(frame, table, reading)
    _mirror(frame, table)
    if frame.choice("satisfy", ("all", "any"), "all") == "any":
        table.put("satisfy", "any", frame.last("satisfy"))
    if frame.flag("log_subrequest", False):
        table.put("log_subrequests", True, frame.last("log_subrequest"))


def _rule(directive: Directive, reading: Reading) -> Written:
    rule = Written(directive)
    text = directive.args[0]
    whom = {"all": "all", "unix:": "unix"}.get(text) or _network(text)
    if not whom:
        reading.problem(directive, f'invalid parameter "{text}"')
    rule.put(directive.name, whom or "all", directive)
    return rule


def _network(text: str) -> str:
    """A network without bits behind its prefix; "" when it is none."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return ""


def _password(frame: Frame, table: Written, reading: Reading) -> None:
    realm, users = frame.last("auth_basic"), frame.last("auth_basic_user_file")
    if realm is None or users is None or realm.args[0] == "off":
        return
    basic = Written(realm)
    basic.put("realm", reading.text(realm.args[0], realm), realm)
    basic.put("users", reading.conf_path(reading.text(users.args[0], users)), users)
    table.put("auth_basic", basic, realm)
    delay = frame.time("auth_delay", 0)
    if delay:
        table.put("auth_delay", delay, frame.last("auth_delay"))


def _request(frame: Frame, table: Written, reading: Reading) -> None:
    texts = Written()
    for one in frame.nearest("auth_request_set"):
        name, value = one.args
        if not name.startswith("$") or len(name) < 2:
            reading.problem(one, f'invalid variable name "{name}"')
            continue
        reading.declare(name[1:])
        texts.put(name[1:].lower(), reading.text(value, one), one)
    asked = frame.last("auth_request")
    if asked is None or asked.args[0] == "off":
        return
    question = Written(asked)
    question.put("path", asked.args[0], asked)
    if texts:
        question["set"] = texts
    table.put("auth_request", question, asked)


def _mirror(frame: Frame, table: Written) -> None:
    said = frame.nearest("mirror")
    paths = [one.args[0] for one in said]
    if not paths or paths == ["off"]:
        return
    copies = Written(said[0])
    copies.put("path", paths[0], said[0])
    copies["paths"] = paths[1:]
    copies["body"] = frame.flag("mirror_request_body", True)
    table.put("mirror", copies, said[0])


def _real_ip(frame: Frame, table: Written, reading: Reading) -> None:
    said = frame.nearest("set_real_ip_from")
    networks: list[str] = []
    for one in said:
        text = one.args[0]
        found = "unix" if text == "unix:" else _network(text)
        if found:
            networks.append(found)
            continue
        try:
            networks += [_network(address) for address in looked_up(text)]
        except ValueError as error:
            reading.problem(one, f'{error} in set_real_ip_from "{text}"')
    if not networks:
        return
    real = Written(said[0])
    real["trust"] = networks
    real.put("field", frame.word("real_ip_header", "X-Real-IP").lower(), frame.last("real_ip_header"))
    real["recursive"] = frame.flag("real_ip_recursive", False)
    table.put("real_ip", real, said[0])


def _referers(frame: Frame, table: Written, reading: Reading) -> None:
    said = frame.nearest("valid_referers")
    if not said:
        return
    words = [word for one in said for word in one.args]
    if all(word in ("none", "blocked") for word in words):
        sentence = 'the "none" or "blocked" referers are specified in the "valid_referers" directive '
        reading.problem(said[0], sentence + "without any valid referer")
    table.put("referers", words, said[0])


def _link(frame: Frame, table: Written, reading: Reading) -> None:
    said = frame.nearest(*_LINKS)
    secret = next((one for one in said if one.name == "secure_link_secret"), None)
    value, signed = frame.last("secure_link"), frame.last("secure_link_md5")
    link = Written(said[0] if said else None)
    if secret is not None:
        if len(said) > 1:
            reading.problem(secret, '"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"')
        link.put("secret", secret.args[0], secret)
    elif value is not None and signed is not None:
        link.put("link", reading.text(value.args[0], value), value)
        link.put("signed", reading.text(signed.args[0], signed), signed)
    if link:
        table.put("secure_link", link, said[0])
