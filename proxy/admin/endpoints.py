"""The table of the JSON API: every path and method, who may, what is taken and given, and the function that does it.

Rules: the server follows this table and `openapi` describes it, so neither can tell of what the other does not know. A
function is given the Desk and a Call, and gives a shape or a coroutine of one; it raises Refused with what is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError

from proxy.acme import certified
from proxy.admin import configured, deeds, explained, facts, shapes
from proxy.admin.asked import Asked, Refused
from proxy.admin.desk import Desk
from proxy.admin.rights import Rights
from proxy.admin.shapes import Shape

V1: Final = "/api/v1"
BACKEND: Final = f"{V1}/upstreams/{{upstream}}/backends/{{backend}}"


class Question(NamedTuple):
    """A word of the query that is a number: what it means, and what it is when it is not said, or at most."""

    name: str
    words: str
    default: int
    most: int


class Call(NamedTuple):
    """A request at an endpoint: the parts of its path, the numbers of its query, and what its body says."""

    parts: Mapping[str, str]
    numbers: Mapping[str, int]
    said: BaseModel


Do = Callable[[Desk, Call], Shape | Awaitable[Shape]]


class Endpoint(NamedTuple):
    """A row of the table; `takes` is None where there is no body."""

    method: str
    path: str
    summary: str
    do: Do
    gives: type[Shape]
    takes: type[Shape] | None = None
    questions: tuple[Question, ...] = ()
    status: int = 200

    @property
    def rights(self) -> Rights:
        """What whoever asks needs."""
        return "read" if self.takes is None else "write"

    def match(self, path: str) -> dict[str, str] | None:
        """The parts of a path that belongs here, without their percent signs; None for any other."""
        wanted, given = self.path.split("/"), path.split("/")
        if len(wanted) != len(given):
            return None
        parts = {}
        for one, other in zip(wanted, given, strict=True):
            if one.startswith("{"):
                parts[one[1:-1]] = unquote(other)
            elif one != other:
                return None
        return parts


def _most(default: int, most: int) -> tuple[Question, ...]:
    return (Question("most", "how many at most", default, most),)


# --- reading --------------------------------------------------------------------------------------------------------


def _upstream(desk: Desk, call: Call) -> Shape:
    name = call.parts["upstream"]
    if name not in desk.standing.model.upstream:
        raise Refused(
            404, f"there is no upstream {name!r}; there are {', '.join(desk.standing.model.upstream) or 'none'}"
        )
    return facts.upstream(desk.standing, desk.flow, name, time.monotonic())


def _recent(desk: Desk, call: Call) -> Shape:
    keep = desk.standing.model.explain.keep
    return shapes.Briefs(on=keep > 0, kept=keep, exchanges=explained.recent(desk.standing, call.numbers["most"]))


def _failed(desk: Desk, call: Call) -> Shape:
    keep = desk.standing.model.explain.failed
    return shapes.Briefs(on=keep > 0, kept=keep, exchanges=explained.failed(desk.standing, call.numbers["most"]))


def _slowest(desk: Desk, call: Call) -> Shape:
    keep = desk.standing.model.explain.slowest
    found = explained.slowest(desk.standing, call.numbers["most"], time.time())
    return shapes.Briefs(on=keep > 0, kept=keep, exchanges=found)


def _explain(desk: Desk, call: Call) -> Shape:
    found = explained.explanation(desk.standing, call.parts["request_id"])
    if found is None:
        kept = desk.standing.model.explain
        hint = (
            f"the last {kept.keep} are" if kept.keep else "only failed and slow ones are: [explain] keep says how many"
        )
        raise Refused(404, f"exchange {call.parts['request_id']!r} is not kept; {hint}")
    return found


def _history(desk: Desk, call: Call) -> Shape:
    return shapes.History(samples=list(desk.flow.samples)[-call.numbers["seconds"] :])


# --- doing ----------------------------------------------------------------------------------------------------------


def _deed(deed: deeds.Deed) -> Do:
    def do(desk: Desk, call: Call) -> Shape:
        changed = deeds.done(desk.standing, desk.flow, call.parts["upstream"], call.parts["backend"], deed)
        desk.news.tell("change", changed)
        return changed

    return do


def _weigh(desk: Desk, call: Call) -> Shape:
    assert isinstance(call.said, shapes.Weight)
    return _deed(deeds.weighed(call.said.weight))(desk, call)  # type: ignore[return-value]


def _pardon(desk: Desk, call: Call) -> Shape:
    changed = deeds.pardoned(desk.standing, desk.flow, call.parts["upstream"], call.parts["backend"])
    desk.news.tell("change", changed)
    return changed


def _reload(desk: Desk, call: Call) -> Shape:
    desk.standing.reload()
    words = "the configuration is read again: how that ends is told in the state, and in the error log"
    return shapes.Asked(asked=True, sentence=words)


def _renew(desk: Desk, call: Call) -> Shape:
    try:
        certified.ask(desk.standing.model, call.parts["site"])
    except ValueError as error:
        raise Refused(404, str(error)) from None
    except OSError as error:
        raise Refused(500, f"the certificate cannot be asked for: {error.strerror}") from None
    sentence = f"the certificate of site {call.parts['site']} is asked for: see the error log, or the certificates"
    desk.news.tell("change", {"sentence": sentence})
    return shapes.Asked(asked=True, sentence=sentence)


# --- the table ------------------------------------------------------------------------------------------------------

READ: Final = (
    Endpoint(
        "GET", f"{V1}/state", "The host in a few numbers", lambda desk, call: facts.state(desk.standing), shapes.State
    ),
    Endpoint(
        "GET",
        f"{V1}/workers",
        "The processes that serve",
        lambda desk, call: shapes.Workers(workers=facts.workers(desk.standing)),
        shapes.Workers,
    ),
    Endpoint(
        "GET",
        f"{V1}/sites",
        "Sites, their routes and traffic",
        lambda desk, call: shapes.Sites(sites=facts.sites(desk.standing, desk.flow)),
        shapes.Sites,
    ),
    Endpoint(
        "GET",
        f"{V1}/upstreams",
        "Upstreams and how their backends stand",
        lambda desk, call: shapes.Upstreams(upstreams=facts.upstreams(desk.standing, desk.flow, time.monotonic())),
        shapes.Upstreams,
    ),
    Endpoint("GET", f"{V1}/upstreams/{{upstream}}", "One upstream", _upstream, shapes.Upstream),
    Endpoint(
        "GET",
        f"{V1}/limits",
        "Limits, what they decided, and whom they reject most",
        lambda desk, call: shapes.Limits(limits=facts.limits(desk.standing)),
        shapes.Limits,
    ),
    Endpoint(
        "GET",
        f"{V1}/certificates",
        "Certificates that are shown",
        lambda desk, call: shapes.Certificates(certificates=facts.certificates(desk.standing)),
        shapes.Certificates,
    ),
    Endpoint(
        "GET",
        f"{V1}/history",
        "Traffic by the second",
        _history,
        shapes.History,
        questions=(Question("seconds", "how far back", 300, 600),),
    ),
    Endpoint(
        "GET",
        f"{V1}/exchanges/live",
        "Exchanges that go on now",
        lambda desk, call: desk.live(call.numbers["most"]),
        shapes.LiveExchanges,
        questions=_most(200, 1000),
    ),
    Endpoint("GET", f"{V1}/exchanges/recent", "The last exchanges", _recent, shapes.Briefs, questions=_most(50, 1000)),
    Endpoint(
        "GET", f"{V1}/exchanges/failed", "The last that failed", _failed, shapes.Briefs, questions=_most(50, 1000)
    ),
    Endpoint(
        "GET",
        f"{V1}/exchanges/slowest",
        "Those of the last minutes that took longest",
        _slowest,
        shapes.Briefs,
        questions=_most(20, 1000),
    ),
    Endpoint("GET", f"{V1}/exchanges/{{request_id}}", "Why it went as it did", _explain, shapes.Explanation),
    Endpoint(
        "GET",
        f"{V1}/errors",
        "Failed exchanges, with the reason",
        lambda desk, call: shapes.Errors(errors=explained.failed(desk.standing, call.numbers["most"])),
        shapes.Errors,
        questions=_most(50, 1000),
    ),
    Endpoint(
        "GET",
        f"{V1}/config",
        "The configuration in force, with the line each value came from",
        lambda desk, call: configured.configuration(desk.standing.model),
        shapes.Configuration,
    ),
    Endpoint(
        "GET",
        f"{V1}/apps",
        "Applications that are supervised",
        lambda desk, call: shapes.Apps(apps=facts.apps(desk.standing)),
        shapes.Apps,
    ),
)

_DEEDS: Final = (
    ("drain", "Give a backend no new requests", deeds.DRAIN),
    ("undrain", "Give a drained backend requests again", deeds.UNDRAIN),
    ("disable", "Give a backend nothing, not even those who are bound to it", deeds.DISABLE),
    ("enable", "Use a disabled backend again", deeds.ENABLE),
)

DO: Final = (
    *(
        Endpoint("POST", f"{BACKEND}/{word}", words, _deed(deed), shapes.Changed, shapes.Nothing)
        for word, words, deed in _DEEDS
    ),
    Endpoint("POST", f"{BACKEND}/weight", "Weigh a backend otherwise", _weigh, shapes.Changed, shapes.Weight),
    Endpoint("POST", f"{BACKEND}/breaker/reset", "Close a backend's breaker", _pardon, shapes.Changed, shapes.Nothing),
    Endpoint("POST", f"{V1}/reload", "Read the configuration again", _reload, shapes.Asked, shapes.Nothing, status=202),
    Endpoint(
        "POST",
        f"{V1}/certificates/{{site}}/renew",
        "Order the certificate of a site anew",
        _renew,
        shapes.Asked,
        shapes.Nothing,
        status=202,
    ),
)

ENDPOINTS: Final[tuple[Endpoint, ...]] = (*READ, *DO)


def found(asked: Asked) -> tuple[Endpoint, dict[str, str]]:
    """The endpoint of a request, and the parts of its path. Refused when there is none, or not for its method."""
    methods = []
    for endpoint in ENDPOINTS:
        parts = endpoint.match(asked.path)
        if parts is not None:
            if asked.method == endpoint.method or (asked.method == "HEAD" and endpoint.method == "GET"):
                return endpoint, parts
            methods.append(endpoint.method)
    if methods:
        allowed = ", ".join(dict.fromkeys([*methods, *(["HEAD"] if "GET" in methods else [])]))
        raise Refused(405, f"this path takes {allowed} alone", allowed)
    raise Refused(404, "there is nothing here: see /api/openapi.json")


def call(endpoint: Endpoint, parts: Mapping[str, str], asked: Asked) -> Call:
    """What a request says, checked. Refused with a sentence."""
    numbers = {}
    for question in endpoint.questions:
        text = asked.query(question.name)
        if text and not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= question.most and len(text) < 10):
            raise Refused(400, f"{question.name} must be a number from 1 to {question.most} (got {text[:40]!r})")
        numbers[question.name] = int(text) if text else question.default
    return Call(parts, numbers, said(endpoint.takes, asked.body) if endpoint.takes is not None else shapes.Nothing())


def said(takes: type[Shape], body: bytes) -> Shape:
    """What a body says. Refused with a sentence."""
    try:
        return takes.model_validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Refused(400, f"{where}: {first['msg'].lower()}" if where else first["msg"]) from None
