"""Others read the same text: crossplane the trees, and nginx itself what crossplane is known to read differently.

crossplane keeps escapes of \\t, \\r, \\n as they are, joins "${a} b" to one word, and has not nginx's rules behind a
closing quote; so its configurations are made of words without those. nginx is asked by `nginx -t` for the first error
of a text.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import crossplane
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from proxy.config.nginx.parser import parse, parse_text
from proxy.config.source import ConfigError

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
TYPES = "types {\n"  # nginx takes every statement in it, so that only its syntax is judged

plain = st.text(alphabet="abz09_-./:=~^*+|@,%()[]$", min_size=1, max_size=8).filter(lambda word: word[0] not in "()")
quoted = st.text(alphabet="ab09 ;{}#$_\t", max_size=8)
variable = st.text(alphabet="abc_", min_size=1, max_size=4).map("a${{{}}}b".format)
word = plain | quoted.map(lambda text: f'"{text}"') | quoted.map(lambda text: f"'{text}'") | variable
name = st.text(alphabet="abcdef_", min_size=2, max_size=8).filter(lambda text: text != "if")
blank = st.sampled_from([" ", "\n", "\t ", "  \n", ' # it\'s a "comment" {;}\n'])
simple = st.builds(lambda first, rest, gap: gap.join([first, *rest]) + ";", name, st.lists(word, max_size=3), blank)
statement = st.recursive(
    simple,
    lambda inner: st.builds(
        lambda first, rest, gap, block: gap.join([first, *rest]) + gap + "{" + gap.join(["", *block, "}"]),
        name,
        st.lists(word, max_size=2),
        blank,
        st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)


def ours(directives):
    return [(one.name, list(one.args), None if one.block is None else ours(one.block)) for one in directives]


def theirs(statements):
    return [
        (one["directive"], one["args"], theirs(one["block"]) if "block" in one else None)
        for one in statements
        if not one["directive"].startswith("#")
    ]


def crossplane_tree(path):
    read = crossplane.parse(str(path), check_ctx=False, check_args=False, combine=True)
    assert read["status"] == "ok", read["errors"]
    return theirs(read["config"][0]["parsed"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(statement, max_size=4), blank)
def test_trees_are_those_of_crossplane(tmp_path, statements, gap):
    path = tmp_path / "x.conf"
    path.write_text(gap.join(statements))
    assert ours(parse(path).directives) == crossplane_tree(path)


HAND_WRITTEN = r"""
user  www-data;
events { worker_connections 1024; }  # comment with "quotes' and {braces}
http {
    log_format main '$remote_addr - $remote_user [$time_local] "$request" '
                    '$status "$http_referer"';
    map $http_upgrade $connection_upgrade { default upgrade; '' close; ~*^\d+\.x$ "a b"; }
    server {
        listen 80; listen [::]:443 ssl http2;
        server_name "~^(?<sub>\w+)\.example\.com$" *.example.org;
        location ~* \.(?:png|jpe?g)$ { expires 30d; add_header X "a;b{c}" always; }
        location = /x { return 200 "{\"a\": 1}\n"; }
        location @named { proxy_pass http://${host}_app$request_uri; }
        location / { rewrite ^/(.*)\.html$ /$1 last; rewrite "^/[a-z]{2,3}/x" /y; }
    }
}
"""


def test_a_common_configuration(tmp_path):
    path = tmp_path / "x.conf"
    path.write_text(HAND_WRITTEN)
    common = ours(parse(path).directives)
    expected = crossplane_tree(path)
    answer = expected[2][2][2][2][4][2][0]
    assert answer == ("return", ["200", '{"a": 1}\\n'], None)
    answer[1][1] = '{"a": 1}\n'  # which nginx reads as a line feed
    assert common == expected


def test_includes_are_those_of_crossplane(tmp_path):
    (tmp_path / "a").mkdir()
    for file in ("b", "c", "a/d"):
        (tmp_path / f"{file}.conf").write_text(f"x {file};\ny {{ z; }}\n")
    path = tmp_path / "x.conf"
    path.write_text("a { include *[bc].conf; }\ninclude a/*.conf;\ninclude none/*;\n")
    assert ours(parse(path).directives) == crossplane_tree(path)


def nginx_says(folder, text):
    """nginx's first complaint without its place, None when there is none."""
    path = folder / "nginx.conf"
    path.write_text(
        f"pid {folder}/pid; error_log stderr; events {{}} http {{ access_log off; {TYPES}{text}",
        errors="surrogateescape",
    )
    run = subprocess.run(
        [NGINX, "-t", "-q", "-p", f"{folder}/", "-c", str(path), "-g", "user root;"],
        capture_output=True,
        timeout=20,
    )
    said = run.stderr.decode("utf-8", "surrogateescape")
    found = re.search(r"\[emerg\] (?:\d+#\d+: )?(.*) in \S+:\d+$", said, re.MULTILINE | re.DOTALL)
    assert run.returncode == 0 or found, said
    return found[1] if found else None


def we_say(text):
    """Our first complaint in nginx's words alone, by the order of the text."""
    try:
        parse_text("http { " + TYPES + text, "x.conf")
    except ConfigError as error:
        sentence = error.errors[0].sentence
        found = re.match(r'unexpected (?:"[^\n]"|end of file, expecting "[;}]"(?: or "}")?)', sentence)
        assert found, sentence
        return found[0]
    return None


needs_nginx = pytest.mark.skipif(not shutil.which(NGINX), reason="nginx is not installed")


@pytest.mark.debian
@needs_nginx
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="ab \n;;{}}\"'\\#$)", max_size=25), st.booleans())
def test_nginx_refuses_the_same(tmp_path, text, closed):
    text += "\n;}}" if closed else ""
    expected = nginx_says(tmp_path, text)
    assume(not (expected or "").startswith("unknown directive"))  # behind a "}" that ends the types
    said = we_say(text)
    assert (said is None) is (expected is None)


@pytest.mark.debian
@needs_nginx
@pytest.mark.parametrize(
    "text",
    [
        "a b; } }",
        "a 'b'c; } }",
        "a 'b'} }",
        "a b } }",
        "a b}; } }",
        "a b} } }",
        "; } }",
        "} } }",
        "a ${b{; } }",
        "a 'b",
        "a \\",
        "a b;",
        "a b; }",
        "a 'b'){; } }",
        "a 'b')c; } }",
        "a\\;b c; } }",
        "a # b; } }",
        "a#b c; } }",
        "a 'b'# c; } }",
    ],
)
def test_nginx_says_the_same(tmp_path, text):
    expected = nginx_says(tmp_path, text)
    said = we_say(text)
    if expected == 'unexpected "{"':  # our tree does not know which blocks have no blocks inside
        assert said is not None or "){" in text
    else:
        assert said == expected


@pytest.mark.debian
@needs_nginx
@pytest.mark.parametrize(
    "raw",
    [
        "'a b'",
        r"a\tb",
        r"a\nb\rc",
        r"\'a\'",
        r"a\;b\{c",
        r"'a\'b'",
        r'"a\"b\\c\d"',
        r"a\\\\b\\",
        "${a}b${c}",
        "a'b'c",
        'a"b',
        "a}b}",
        "a#b",
        "\u00e4\u20ac",
        r"\#a",
        r"'\ta\ '",
        "''",
        "$${{a}}",
    ],
)
def test_nginx_reads_the_same_word(tmp_path, raw):
    """nginx says the word itself when it knows no such directive."""
    text = "} }\n" + raw + " x;"
    assert nginx_says(tmp_path, text) == f'unknown directive "{parse_text(raw + " x;", "x.conf")[0].name}"'
