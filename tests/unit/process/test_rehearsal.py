"""What a rehearsal finds, and that it leaves nothing behind."""

from __future__ import annotations

import os
import pwd

import pytest
import trustme

from proxy import build
from proxy.config.model import Model
from proxy.downstream.tls import read_pems
from proxy.process import rehearsal
from proxy.process.rehearsal import rehearse
from proxy.shared import buckets


def model(**more):
    return Model.model_validate(
        {
            "listen": {"web": {"address": "127.0.0.1:0"}},
            "limit": {"a": {"rate": "1r/s", "memory": "64k"}},
            "site": {"s": {"default": True, "route": [{"path": "/", "reply": {"body": "x"}, "limits": ["a"]}]}},
            **more,
        }
    )


def rehearsed(wanted, pems=None):
    zones = {name: buckets.made(size) for name, size in build.zone_sizes(wanted).items()}
    try:
        return rehearse(wanted, zones, {} if pems is None else pems)
    finally:
        for zone in zones.values():
            zone.close()


@pytest.fixture(autouse=True)
def children(monkeypatch):
    """The processes that were made; whoever is gone and was waited for cannot be asked anything any more."""
    made, fork = [], os.fork

    def noted():
        pid = fork()
        if pid:
            made.append(pid)
        return pid

    monkeypatch.setattr(rehearsal.os, "fork", noted)
    yield made
    for pid in made:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_a_worker_can_serve_is_no_problem_and_leaves_nothing(tmp_path, children):
    before = sorted(os.listdir("/proc/self/fd"))
    assert rehearsed(model(log={"access": str(tmp_path / "access.log")})) == ""
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert len(children) == 1


def test_a_log_that_cannot_be_opened(tmp_path):
    problem = rehearsed(model(log={"access": str(tmp_path / "nowhere" / "access.log")}))
    assert "nowhere/access.log" in problem and "\n" not in problem


@pytest.mark.root
def test_a_log_that_the_user_may_not_open(tmp_path):
    tmp_path.chmod(0o700)
    wanted = model(user="nobody", log={"access": str(tmp_path / "access.log")})
    assert "Permission denied" in rehearsed(wanted)
    assert os.geteuid() == 0 and not (tmp_path / "access.log").exists()
    assert pwd.getpwnam("nobody").pw_uid != 0


@pytest.mark.root
def test_a_key_that_only_root_may_read_is_no_problem(tmp_path):
    tmp_path.chmod(0o700)
    leaf = trustme.CA().issue_cert("localhost")
    leaf.private_key_pem.write_to_path(tmp_path / "key")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "pem")
    (tmp_path / "key").chmod(0o600)
    site = {
        "default": True,
        "certificate": str(tmp_path / "pem"),
        "key": str(tmp_path / "key"),
        "route": [{"path": "/", "reply": {"body": "x"}}],
    }
    wanted = model(user="nobody", listen={"web": {"address": "127.0.0.1:0", "tls": True}}, site={"s": site})
    assert rehearsed(wanted, read_pems(wanted)) == ""


def test_a_certificate_that_cannot_be_used(tmp_path):
    site = {
        "default": True,
        "certificate": str(tmp_path / "pem"),
        "key": str(tmp_path / "key"),
        "route": [{"path": "/", "reply": {"body": "x"}}],
    }
    wanted = model(listen={"web": {"address": "127.0.0.1:0", "tls": True}}, site={"s": site})
    assert rehearsed(wanted, {site["certificate"]: b"no certificate", site["key"]: b"no key"}) != ""


def test_a_log_that_nobody_reads_does_not_hold_it_up_for_ever(tmp_path, monkeypatch, children):
    os.mkfifo(tmp_path / "fifo")  # whoever opens it waits for a reader
    monkeypatch.setattr(rehearsal, "LONGEST", 0.2)
    assert rehearsed(model(log={"access": str(tmp_path / "fifo")})) == "trying it took more than 0.2 s"
    assert len(children) == 1
