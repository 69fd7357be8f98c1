"""ssl_* and proxy_ssl_*: what becomes of each directive, how it is inherited, and nginx's sentences."""

from __future__ import annotations

import pytest

from proxy.config.nginx.reader import load, read
from proxy.config.source import ConfigError

PAIR = "ssl_certificate a.pem; ssl_certificate_key a.key;"


@pytest.fixture
def reading(tmp_path):
    """What is read of an http block's text; all is validated."""

    def made(text):
        file = tmp_path / "nginx.conf"
        file.write_text(f"events {{}}\nhttp {{\n{text}\n}}\n")
        load(str(file), str(tmp_path))
        return read(str(file), str(tmp_path))

    return made


@pytest.fixture
def site(reading):
    """The table of the only server."""

    def made(text, http=""):
        (found,) = reading(f"{http}\nserver {{ listen 127.0.0.1:8443 ssl;\n{text}\n}}").model["site"].values()
        return found

    return made


def wrong(made, text):
    with pytest.raises(ConfigError) as error:
        made(text)
    return str(error.value.errors[0])


def test_nginx_s_defaults(site, tmp_path):
    found = site(PAIR)
    assert (found["certificate"], found["key"]) == ([f"{tmp_path}/a.pem"], [f"{tmp_path}/a.key"])
    tls = found["tls"]
    assert (tls["protocols"], tls["ciphers"]) == (["TLSv1.2", "TLSv1.3"], "HIGH:!aNULL:!MD5")
    assert (tls["verify"], tls["depth"], tls["tickets"], tls["session_time"]) == ("off", 1, True, 300)
    assert not tls["sessions"] and not tls["rotate"] and not tls["reject"] and not tls["shared"]


def test_a_server_that_says_something_of_certificates_says_all_of_it(site, tmp_path):
    found = site("ssl_certificate b.pem; ssl_certificate_key b.key; ssl_certificate data:$x; ssl_certificate_key $k;"
                 " set $x 1; set $k 2;", PAIR)  # fmt: skip
    assert found["certificate"] == [f"{tmp_path}/b.pem", "data:$x"]
    assert found["key"] == [f"{tmp_path}/b.key", "$k"]
    assert site("", PAIR)["certificate"] == [f"{tmp_path}/a.pem"]


def test_what_is_asked_of_clients(site, tmp_path):
    tls = site(f"{PAIR} ssl_verify_client optional_no_ca; ssl_client_certificate ca.pem; ssl_verify_depth 3;"
               " ssl_trusted_certificate more.pem; ssl_crl gone.pem;")["tls"]  # fmt: skip
    assert (tls["verify"], tls["depth"]) == ("optional_any", 3)
    assert [tls[key] for key in ("client_ca", "trusted_ca", "crl")] == [
        f"{tmp_path}/{name}.pem" for name in ("ca", "more", "gone")
    ]


def test_sessions_and_their_keys(site, tmp_path):
    shared = site(f"{PAIR} ssl_session_cache builtin shared:TLS:1m; ssl_session_timeout 1d;")["tls"]
    assert (shared["sessions"], shared["rotate"], shared["session_time"]) == (True, True, 86400)
    filed = site(f"{PAIR} ssl_session_cache shared:T:1m; ssl_session_ticket_key a; ssl_session_ticket_key b;")["tls"]
    assert not filed["rotate"] and filed["ticket_keys"] == [f"{tmp_path}/a", f"{tmp_path}/b"]


def test_the_rest(site, tmp_path):
    tls = site(f"{PAIR} ssl_protocols TLSv1.3 tlsv1.2; ssl_ciphers X; ssl_ecdh_curve a:b; ssl_reject_handshake on;"
               " ssl_prefer_server_ciphers on; ssl_password_file p; ssl_conf_command PrivateKey k.pem;"
               " ssl_conf_command Options -X;")["tls"]  # fmt: skip
    assert (tls["protocols"], tls["ciphers"], tls["curves"]) == (["TLSv1.3", "TLSv1.2"], "X", ["a", "b"])
    assert (tls["reject"], tls["server_order"], tls["passwords"]) == (True, True, f"{tmp_path}/p")
    assert tls["commands"] == [
        {"name": "PrivateKey", "value": f"{tmp_path}/k.pem"},
        {"name": "Options", "value": "-X"},
    ]


def test_a_server_may_go_without_a_certificate_where_the_default_one_has_one(reading):
    doors = "listen 127.0.0.1:8443"
    found = reading(f"server {{ {doors} ssl; server_name a; {PAIR} }} server {{ {doors}; server_name b; }}").model
    assert [one["tls"]["shared"] for one in found["site"].values()] == [False, True]
    text = f"server {{ {doors}; server_name a; }} server {{ {doors} ssl; server_name b; {PAIR} }}"
    assert 'no "ssl_certificate" is defined for the "listen ... ssl" directive' in wrong(reading, text)
    text = f"server {{ {doors} ssl; ssl_reject_handshake on; }} server {{ {doors}; server_name b; }}"
    assert 'no "ssl_certificate" is defined' in wrong(reading, text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ssl_certificate a.pem;", 'no "ssl_certificate_key" is defined for certificate "a.pem"'),
        (f"{PAIR} ssl_protocols TLSv9;", 'invalid value "TLSv9"'),
        (f"{PAIR} ssl_verify_client perhaps;", 'invalid value "perhaps"'),
        (f"{PAIR} ssl_verify_client on;", "no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client"),
        (f"{PAIR} ssl_session_cache shared:;", 'invalid session cache "shared:"'),
        (f"{PAIR} ssl_session_cache shared:x:1k;", 'session cache "shared:x:1k" is too small'),
        (f"{PAIR} ssl_session_cache memory;", 'invalid session cache "memory"'),
        (f"{PAIR} ssl_ocsp on;", "ssl_ocsp off"),
        ("ssl_certificate a.pem; ssl_certificate_key engine:x:y;", "keys come from files"),
        ("ssl_certificate $nobody; ssl_certificate_key a.key;", 'unknown "nobody" variable'),
    ],
)
def test_what_is_wrong_is_told(site, text, sentence):
    assert sentence in wrong(site, text)


def proxied(site, text, scheme="https"):
    locations = f"location / {{ proxy_pass {scheme}://127.0.0.1:1; {text} }}"
    route = site(f"{PAIR} proxy_ssl_server_name on; {locations}")["route"][0]
    return route["proxy"].get("tls")


def test_tls_with_backends_where_proxy_pass_says_https(site, tmp_path):
    assert proxied(site, "", "http") is None
    plain = proxied(site, "")
    assert not plain["verify"] and plain["server_name"] and plain["reuse"] and plain["ciphers"] == "DEFAULT"
    tls = proxied(site, "proxy_ssl_verify on; proxy_ssl_trusted_certificate ca.pem; proxy_ssl_name $host;"
                  " proxy_ssl_certificate c$host.pem; proxy_ssl_certificate_key c.key; proxy_ssl_session_reuse off;"
                  " proxy_ssl_verify_depth 4; proxy_ssl_crl x; proxy_ssl_protocols TLSv1.3;")  # fmt: skip
    assert (tls["verify"], tls["depth"], tls["name"], tls["reuse"]) == (True, 4, "$host", False)
    assert (tls["certificate"], tls["key"]) == (f"{tmp_path}/c$host.pem", f"{tmp_path}/c.key")
    assert (tls["trusted_ca"], tls["crl"]) == (f"{tmp_path}/ca.pem", f"{tmp_path}/x")


def test_an_empty_certificate_for_backends_is_none(site):
    said = 'proxy_ssl_certificate ""; proxy_ssl_certificate_key "";'
    assert "certificate" not in proxied(site, said)


def test_what_is_wrong_with_tls_to_backends(site):
    assert "no proxy_ssl_trusted_certificate" in wrong(lambda text: proxied(site, text), "proxy_ssl_verify on;")
    sentence = wrong(lambda text: proxied(site, text), "proxy_ssl_certificate c.pem;")
    assert 'no "proxy_ssl_certificate_key" is defined for certificate "c.pem"' in sentence
