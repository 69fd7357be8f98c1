"""What is said of certificates that are ordered, and what is wrong with it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from proxy.config import acme, toml
from proxy.config.model import Model

SITE = {"names": ["a.example.com", "b.example.com"], "certificate": "acme", "route": []}
TABLES = {
    "acme": {"agree": True},
    "listen": {"web": {"address": "127.0.0.1:443", "tls": True}, "plain": {"address": "127.0.0.1:80"}},
    "site": {"one": SITE},
}


def changed(**more):
    return {**TABLES, **more}


def site(**more):
    return {"one": {**SITE, **more}}


def test_a_site_has_one_certificate_for_all_its_names():
    model = Model.model_validate(TABLES)
    [(chain, key)] = model.site["one"].pairs
    assert chain == key and chain.startswith("acme:a.example.com-")
    assert list(model.ordered) == ["one"]
    turned = Model.model_validate(changed(site=site(names=["b.example.com", "a.example.com"])))
    assert turned.site["one"].pairs[0][0].rpartition("-")[2] == chain.rpartition("-")[2]
    assert Model.model_validate(changed(site=site(names=["a.example.com"]))).site["one"].pairs[0][0] != chain


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        (changed(acme={}), "add [acme] with agree = true"),
        (changed(site=site(key="x.key")), "leave out key"),
        (changed(site=site(names=[], default=True)), "orders a certificate without a name"),
        (changed(site=site(names=["*.example.com"])), 'no certificate can be ordered for "*.example.com"'),
        (changed(site=site(names=["~^x"])), 'no certificate can be ordered for "~^x"'),
        (changed(site=site(names=[".example.com"])), 'no certificate can be ordered for ".example.com"'),
        (changed(listen={"plain": {"address": "127.0.0.1:80"}}), "no listener with tls = true"),
        (
            changed(
                acme={"agree": True, "challenges": ["http-01"]},
                listen={"web": {"address": "127.0.0.1:443", "tls": True}},
            ),
            "cannot prove its names by http-01",
        ),
        (changed(acme={"agree": True, "directory": "http://example.com/dir"}), "must be the address of a directory"),
        (changed(acme={"agree": True, "challenges": []}), "challenges"),
    ],
)
def test_what_is_wrong_is_said(tables, sentence):
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(tables)
    assert sentence in str(caught.value)


def test_paths_begin_at_the_file_and_the_word_is_none(tmp_path):
    path = tmp_path / "frontgate.toml"
    path.write_text(
        '[acme]\nagree = true\nfolder = "own"\ntrusted_ca = "ca.pem"\n[listen.web]\naddress = "127.0.0.1:443"\n'
        'tls = true\n[site.one]\nnames = ["a.example.com"]\ncertificate = "acme"\n'
    )
    model = toml.load(path)[0]
    assert (model.acme.folder, model.acme.trusted_ca) == (f"{tmp_path}/own", f"{tmp_path}/ca.pem")
    assert model.site["one"].ordered


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("A.example.com", "a.example.com"),
        ("192.0.2.1", "1.2.0.192.in-addr.arpa"),
        ("[2001:db8::1]", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
    ],
)
def test_an_address_is_asked_for_by_its_reverse_name(name, found):
    assert acme.server_name(name) == found


def test_lets_encrypt_has_a_staging_and_others_only_what_is_said():
    assert acme.Acme().rehearsal == acme.STAGING
    assert acme.Acme(directory="https://ca.example/dir").rehearsal is None
    assert (
        acme.Acme(directory="https://ca.example/dir", staging="https://ca.example/s").rehearsal
        == "https://ca.example/s"
    )


def test_a_mark_is_the_name_of_a_file():
    for names in (["a/b"], ["[::1]"], ["x" * 300], []):
        assert "/" not in acme.mark(names) and len(acme.mark(names)) < 200
