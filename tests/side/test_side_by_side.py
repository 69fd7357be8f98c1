"""The same configuration and requests through nginx and frontgate: status, fields and bodies are the same.

Rules: differences stand in DIFFERENT with a reason, and one that is gone fails too. Debian's nginx is 1.22; where a
newer nginx does otherwise, frontgate follows the newer one and the table says so.
"""

from __future__ import annotations

import gzip
import os
import shutil
import time

import pytest
import trustme
from differences import DIFFERENT
from pair import NGINX, Backend, both
from side_cases import GROUPS

pytestmark = pytest.mark.skipif(shutil.which(NGINX) is None, reason="needs nginx (on Debian: apt-get install nginx)")

CASES = [(group.name, name) for group in GROUPS for name in group.asked]
BY_NAME = {group.name: group for group in GROUPS}
LONG_AGO = 1420070400  # 2015-01-01


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder of files that both serve."""
    root = tmp_path_factory.mktemp("files")
    (root / "folder").mkdir()
    (root / "zipped").mkdir()
    texts = {
        "small.txt": b"a small text, but long enough to be worth zipping\n" * 4,
        "empty.txt": b"",
        "page.html": b"<p>page</p>\n",
        "picture.png": bytes(range(256)),
        "unknown.xyz": b"what is it",
        "big.bin": bytes(range(256)) * 2048,
        "folder/index.html": b"<p>index</p>\n",
        "folder/other.txt": b"other\n",
        "folder/a <b>&c.txt": b"odd\n",
        "zipped/page.html": b"<p>not zipped</p>\n",
        "zipped/page.html.gz": gzip.compress(b"<p>zipped</p>\n", mtime=0),
        "users": b"ann:{PLAIN}secret\n",
    }
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "*.example")
    texts["server.pem"] = b"".join(one.bytes() for one in issued.cert_chain_pems)
    texts["server.key"] = issued.private_key_pem.bytes()
    texts["authority.pem"] = authority.cert_pem.bytes()
    for name, content in texts.items():
        (root / name).write_bytes(content)
        os.utime(root / name, (LONG_AGO, LONG_AGO))
    for folder in (root / "folder", root):
        os.utime(folder, (LONG_AGO, LONG_AGO))
        folder.chmod(0o755)
    root.parent.chmod(0o755)
    return root


@pytest.fixture(scope="module")
def backend():
    one = Backend()
    yield one
    one.close()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, files, backend):
    """Both servers for a group, started when its first case comes, ended when the next group's does."""
    running = {}

    def of(name):
        if name not in running:
            while running:
                for one in running.popitem()[1]:
                    one.end()
            running[name] = ()  # should they not start, they are not tried again for each case
            running[name] = both(BY_NAME[name].conf, tmp_path_factory.mktemp("pair"), files, backend.port)
        assert running[name], "the servers of this group did not start"
        return running[name]

    yield of
    while running:
        for one in running.popitem()[1]:
            one.end()


@pytest.mark.parametrize(("group", "name"), CASES)
def test_the_same(pairs, group, name):
    door, request = BY_NAME[group].asked[name]
    nginx, ours = pairs(group)
    secure = BY_NAME[group].secure and not name.startswith("plain")
    for _ in range(5):
        second = int(time.time())
        theirs, own = nginx.tell(request, door, secure), ours.tell(request, door, secure)
        if own == theirs or int(time.time()) == second:  # else they may tell of times, and not of the same one
            break
    if (group, name) in DIFFERENT:
        assert own != theirs, f"no longer different: {DIFFERENT[group, name]}"
        return
    assert own == theirs


def test_there_are_enough_cases():
    assert len(CASES) >= 150
    assert set(DIFFERENT) <= set(CASES)
