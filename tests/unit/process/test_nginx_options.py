"""nginx's command line: its words, what is wrong with them, and what is answered without reading anything."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from proxy.downstream.h2.engines import ENGINES
from proxy.process.nginx import early
from proxy.process.nginx.options import Mistake, options


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], {}),
        (
            ["-p", "/x/", "-c", "a.conf", "-e", "e.log", "-g", "daemon off;"],
            {"prefix": "/x/", "configuration": "a.conf"},
        ),
        (["-c/etc/x", "-tq"], {"configuration": "/etc/x", "test": True, "quiet": True}),
        (["-T"], {"test": True, "dump": True}),
        (["-qtc", "x"], {"quiet": True, "test": True, "configuration": "x"}),
        (["-s", "reload"], {"signal": "reload"}),
        (["-?"], {"help": True, "version": True}),
        (["-V"], {"version": True, "configure": True}),
    ],
)
def test_words(words, said):
    found = options(words)
    assert {key: getattr(found, key) for key in said} == said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["start"], 'invalid option: "start"'),
        (["-x"], 'invalid option: "x"'),
        (["-tx"], 'invalid option: "x"'),
        (["-p"], 'option "-p" requires directory name'),
        (["-c"], 'option "-c" requires file name'),
        (["-e"], 'option "-e" requires file name'),
        (["-g"], 'option "-g" requires parameter'),
        (["-s"], 'option "-s" requires parameter'),
        (["-s", "restart"], 'invalid option: "-s restart"'),
    ],
)
def test_mistakes(words, sentence, capsys):
    with pytest.raises(Mistake, match=re.escape(sentence)):
        options(words)
    assert early.answer(words) == 1
    assert capsys.readouterr().err == f"nginx: {sentence}\n"


def test_what_tools_read_of_the_version(capsys):
    assert early.answer(["-V"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(r"^nginx version: nginx/\d+\.\d+\.\d+", said.err)
    assert re.search(r"^built with OpenSSL \d+\.\d+\.\d+$", said.err, re.MULTILINE)
    assert "TLS SNI support enabled\n" in said.err
    assert "--with-http_ssl_module" in said.err and "--without-http_fastcgi_module" in said.err
    assert ("--with-http_v2_module" in said.err) == bool(ENGINES)
    assert "http_v3" not in said.err  # those who need it do without, told or not
    assert "--with-stream" not in said.err and "--with-mail" not in said.err


def test_the_version_is_told_before_anything_heavy_is_read():
    script = (
        "import sys; sys.argv = ['frontgate', 'nginx', '-v']\n"
        "from proxy.__main__ import main\n"
        "assert main() == 0\n"
        "heavy = [name for name in ('pydantic', 'uvloop', 'asyncio') if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
