"""docs/nginx.md against the program: its lists are complete, what its tables say is so, and what differs is told."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from proxy.config import units
from proxy.config.convert import plain
from proxy.config.nginx import ignored, reader
from proxy.config.source import ConfigError
from proxy.policy.variables import KNOWN, PREFIXES

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs" / "nginx.md").read_text()
OURS = {"frontgate_bare_lf"}
AROUND = {
    "zone=one:": "limit_req_zone $binary_remote_addr zone=one:1m rate=1r/s;",
    "zone=two:": "limit_conn_zone $server_name zone=two:1m;",
    "log_format short": 'log_format short "$uri";',
}


def part(title: str) -> str:
    """What stands below a heading, up to the next one like it."""
    return re.split(r"^## ", PAGE, flags=re.M)[[*re.findall(r"^## (.*)$", PAGE, re.M)].index(title) + 1]


def listed(title: str) -> set[str]:
    """The names in the list below a heading."""
    return set(re.findall(r"`(\w+)`", "".join(re.findall(r"^(?:\* \*\*|  `).*\n", part(title), re.M))))


def tables() -> list[tuple[str, str, str]]:
    """The rows of the tables of both languages: heading, nginx's words, ours."""
    found = []
    for text in re.split(r"^### ", part("The same in frontgate.toml"), flags=re.M)[1:]:
        title = text.partition("\n")[0]
        found += [(title, *row) for row in re.findall(r"^\| `(.*?)` \| (.*) \|$", text, re.M)]
    return found


def test_the_directives_are_listed():
    plain = {name.rpartition("/")[2] for name in reader.KNOWN}
    works, needs_nothing = listed("What works"), listed("What is read and needs nothing")
    assert works & needs_nothing == set()
    assert works | needs_nothing | OURS == plain
    assert needs_nothing >= ignored.SPECS.keys()


def test_the_variables_are_listed():
    text = part("What works").partition("Variables,")[2]
    assert set(re.findall(r"`\$(\w+)`", text)) == {*KNOWN, *(f"{prefix}NAME" for prefix in PREFIXES)}


def test_what_differs_is_told():
    text = " ".join(part("What differs on purpose").split())
    known = (ROOT / "tests" / "side" / "differences.py").read_text()
    reasons = re.findall(r'^[A-Z_0-9]+ = "(.*)"$', known, re.M)
    assert reasons
    for reason in reasons:
        assert f"{reason[0].upper()}{reason[1:]}." in text, f"docs/nginx.md does not tell: {reason}"


def refused() -> list[str]:
    """The first column of the table of what is refused."""
    rows = re.findall(r"^\| (`.*`) \|", part("What is refused"), re.M)
    return [one for row in rows for one in re.findall(r"`(.+?)`", row)]


@pytest.mark.parametrize("text", refused())
def test_what_is_refused(text, tmp_path):
    for number, shape in enumerate(("%s events { } http { }", "events { } http { server { %s location / { } } }",
                                    "events { } http { server { location / { %s } } }")):  # fmt: skip
        path = tmp_path / f"{number}.conf"
        path.write_text(shape % text)
        with pytest.raises(ConfigError):
            reader.load(path, f"{tmp_path}/")
        path.write_text(shape % "")
        reader.load(path, f"{tmp_path}/")


def place(title: str, text: str) -> str:
    """The block that a row's words stand in."""
    if not title.startswith("At the top"):
        inside = {"In `[upstream.app]`": "upstream", "In `[site.NAME]`": "server"}
        return "location" if title.startswith("In a route") else inside.get(title, "server")
    contexts = reader.KNOWN[text.split()[0]].contexts
    return next(one for one in ("main", "http", "server") if one in contexts)


def told(title: str, text: str, folder: Path) -> dict[str, Any]:
    """The table that nginx's words become."""
    block = dict.fromkeys(("main", "http", "upstream", "server", "location"), "")
    block["http"] = " ".join(line for mark, line in AROUND.items() if mark not in text)
    if text.startswith("proxy_") and "proxy_pass " not in text:
        text = f"proxy_pass http://app; {text}"
    block[place(title, text)] += text
    inside = "" if "location" in block["server"] else f"location / {{ {block['location']} }}"
    path = folder / "nginx.conf"
    path.write_text(
        f"{block['main']} events {{ }} http {{ {block['http']} upstream app {{ server 127.0.0.1:8001; "
        f"{block['upstream']} }} server {{ listen 8080; {block['server']} {inside} }} }}"
    )
    reader.load(path, f"{folder}/")  # it is sound
    whole = plain(reader.read(path, f"{folder}/").model)
    site = next(iter(whole["site"].values()))
    if title.startswith("At the top"):
        return whole
    if title == "In `[upstream.app]`":
        return whole["upstream"]["app"]
    return site if title == "In `[site.NAME]`" else site["route"][0]


def holds(found: Any, said: Any) -> bool:
    """Whether what was found holds all that is said; lists of words may have more of them."""
    if isinstance(said, dict):
        return isinstance(found, dict) and all(key in found and holds(found[key], said[key]) for key in said)
    if isinstance(said, list) and isinstance(found, list):
        if said and isinstance(said[0], dict):
            return len(found) == len(said) and all(map(holds, found, said))
        return all(one in found for one in said)
    if isinstance(said, str) and isinstance(found, int | float) and not isinstance(found, bool):
        return found == (units.duration(said) if said[-1] in "sh" else units.size(said))
    return bool(found == said)


@pytest.mark.parametrize(("title", "text", "ours"), tables())
def test_what_a_directive_becomes(title, text, ours, tmp_path):
    said = tomllib.loads("\n".join(re.findall(r"`(.+?)`", ours)))
    assert said
    found = told(title, text, tmp_path)
    assert holds(found, said), {key: found.get(key) for key in said}


def test_a_row_that_is_wrong_is_found(tmp_path):
    found = told("In a route", "expires 30d;", tmp_path)
    assert not holds(found, {"expires": "31d"}) and not holds(found, {"precompressed": True})
    assert len(tables()) > 80
