"""Conversations: answers that come of files, with conditions, parts, folders and what is tried."""

from __future__ import annotations

import gzip
import os

import pytest
from stage import ONE, SOLO

from proxy.content import file_body, shelf
from proxy.http.conditional import parse_date

TABLE = (
    ONE
    + """
[site.all]
default = true
{site}
[[site.all.route]]
path = "/"
files = "{folder}"
{more}
"""
)
LARGE = bytes(range(256)) * 4000  # a million bytes, each known by its place
OLD = 1_600_000_000


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"hello")
    (root / "sub" / "index.html").write_bytes(b"<p>index</p>")
    (root / "large.bin").write_bytes(LARGE)
    (tmp_path / "secret").write_bytes(b"secret")
    for name in ("a.txt", "large.bin", "sub/index.html"):
        os.utime(root / name, (OLD, OLD))
    return root


@pytest.fixture
def serving(opened, folder):
    """Opens a door before the folder; `more` are keys of its route, or further routes."""

    def make(more="", site="", table=TABLE):
        return opened(table.format(folder=folder, more=more, site=site))

    return make


def asked(client, target, more=b"", method=b"GET"):
    client.says(b"%b %b HTTP/1.1\r\nHost: door\r\n%b\r\n" % (method, target, more))
    return client.answer(method.decode())


def test_a_small_file_has_its_type_its_times_and_its_tag(serving):
    answer = asked(serving().client(), b"/a.txt")
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer["content-type"] == b"text/plain" and answer["content-length"] == b"5"
    assert answer["last-modified"] == b"Sun, 13 Sep 2020 12:26:40 GMT" and answer["etag"] == b'"5f5e1000-5"'
    assert answer["accept-ranges"] == b"bytes"


def test_it_comes_from_memory_the_second_time_and_is_read_anew_when_it_changes(serving, folder, monkeypatch):
    door = serving()
    client = door.client()
    assert asked(client, b"/a.txt").body == b"hello"
    reads = []
    monkeypatch.setattr(os, "open", lambda *words, real=os.open: reads.append(words) or real(*words))
    assert asked(client, b"/a.txt").body == b"hello" and not reads
    (folder / "a.txt").write_bytes(b"other")
    assert asked(client, b"/a.txt").body == b"other" and reads


def test_what_was_left_alone_is_trusted_for_a_second(serving, folder, monkeypatch):
    door = serving()
    door.clock.epoch = os.stat(folder / "a.txt").st_ctime + 100 - door.clock.now
    client = door.client()
    assert asked(client, b"/a.txt").body == b"hello"
    (folder / "a.txt").write_bytes(b"other")
    assert asked(client, b"/a.txt").body == b"hello"
    door.wait(shelf.TRUST)
    assert asked(client, b"/a.txt").body == b"other"


def test_a_file_that_is_gone_is_not_sent_from_memory(serving, folder):
    client = serving().client()
    assert asked(client, b"/a.txt").status == 200
    (folder / "a.txt").unlink()
    assert asked(client, b"/a.txt").status == 404


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/none", 404),
        (b"/a.txt/", 404),
        (b"/a.txt/b", 404),
        (b"/sub", 301),
        (b"/", 403),
        (b"/none/", 404),
        (b"/sub/", 200),
        (b"/" + b"x" * 300, 404),
        (b"/%00", 404),
        (b"/a.txt%00", 404),
        (b"/..%2fsecret", 400),
        (b"/sub/..%2f..%2fsecret", 400),
        (b"/%2e%2e/secret", 400),
        (b"/sub/%2e%2e/a.txt", 200),
        (b"/fifo", 404),
        (b"/link.txt", 200),
        (b"/closed.txt", 403),
    ],
)
def test_statuses(serving, folder, target, status):
    os.mkfifo(folder / "fifo")
    (folder / "link.txt").symlink_to("a.txt")
    (folder / "closed.txt").symlink_to("closed.txt")  # a circle: not even root can open it
    assert asked(serving().client(), target).status == status


def test_a_folder_is_sent_to_its_slash_with_the_query_and_not_to_another_host(serving, folder):
    client = serving().client()
    assert asked(client, b"/sub?a=b")["location"] == b"/sub/?a=b"
    (folder / "evil.com").mkdir()
    assert asked(client, b"//evil.com")["location"] == b"/evil.com/"
    (folder / "s p").mkdir()
    assert asked(client, b"/s%20p")["location"] == b"/s%20p/"


@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"POST"])
def test_other_methods_are_not_allowed(serving, method):
    client = serving().client()
    client.says(b"%b /a.txt HTTP/1.1\r\nHost: door\r\nContent-Length: 0\r\n\r\n" % method)
    answer = client.answer()
    assert answer.status == 405 and answer["allow"] == b"GET, HEAD"


def test_head_has_the_length_and_no_body(serving):
    client = serving().client()
    for target, size in ((b"/a.txt", b"5"), (b"/large.bin", b"1024000")):
        answer = asked(client, target, method=b"HEAD")
        assert answer.status == 200 and answer["content-length"] == size and answer.body == b""
    assert asked(client, b"/a.txt").body == b"hello"


@pytest.mark.parametrize(
    ("field", "status"),
    [
        (b"If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT", 304),
        (b"If-Modified-Since: Mon, 14 Sep 2020 12:26:40 GMT", 200),
        (b'If-None-Match: "5f5e1000-5"', 304),
        (b'If-None-Match: "x", W/"5f5e1000-5"', 304),
        (b"If-None-Match: *", 304),
        (b'If-None-Match: "x"', 200),
        (b'If-Match: "x"', 412),
        (b'If-Match: "5f5e1000-5"', 200),
        (b'If-Match: W/"5f5e1000-5"', 412),
        (b"If-Unmodified-Since: Sun, 13 Sep 2020 12:26:39 GMT", 412),
        (b"If-Unmodified-Since: Sun, 13 Sep 2020 12:26:40 GMT", 200),
    ],
)
def test_conditions(serving, field, status):
    client = serving().client()
    answer = asked(client, b"/a.txt", field + b"\r\n")
    assert answer.status == status
    if status == 304:
        assert answer["etag"] == b'"5f5e1000-5"' and not answer["content-length"] and not answer["content-type"]
    assert asked(client, b"/a.txt").status == 200


def test_later_dates_and_none(serving):
    later = b"If-Modified-Since: Mon, 14 Sep 2020 12:26:40 GMT\r\n"
    assert asked(serving('if_modified_since = "before"').client(), b"/a.txt", later).status == 304
    same = b"If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT\r\n"
    assert asked(serving('if_modified_since = "off"').client(), b"/a.txt", same).status == 200
    answer = asked(serving("etag = false").client(), b"/a.txt")
    assert not answer["etag"] and answer["last-modified"]


@pytest.mark.parametrize("target", [b"/a.txt", b"/large.bin"])
def test_one_part(serving, folder, target):
    whole = (folder / target[1:].decode()).read_bytes()
    client = serving().client()
    for value, begin, end in ((b"0-1", 0, 2), (b"-3", len(whole) - 3, len(whole)), (b"2-", 2, len(whole))):
        answer = asked(client, target, b"Range: bytes=%b\r\n" % value)
        assert answer.status == 206 and answer.body == whole[begin:end]
        assert answer["content-range"] == b"bytes %d-%d/%d" % (begin, end - 1, len(whole))


@pytest.mark.parametrize("target", [b"/a.txt", b"/large.bin"])
def test_several_parts(serving, folder, target):
    whole = (folder / target[1:].decode()).read_bytes()
    answer = asked(serving().client(), target, b"Range: bytes=0-1,-2\r\n")
    assert answer.status == 206
    boundary = answer["content-type"].partition(b"boundary=")[2]
    kind = b"text/plain" if target == b"/a.txt" else b"application/octet-stream"
    text = b"".join(
        b"\r\n--%b\r\nContent-Type: %b\r\nContent-Range: bytes %d-%d/%d\r\n\r\n%b"
        % (boundary, kind, begin, begin + 1, len(whole), whole[begin : begin + 2])
        for begin in (0, len(whole) - 2)
    )
    assert answer.body == text + b"\r\n--%b--\r\n" % boundary
    assert int(answer["content-length"]) == len(answer.body)


def test_parts_that_are_not_there(serving):
    client = serving().client()
    answer = asked(client, b"/a.txt", b"Range: bytes=5-\r\n")
    assert answer.status == 416 and answer["content-range"] == b"bytes */5"
    assert asked(client, b"/a.txt", b"Range: bytes=0-9,0-9\r\n").status == 200
    assert asked(serving("max_ranges = 0").client(), b"/a.txt", b"Range: bytes=0-1\r\n").status == 200


def test_a_part_of_what_has_not_changed(serving):
    client = serving().client()
    for value, status in ((b'"5f5e1000-5"', 206), (b'"x"', 200), (b"Sun, 13 Sep 2020 12:26:40 GMT", 206)):
        assert asked(client, b"/a.txt", b"Range: bytes=0-1\r\nIf-Range: %b\r\n" % value).status == status


def test_a_large_file_comes_whole_and_the_next_request_is_answered(serving):
    door = serving()
    client = door.client()
    client.get(b"/large.bin")
    assert client.answer().body == LARGE
    assert asked(client, b"/a.txt").body == b"hello"


def test_a_slow_client_holds_the_file(serving, monkeypatch):
    door = serving()
    client = door.client()
    client.jammed = True
    client.get(b"/large.bin")
    assert len(client.buffer) < file_body.PART + 3 * 65536
    body = b""
    while not door.finished:
        client.flows(50_000)
        body += client.heard()
    client.jammed = False
    client.flows()
    body += client.heard()
    assert body.partition(b"\r\n\r\n")[2] == LARGE


def test_a_client_that_goes_closes_the_file(serving):
    door = serving()
    client = door.client()
    client.jammed = True
    client.get(b"/large.bin")
    link = door.made[-1].link
    assert link._descriptor >= 0
    client.resets()
    assert link._descriptor == -1 and door.fault == "client_left"


def test_a_file_that_becomes_shorter_breaks_off(serving, folder):
    door = serving()
    client = door.client()
    client.jammed = True
    client.get(b"/large.bin")
    os.truncate(folder / "large.bin", 1000)
    for _ in range(40):
        client.flows(50_000)
    assert client.aborted and door.fault == "truncated"


def test_what_lies_beside_the_folder_of_an_alias_is_not_reached(opened, folder):
    routes = (
        ONE
        + f"""
[site.all]
default = true
[[site.all.route]]
path = "/pictures"
alias = "{folder}/"
[[site.all.route]]
match = "regex"
path = "^/by/(.*)$"
alias = "{folder}/$1"
"""
    )
    client = opened(routes).client()
    assert asked(client, b"/pictures/a.txt").body == b"hello"
    assert asked(client, b"/pictures../secret").status == 404
    assert asked(client, b"/by/a.txt").body == b"hello"
    assert asked(client, b"/by/sub/index.html").body == b"<p>index</p>"
    assert asked(client, b"/by/x../../secret").status == 404


def test_a_root_with_variables(opened, folder):
    routes = (
        ONE
        + f"""
[site.all]
default = true
[[site.all.route]]
path = "/"
files = "{folder.parent}/$arg_where"
"""
    )
    client = opened(routes).client()
    assert asked(client, b"/a.txt?where=root").body == b"hello"
    assert asked(client, b"/a.txt?where=root/../root").status == 404


def test_an_index_may_lead_to_another_route(serving, folder):
    (folder / "index.php").write_bytes(b"code")
    more = (
        'index = ["none.html", "index.php"]\n[[site.all.route]]\nmatch = "regex"\npath = "php$"\nreply = {body = "run"}'
    )
    assert asked(serving(more).client(), b"/").body == b"run"
    assert asked(serving('index = ["/a.txt"]').client(), b"/sub/").body == b"hello"


def test_listings(serving, folder):
    (folder / ".hidden").write_bytes(b"")
    (folder / "<b>").write_bytes(b"")
    page = asked(serving('autoindex = "html"').client(), b"/")
    assert page["content-type"] == b"text/html" and b".hidden" not in page.body
    assert b'<a href="sub/">sub/</a>' in page.body and b'<a href="%3Cb%3E">&lt;b&gt;</a>' in page.body
    assert page.body.index(b"sub/") < page.body.index(b"a.txt")
    json = asked(serving('autoindex = "json"').client(), b"/")
    assert b'{ "name":"a.txt", "type":"file", "mtime":"Sun, 13 Sep 2020 12:26:40 GMT", "size":5 }' in json.body
    xml = asked(serving('autoindex = "xml"').client(), b"/")
    assert b'<file mtime="2020-09-13T12:26:40Z" size="5">a.txt</file>' in xml.body


@pytest.mark.parametrize(
    ("tried", "target", "status", "body"),
    [
        ('["$uri", "/a.txt"]', b"/none", 200, b"hello"),
        ('["$uri", "$uri/", "=404"]', b"/sub", 301, None),
        ('["$uri", "=405"]', b"/none", 405, None),
        ('["$uri.txt", "=404"]', b"/a", 200, b"hello"),
        ('["$uri", "@other"]', b"/none", 200, b"named"),
        ('["/../secret", "$uri/../../secret", "=404"]', b"/none", 404, None),
        ('["$uri", "$uri/", "/sub/"]', b"/none", 200, b"<p>index</p>"),
    ],
)
def test_what_is_tried(serving, tried, target, status, body):
    more = f'try = {tried}\n[[site.all.route]]\nmatch = "named"\npath = "other"\nreply = {{body = "named"}}'
    answer = asked(serving(more).client(), target)
    assert answer.status == status and body in (None, answer.body)


def test_a_list_that_leads_to_itself_ends(serving):
    assert asked(serving('try = ["$uri", "/none"]').client(), b"/x").status == 500


def test_an_error_page_from_a_file_has_the_errors_status(serving, folder):
    (folder / "404.html").write_bytes(b"not here")
    client = serving('error_pages = [{status = [404], to = "/404.html"}]').client()
    answer = asked(client, b"/none", b"Range: bytes=0-1\r\nIf-None-Match: *\r\n")
    assert (answer.status, answer.body) == (404, b"not here")
    assert not answer["last-modified"] and not answer["accept-ranges"]
    client.post(b"", b"/none")
    assert client.answer().status == 404
    client = serving('error_pages = [{status = [404], to = "/404.html", answer = 200}]').client()
    assert asked(client, b"/none", b"Range: bytes=0-2\r\n").status == 206
    assert asked(client, b"/none", b"If-None-Match: *\r\n").status == 304
    assert asked(client, b"/none").status == 200


def test_a_file_beside_it_that_is_compressed_already(serving, folder):
    (folder / "a.txt.gz").write_bytes(gzip.compress(b"hello"))
    client = serving("precompressed = true").client()
    answer = asked(client, b"/a.txt", b"Accept-Encoding: gzip\r\n")
    assert gzip.decompress(answer.body) == b"hello" and answer["content-encoding"] == b"gzip"
    assert answer["content-type"] == b"text/plain" and answer["vary"] == b"Accept-Encoding"
    plain = asked(client, b"/a.txt", b"Accept-Encoding: gzip;q=0\r\n")
    assert plain.body == b"hello" and not plain["content-encoding"] and plain["vary"] == b"Accept-Encoding"
    assert asked(serving('precompressed = "always"').client(), b"/a.txt")["content-encoding"] == b"gzip"


def test_types_of_the_configuration(serving):
    assert asked(serving('types = {txt = "text/x-own"}').client(), b"/a.txt")["content-type"] == b"text/x-own"
    more = 'known_types = false\ndefault_type = "text/none"'
    assert asked(serving(more).client(), b"/a.txt")["content-type"] == b"text/none"


def test_edits_of_the_route_reach_files(serving):
    door = serving('response_headers = {set = {"X-A" = "b"}, remove = ["ETag"]}')
    for _ in range(2):
        answer = asked(door.client(), b"/a.txt")
        assert answer["x-a"] == b"b" and not answer["etag"]


@pytest.mark.parametrize(
    "more", ['pace = "1m"', "chunked = false", "script = [{set = 'limit_rate', to = '1m'}]", 'backend_pace = "1m"', ""]
)
def test_parts_are_sent_whatever_else_is_done_to_answers(serving, more):
    door = serving(more)
    for target, body in ((b"/a.txt", b"el"), (b"/large.bin", LARGE[1:3])):
        answer = asked(door.client(), target, b"Range: bytes=1-2\r\n")
        assert (answer.status, answer.body) == (206, body)


def test_a_file_of_no_year_is_served(serving, folder):
    os.utime(folder / "a.txt", (-OLD, -OLD))
    answer = asked(serving().client(), b"/a.txt")
    assert answer.body == b"hello" and answer["last-modified"] == b"Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize("value", [b"99999999d", b"999999999999999999y", b"-99999999d"])
def test_no_number_of_a_client_breaks_its_answer(serving, value):
    assert asked(serving('expires = "$arg_e"').client(), b"/a.txt?e=" + value).body == b"hello"


def test_variables_of_files(serving, folder):
    more = 'add_headers = [{name = "X-File", value = "$document_root $request_filename $realpath_root"}]'
    answer = asked(serving(more).client(), b"/a.txt")
    assert answer["x-file"] == f"{folder} {folder}/a.txt {folder}".encode()


def test_a_backend_may_hand_over_a_file_with_a_type_of_its_own(opened, folder):
    """What comes from memory has the backend's fields too (X-Accel-Redirect)."""
    door = opened(
        SOLO.replace("[[site.all.route]]", "proxy.accel = true\n[[site.all.route]]")
        + f'[[site.all.route]]\npath = "/files/"\ninternal = true\nalias = "{folder}/"\n'
    )
    assert asked(door.client(), b"/files/a.txt").status == 404
    for kind in (b"text/x-one", b"text/x-two"):
        client = door.client()
        client.get()
        door.backend().answers(b"", b"X-Accel-Redirect: /files/a.txt\r\nContent-Type: %b\r\n" % kind)
        answer = client.answer()
        assert (answer.body, answer["content-type"]) == (b"hello", kind)


def test_what_filters_make_of_a_small_file_is_kept_for_each_kind_of_client(serving, folder, monkeypatch):
    (folder / "page.html").write_bytes(b"<p>again</p>" * 100)
    os.utime(folder / "page.html", (OLD, OLD))
    door = serving('compress = true\nadd_headers = [{name = "X-A", value = "b"}]')
    for _ in range(2):
        zipped = asked(door.client(), b"/page.html", b"Accept-Encoding: gzip\r\n")
        assert gzip.decompress(zipped.body) == b"<p>again</p>" * 100 and zipped["x-a"] == b"b"
        plain = asked(door.client(), b"/page.html")
        assert plain.body == b"<p>again</p>" * 100 and not plain["content-encoding"] and plain["x-a"] == b"b"
        part = asked(door.client(), b"/page.html", b"Accept-Encoding: gzip\r\nRange: bytes=0-1\r\n")
        assert gzip.decompress(part.body) == b"<p>again</p>" * 100
        assert asked(door.client(), b"/page.html", b"Range: bytes=0-2\r\n").body == b"<p>"
    reads = []
    monkeypatch.setattr(os, "open", lambda *words, real=os.open: reads.append(words) or real(*words))
    for fields in (b"Accept-Encoding: gzip\r\n", b""):
        answer = asked(door.client(), b"/page.html", fields)
        assert not reads and answer["content-length"] == b"%d" % len(answer.body)
    (folder / "page.html").write_bytes(b"<p>other</p>" * 100)
    assert gzip.decompress(asked(door.client(), b"/page.html", b"Accept-Encoding: gzip\r\n").body)[:8] == b"<p>other"


def test_what_depends_on_the_request_is_not_kept(serving):
    door = serving('add_headers = [{name = "X-A", value = "$arg_a"}]')
    assert [asked(door.client(), b"/a.txt?a=%d" % number)["x-a"] for number in (1, 2)] == [b"1", b"2"]


def test_how_long_a_file_may_be_kept_is_counted_anew(serving, folder):
    door = serving('expires = "1h"')
    door.clock.epoch = os.stat(folder / "a.txt").st_ctime + 100 - door.clock.now
    times = []
    for _ in range(3):
        times.append(parse_date(asked(door.client(), b"/a.txt")["expires"]) - int(door.clock.wall))
        door.wait(2)
    assert times == [3600, 3600, 3600]
