"""Files of logs in frontgate.toml: relative names begin at its folder, however they are written."""

from __future__ import annotations

from proxy.config import toml

TEXT = """
[log]
formats.short = "$status"
errors = ["more", { path = "crit", level = "critical" }, { syslog = { server = "127.0.0.1:514" } }]
[listen.web]
address = "127.0.0.1:1"
[site.s]
names = ["x"]
logs = ["a.log", { path = "$host.log", format = "short" }, { path = "-" }]
[[site.s.route]]
path = "/"
reply = {}
error_logs = ["e.log"]
logs = []
"""


def test_names_begin_at_the_folder(tmp_path):
    path = tmp_path / "frontgate.toml"
    path.write_text(TEXT)
    model = toml.read(path)
    assert [one.path for one in model.log.errors] == [f"{tmp_path}/more", f"{tmp_path}/crit", ""]
    site = model.site["s"]
    assert [one.path for one in site.logs] == [f"{tmp_path}/a.log", "$host.log", "-"]
    assert site.logs[0].format == "combined" and site.logs[1].format == "short"
    assert [one.path for one in site.route[0].error_logs] == [f"{tmp_path}/e.log"]
    assert site.route[0].logs == ()
