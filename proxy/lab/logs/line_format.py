"""What a line of an access log looks like: nginx's log_format, our combined line, or an object of JSON; given or found.

Rules: pure. A format is the text of a log_format; each variable becomes what it can look like, so that lists such as
"0.010, 0.020 : 0.003" stay whole. Formats that people use are known, the tail of a combined line with names before its
values ("rt=0.010 urt=0.009") is read by these, and JSON is read by its keys: ours, or names of nginx's variables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from proxy.observe.log_line import NGINX
from proxy.policy.template import VARIABLE

Values = Mapping[str, Any]  # of a line, by the names of variables
Read = Callable[[str], Values | None]  # None: the line is not of this format

OURS: Final = NGINX + " $request_time $attempt_time $upstream_addr $request_id"  # and, if there was one, the fault
INGRESS: Final = (  # Kubernetes' ingress-nginx, docs/user-guide/nginx-configuration/log-format.md
    NGINX + " $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr"
    " $upstream_response_length $upstream_response_time $upstream_status $req_id"
)
TAILS: Final = (
    ' "$http_x_forwarded_for" $request_time $upstream_response_time $upstream_addr $upstream_status',
    ' "$http_x_forwarded_for" $request_time $upstream_response_time $upstream_addr',
    ' "$http_x_forwarded_for" $request_time $upstream_response_time',
    " $request_time $upstream_response_time $upstream_addr $upstream_status",
    OURS.removeprefix(NGINX),
    " $request_time $upstream_response_time $upstream_addr",
    " $request_time $upstream_addr $upstream_response_time",
    " $upstream_addr $upstream_response_time $request_time",
    ' "$upstream_addr" "$upstream_response_time" "$request_time"',
    " $upstream_addr $upstream_response_time",
    " $request_time $upstream_response_time",
    " $msec $request_time $upstream_response_time $upstream_addr $upstream_status",
    " $msec $request_time $upstream_response_time $upstream_addr",
    " $msec $request_time $upstream_addr $upstream_response_time",
    " $upstream_response_time",
    ' "$http_x_forwarded_for"',
    "",
)
# What stands before a value in the tail of a line, in the words that guides and products use.
LABELS: Final = {
    **dict.fromkeys(("rt", "request_time", "req_time", "reqtime"), "request_time"),
    **dict.fromkeys(("urt", "upstream_response_time", "uresp", "upstream_time", "rtime"), "upstream_response_time"),
    **dict.fromkeys(("uht", "upstream_header_time"), "upstream_header_time"),
    **dict.fromkeys(("uct", "upstream_connect_time"), "upstream_connect_time"),
    **dict.fromkeys(("ua", "uaddr", "upstream", "upstream_addr", "us_addr", "to"), "upstream_addr"),
    **dict.fromkeys(("us", "ustatus", "upstream_status"), "upstream_status"),
    **dict.fromkeys(("msec", "ts"), "msec"),
}
_VALUE: Final = r'(?:"[^"]*"|[^\s,"]+(?:, (?![A-Za-z_]\w*=)[^\s,"]+)*)'
_LABELLED: Final = re.compile(rf"(,? )([A-Za-z_]\w*)([=:] ?)({_VALUE})")
_LABELS_ONLY: Final = re.compile(rf'( "[^"]*")?((?:,? [A-Za-z_]\w*[=:] ?{_VALUE})+)')


def _listed(one: str) -> str:
    """The shape of a list of attempts."""
    return rf"{one}(?:(?:, ?| : ){one})*"


_ADDRESSES: Final = _listed(r'(?:-|[^\s,"]*[^\s,".\d][^\s,"]*)')
_TIMES: Final = _listed(r"(?:\d+(?:\.\d+)?|-)")
SHAPES: Final = {
    "msec": r"\d+(?:\.\d+)?",
    "status": r"\d{3}",
    "request_time": r"[\d.]+|-",
    "attempt_time": r"[\d.]+|-",
    "upstream_addr": _ADDRESSES,
    "upstream_status": _listed(r"(?:\d{3}|-)"),
    **dict.fromkeys(("upstream_response_time", "upstream_header_time", "upstream_connect_time"), _TIMES),
    "time_local": r"\d\d/[A-Za-z]{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
    **dict.fromkeys(("remote_addr", "time_iso8601", "request_method", "request_uri", "request_id"), r'[^\s"]+'),
}
ANYTHING: Final = ("request", "remote_user", "http_", "arg_", "sent_http_", "upstream_http_", "cookie_")
SAMPLE: Final = 200  # lines by which a format is found


class Format:
    """A format of lines: `text` as nginx's log_format has it, or "json"; `read` takes a line apart."""

    def __init__(self, text: str, read: Read, names: frozenset[str] = frozenset()) -> None:
        self.text = text
        self.read = read
        self.names = names


def of(text: str) -> Format:
    """The format that a text says: a log_format (its text, or the whole directive), "combined", "nginx" or "json".

    ValueError with a sentence when nothing can be found by it.
    """
    named = {"json": "json", "combined": OURS, "nginx": NGINX}.get(text.strip(), text)
    if named == "json":
        return Format("json", _json)
    if re.match(r"\s*log_format\s", named):
        words = re.findall(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", named)
        named = "".join(re.sub(r"\\(.)", r"\1", one or other) for one, other in words)
    names = frozenset(match[1] or match[2] for match in VARIABLE.finditer(named))
    if not names & {"msec", "time_local", "time_iso8601"}:
        raise ValueError("the format needs a time: $msec, $time_local or $time_iso8601")
    pattern = re.compile(_pattern(named) + (r"(?: (?P<fault>[a-z_]+))?" if named == OURS else ""), re.ASCII)

    def read(line: str) -> Values | None:
        match = pattern.fullmatch(line)
        return None if match is None else match.groupdict()

    return Format(named, read, names)


def found(lines: Sequence[str], known: Sequence[str] = ()) -> Format | None:
    """The format that most of these lines have, of those that are `known` to somebody and of those that are usual; of
    those that have it alike, the one that tells most. None: no one."""
    best, most = None, 0
    for text in [*known, *_candidates(lines)]:
        one = of(text)
        number = sum(one.read(line) is not None for line in lines)
        if number > most:
            best, most = one, number
    return best


def _candidates(lines: Sequence[str]) -> list[str]:
    if any(line.startswith("{") for line in lines):
        return ["json"]
    tails = {_tail(line) for line in lines[:20]} - {""}
    ends = (*sorted(tails, key=len, reverse=True), *TAILS)
    return [*(NGINX + end for end in ends[:-1]), INGRESS, NGINX + ends[-1]]


def _tail(line: str) -> str:
    """The end of a format whose values have names before them, as this line shows it; "" when it does not."""
    whole = _COMBINED.fullmatch(line)
    match = _LABELS_ONLY.fullmatch(whole["rest"]) if whole is not None else None
    labels = _LABELLED.findall(match[2]) if match is not None else []
    if match is None or not any(label in LABELS for _, label, _, _ in labels):
        return ""
    made = [' "$http_x_forwarded_for"'] if match[1] else []
    for before, label, sign, value in labels:
        variable = f"${{{LABELS.get(label, f'unknown_{label}')}}}"
        made.append(
            f'{before}{label}{sign}"{variable}"' if value.startswith('"') else f"{before}{label}{sign}{variable}"
        )
    return "".join(made)


def _pattern(text: str) -> str:
    """The regular expression of a format."""
    parts: list[str] = []
    at, known = 0, set[str]()
    for match in VARIABLE.finditer(text):
        parts.append(re.escape(text[at : match.start()]))
        name, at = match[1] or match[2], match.end()
        shape = _shape(name, text[at : at + 1])
        parts.append(f"(?:{shape})" if name in known or name[0].isdigit() else f"(?P<{name}>{shape})")
        known.add(name)
    return "".join((*parts, re.escape(text[at:])))


def _shape(name: str, behind: str) -> str:
    """What a variable's value looks like, if this character stands behind it."""
    if behind == '"':
        return r'(?:[^"\\]|\\.)*'
    if name in SHAPES:
        return SHAPES[name]
    if name.startswith("upstream_") and not name.startswith(ANYTHING):
        return _listed(r'[^\s,"]+')
    if behind == "]":
        return r"[^\]]*"
    return ".*?" if name.startswith(ANYTHING) or behind != " " else r"\S*"


def _json(line: str) -> Values | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


_COMBINED: Final = re.compile(_pattern(NGINX) + "(?P<rest>.*)", re.ASCII)
