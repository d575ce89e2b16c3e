"""TLS as users ask for it: whom to trust, what to agree on, and the words when that fails."""

import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import wsclient
from certificates import PASSWORD, Certificate, Certificates, TlsEcho, server_context, tls_echo
from own_process import descriptors_at_rest, open_descriptors
from raw_server import DEADLINE, unused_port
from wsclient import CertificateError, ConnectError, TLSError, TLSOptions, TLSOptionsError, WSClient

OLD, NEW = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture
def server(certificates: Certificates) -> Iterator[TlsEcho]:
    """An echo server with nothing wrong."""
    with tls_echo(server_context(certificates.server)) as server:
        yield server


def agreed(connection: wsclient.Connection) -> dict[str, Any]:
    """What the server says that TLS agreed on; whoever has read it has a session to resume, too."""
    connection.send("/tls")
    said: dict[str, Any] = json.loads(connection.recv(DEADLINE))
    return said


def ask(url: str, tls: TLSOptions, name: str | None = None) -> dict[str, Any]:
    """Connect, and what the server says about it."""
    with wsclient.connect(url, tls=tls, server_hostname=name, proxy=None) as connection:
        return agreed(connection)


def der(certificate: Certificate) -> bytes:
    """The certificate itself."""
    return x509.load_pem_x509_certificate(certificate.chain.read_bytes()).public_bytes(Encoding.DER)


def pins_of(certificate: Certificate) -> dict[str, str]:
    """Its right pins."""
    key = x509.load_der_x509_certificate(der(certificate)).public_key()
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "cert": f"cert:{hashlib.sha256(der(certificate)).hexdigest()}",
        "key": f"key:{hashlib.sha256(info).hexdigest()}",
    }


# ---------------------------------------------------------------------------------------------- certificates


@pytest.mark.parametrize(
    ("kind", "name", "sni"),
    [
        ("server", None, "localhost"),
        ("server", "localhost", "localhost"),
        ("server", "LocalHost", "LocalHost"),
        ("server", "localhost.", "localhost"),
        ("server", "127.0.0.1", None),
        ("server", "::1", None),
        ("chained", None, "localhost"),
        ("wildcard", "one.wild.test", "one.wild.test"),
        ("idna", "bücher.test", "xn--bcher-kva.test"),
        ("idna", "xn--bcher-kva.test", "xn--bcher-kva.test"),
    ],
)
def test_a_right_certificate_is_taken(certificates: Certificates, kind: str, name: str | None, sni: str | None) -> None:
    with tls_echo(server_context(getattr(certificates, kind))) as server:
        assert ask(server.url, TLSOptions(ca_file=certificates.ca), name)["server_name"] == sni


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_in_the_url_is_verified_and_not_asked_for(certificates: Certificates, host: str) -> None:
    with tls_echo(server_context(certificates.server), host) as server:
        url = f"wss://{f'[{host}]' if ':' in host else host}:{server.port}/"
        assert ask(url, TLSOptions(ca_file=certificates.ca))["server_name"] is None


WRONG = [
    ("expired", "localhost", r"TLS certificate of localhost expired on 2001-01-01"),
    ("not_yet_valid", "localhost", r"TLS certificate of localhost is not valid before 20\d\d-.*clock"),
    (
        "wrong_name",
        "localhost",
        r"TLS certificate of localhost is not valid for that name \(it is for elsewhere\.test\)",
    ),
    ("common_name_only", "localhost", r"TLS certificate of localhost is not valid for that name"),
    ("server", "127.0.0.2", r"127\.0\.0\.2 is not valid for that name \(it is for localhost, 127\.0\.0\.1, ::1\)"),
    ("server", "::2", r"of ::2 is not valid for that name"),
    ("wildcard", "wild.test", r"of wild\.test is not valid for that name \(it is for \*\.wild\.test\)"),
    ("wildcard", "one.two.wild.test", r"of one\.two\.wild\.test is not valid for that name"),
    ("idna", "buecher.test", r"of buecher\.test is not valid for that name"),
    ("self_signed", "localhost", r"TLS certificate of localhost is self-signed"),
    ("unknown_issuer", "localhost", r"TLS certificate of localhost was issued by .*trust"),
    ("chain_incomplete", "localhost", r"TLS certificate of localhost was issued by .*trust"),
]


@pytest.mark.parametrize(("kind", "name", "words"), WRONG)
def test_a_wrong_certificate_is_refused(certificates: Certificates, kind: str, name: str, words: str) -> None:
    with tls_echo(server_context(getattr(certificates, kind))) as server:
        with pytest.raises(CertificateError, match=words) as refused:
            ask(server.url, TLSOptions(ca_file=certificates.ca), name)
        assert isinstance(refused.value, ConnectError)
        assert refused.value.timings is not None


@pytest.mark.parametrize(("kind", "name", "words"), WRONG)
def test_an_unverified_one_is_taken(certificates: Certificates, kind: str, name: str, words: str) -> None:
    with tls_echo(server_context(getattr(certificates, kind))) as server:
        assert ask(server.url, TLSOptions(verify=False), name)["version"] == "TLSv1.3"


def test_a_wrong_certificate_is_refused_every_time(certificates: Certificates) -> None:
    """A session of the connection that failed must not let the next one in."""
    for version in (OLD, NEW):
        with tls_echo(server_context(certificates.expired, minimum=version, maximum=version)) as server:
            for _ in range(3):
                with pytest.raises(CertificateError, match="expired"):
                    ask(server.url, TLSOptions(ca_file=certificates.ca))


@pytest.mark.parametrize("name", ["", ".", ".localhost", ".wild.test", "x" * 254, "a." * 200 + "b"])
def test_a_name_that_is_none_never_passes(certificates: Certificates, name: str) -> None:
    for kind in ("server", "wildcard"):
        with tls_echo(server_context(getattr(certificates, kind))) as server, pytest.raises((ValueError, TLSError)):
            ask(server.url, TLSOptions(ca_file=certificates.ca), name)


def test_a_self_signed_one_can_be_trusted(certificates: Certificates) -> None:
    with tls_echo(server_context(certificates.self_signed)) as server:
        assert ask(server.url, TLSOptions(ca_file=certificates.self_signed.chain))["version"] == "TLSv1.3"


def test_an_intermediate_ca_can_be_trusted_alone(certificates: Certificates, tmp_path: Path) -> None:
    leaf, above = x509.load_pem_x509_certificates(certificates.chained.chain.read_bytes())[:2]
    assert leaf.issuer == above.subject
    (tmp_path / "ca.pem").write_bytes(above.public_bytes(Encoding.PEM))
    with tls_echo(server_context(certificates.chained)) as server:
        assert ask(server.url, TLSOptions(ca_file=tmp_path / "ca.pem"))["version"] == "TLSv1.3"


# ---------------------------------------------------------------------------------------------- CAs


def test_a_ca_comes_from_where_it_is_named(certificates: Certificates, server: TlsEcho, tmp_path: Path) -> None:
    shutil.copy(certificates.unknown_ca, tmp_path / "a.pem")
    shutil.copy(certificates.ca, tmp_path / "b.crt")
    (tmp_path / "README").write_text("nothing of a certificate")
    pem = certificates.ca.read_text()
    binary = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    both = certificates.unknown_ca.read_text() + pem
    for options in (
        TLSOptions(ca_file=certificates.ca),
        TLSOptions(ca_file=str(certificates.ca)),
        TLSOptions(ca_path=tmp_path),
        TLSOptions(ca_data=pem),
        TLSOptions(ca_data=pem.encode()),
        TLSOptions(ca_data=both),
        TLSOptions(ca_data=binary),
        TLSOptions(ca_file=certificates.unknown_ca, ca_data=pem),
    ):
        assert ask(server.url, options)["version"] == "TLSv1.3"


def test_a_ca_that_is_named_is_instead_of_the_systems(
    certificates: Certificates, server: TlsEcho, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    with pytest.raises(CertificateError, match="issued by"):
        ask(server.url, TLSOptions(ca_file=certificates.unknown_ca))


@pytest.mark.parametrize("source", ["ca_file", "ca_path", "ca_data"])
def test_a_ca_that_is_not_there_is_said(server: TlsEcho, tmp_path: Path, source: str) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "folder").mkdir()
    bad: list[Any] = ["", "no certificate", b"\x30\x03abc", b""]
    if source != "ca_data":
        bad = [tmp_path / name for name in ("missing", "empty", "text", "folder")] + [""]
    for value in bad:
        with pytest.raises(TLSOptionsError, match=f"CA cert.*{'' if source == 'ca_data' else re.escape(str(value))}"):
            ask(server.url, TLSOptions(**{source: value}))


SYSTEM = """
import sys, wsclient
try:
    with wsclient.connect(sys.argv[1], proxy=None) as connection:
        connection.send("through")
        print(connection.recv(10))
except Exception as error:
    print(type(error).__name__, error)
"""


def with_system_ca(url: str, **environment: Path | str) -> str:
    """What a program with this environment says that trusts what the system trusts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SSL_CERT")}
    done = subprocess.run(
        [sys.executable, "-c", SYSTEM, url],
        env={**kept, **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_the_environment_says_which_cas_the_system_has(
    certificates: Certificates, server: TlsEcho, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    shutil.copy(certificates.ca, tmp_path / "one" / "ours.pem")
    shutil.copy(certificates.unknown_ca, tmp_path / "two" / "others.pem")
    one, two = tmp_path / "one", tmp_path / "two"
    assert with_system_ca(server.url, SSL_CERT_FILE=certificates.ca) == "through"
    assert with_system_ca(server.url, SSL_CERT_DIR=one) == "through"
    assert with_system_ca(server.url, SSL_CERT_FILE=certificates.unknown_ca, SSL_CERT_DIR=one) == "through"
    assert with_system_ca(server.url, SSL_CERT_DIR=f"{two}:{one}") == "through"
    assert with_system_ca(server.url, SSL_CERT_DIR=two).startswith("CertificateError")
    assert with_system_ca(server.url).startswith("CertificateError")


def test_a_system_without_cas_does_not_pass(certificates: Certificates, server: TlsEcho, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "folder").mkdir()
    for environment in (
        {"SSL_CERT_FILE": tmp_path / "missing.pem"},
        {"SSL_CERT_FILE": tmp_path / "empty.pem"},
        {"SSL_CERT_FILE": tmp_path / "folder"},
        {"SSL_CERT_DIR": tmp_path / "missing"},
        {"SSL_CERT_DIR": tmp_path / "folder"},
        {"SSL_CERT_FILE": certificates.ca, "SSL_CERT_DIR": tmp_path / "missing"},
    ):
        said = with_system_ca(server.url, **environment)
        assert said.startswith("TLSOptionsError no CA certificates in SSL_CERT_"), environment
        assert str(tmp_path) in said


def test_without_a_ca_file_of_the_system_certifis_serves(certificates: Certificates, server: TlsEcho) -> None:
    program = """
import ssl, sys, types
sys.modules["certifi"] = types.SimpleNamespace(where=lambda: sys.argv[2]) if sys.argv[2] else None
ssl.get_default_verify_paths = lambda: types.SimpleNamespace(cafile=None)
"""
    for ca, expected in ((str(certificates.ca), "through"), ("", "CertificateError")):
        done = subprocess.run(
            [sys.executable, "-c", program + SYSTEM, server.url, ca],
            env={name: value for name, value in os.environ.items() if not name.startswith("SSL_CERT")},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.startswith((expected, "TLSOptionsError") if not ca else expected)


def test_a_ca_file_that_changed_is_read_again(certificates: Certificates, server: TlsEcho, tmp_path: Path) -> None:
    """In both directions: trust that was taken away does not live on in a session."""
    path = tmp_path / "ca.pem"
    options = TLSOptions(ca_file=path)
    for source, trusted in [(certificates.unknown_ca, False), (certificates.ca, True)] * 2:
        replacement = tmp_path / "new.pem"
        shutil.copy(source, replacement)
        replacement.replace(path)
        if trusted:
            assert ask(server.url, options)["resumed"] is False
            assert ask(server.url, options)["resumed"] is True
        else:
            with pytest.raises(CertificateError):
                ask(server.url, options)
    path.unlink()
    with pytest.raises(TLSOptionsError, match="No such file"):
        ask(server.url, options)


def test_a_ca_folder_that_got_another_file_is_read_again(
    certificates: Certificates, server: TlsEcho, tmp_path: Path
) -> None:
    shutil.copy(certificates.unknown_ca, tmp_path / "a.pem")
    with pytest.raises(CertificateError):
        ask(server.url, TLSOptions(ca_path=tmp_path))
    shutil.copy(certificates.ca, tmp_path / "b.pem")
    assert ask(server.url, TLSOptions(ca_path=tmp_path))["version"] == "TLSv1.3"


# ---------------------------------------------------------------------------------------------- pins


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("version", [OLD, NEW])
def test_pins(certificates: Certificates, verify: bool, version: ssl.TLSVersion) -> None:
    right = pins_of(certificates.server)
    ca = certificates.ca if verify else None
    wrong = ["cert:" + right["key"][4:], "key:" + right["cert"][5:]]
    with tls_echo(server_context(certificates.server, minimum=version, maximum=version)) as server:
        for pins in ([right["cert"]], [right["key"]], [*wrong, right["key"].upper().replace("KEY", "key")]):
            options = TLSOptions(ca_file=ca, verify=verify, pins=pins)
            assert [ask(server.url, options)["resumed"] for _ in range(2)] == [False, True]
        for _ in range(3):  # a session must not let the next one in
            with pytest.raises(CertificateError, match="localhost has none of the pins") as refused:
                ask(server.url, TLSOptions(ca_file=ca, verify=verify, pins=wrong))
            assert right["cert"] in str(refused.value) and right["key"] in str(refused.value)


def test_a_right_pin_does_not_replace_verifying(certificates: Certificates) -> None:
    with tls_echo(server_context(certificates.expired)) as server, pytest.raises(CertificateError, match="expired"):
        ask(server.url, TLSOptions(ca_file=certificates.ca, pins=[pins_of(certificates.expired)["cert"]]))


# ---------------------------------------------------------------------------------------------- our own certificate


@pytest.mark.parametrize("password", [PASSWORD, PASSWORD.encode()])
def test_a_client_shows_its_certificate(certificates: Certificates, tmp_path: Path, password: str | bytes) -> None:
    plain, secret = certificates.client, certificates.client_encrypted
    together = tmp_path / "together.pem"
    together.write_bytes(plain.key.read_bytes() + plain.chain.read_bytes())
    ca = certificates.ca
    with tls_echo(server_context(certificates.server, client_ca=ca)) as server:
        for options in (
            TLSOptions(ca_file=ca, cert_file=plain.chain, key_file=plain.key),
            TLSOptions(ca_file=ca, cert_file=secret.chain, key_file=secret.key, key_password=password),
            TLSOptions(ca_file=ca, cert_file=together),
        ):
            assert ask(server.url, options)["client"] == ["alice@clients.test"]


@pytest.mark.parametrize("password", [None, "", "mistaken", b"\xff\xfe", "p" * 2000])
def test_a_key_without_its_password_is_no_use(
    certificates: Certificates, server: TlsEcho, password: str | bytes | None
) -> None:
    shown = certificates.client_encrypted
    with pytest.raises(TLSOptionsError, match="password") as refused:
        ask(server.url, TLSOptions(cert_file=shown.chain, key_file=shown.key, key_password=password))
    assert str(shown.key) in str(refused.value)
    assert not password or str(password) not in str(refused.value)


def test_a_certificate_or_key_that_is_none_is_said(certificates: Certificates, server: TlsEcho, tmp_path: Path) -> None:
    client, other = certificates.client, certificates.unknown_client
    empty = tmp_path / "empty.pem"
    empty.touch()
    for cert, key, words in (
        (tmp_path / "missing.pem", client.key, "missing.pem.*No such file"),
        (empty, client.key, r"empty\.pem"),
        (client.key, client.key, r"certificate file .*client\.key"),
        (client.chain, tmp_path / "missing.key", r"missing\.key"),
        (client.chain, client.chain, r"key file .*client\.pem"),
        (client.chain, other.key, r"unknown_client\.key"),
    ):
        with pytest.raises(TLSOptionsError, match=words):
            ask(server.url, TLSOptions(ca_file=certificates.ca, cert_file=cert, key_file=key))


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_server_that_wants_a_certificate_is_understood(certificates: Certificates, version: ssl.TLSVersion) -> None:
    ca, unknown = certificates.ca, certificates.unknown_client
    context = server_context(certificates.server, client_ca=ca, minimum=version, maximum=version)
    with tls_echo(context) as server:
        with pytest.raises(TLSError, match=r"localhost port \d+ .*it wants a(nother)? certificate of ours"):
            ask(server.url, TLSOptions(ca_file=ca))
        with pytest.raises(TLSError, match="does not accept our certificate"):
            ask(server.url, TLSOptions(ca_file=ca, cert_file=unknown.chain, key_file=unknown.key))


# ---------------------------------------------------------------------------------------------- what is agreed on


def test_the_connection_tells(certificates: Certificates, server: TlsEcho) -> None:
    with wsclient.connect(server.url, tls=TLSOptions(ca_file=certificates.ca), proxy=None) as connection:
        said, info = agreed(connection), connection.tls
        assert info is not None
        assert (info.version, info.cipher, info.alpn) == ("TLSv1.3", said["cipher"], None)
        assert not info.resumed
        assert info.certificate == der(certificates.server)
        assert "certificate" not in repr(info)
        timings = connection.timings
        assert timings.tls > 0 and timings.tcp > 0 and timings.upgrade > 0 and timings.proxy == 0
    assert connection.tls == info


def test_a_connection_without_tls_tells_none(websockets_echo: Any) -> None:
    with wsclient.connect(websockets_echo.url, tls=TLSOptions(ca_file="/missing")) as connection:
        assert connection.tls is None
        assert connection.timings.tls == 0


def test_the_chat_client_speaks_tls(certificates: Certificates, server: TlsEcho) -> None:
    tls = TLSOptions(ca_file=certificates.ca)
    with WSClient(url=server.url, username="Alice", tls=tls, proxy=None) as client:
        assert client.send_message("over TLS")
        assert next(message.text for message in client.messages() if message.text) == "over TLS"
    refused = WSClient(url=server.url, tls=TLSOptions(ca_file=certificates.unknown_ca), proxy=None)
    assert refused.connect() is False
    assert isinstance(refused.last_error, CertificateError)


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["chat"], "chat"), (["other"], None), ([], None)]
)
def test_alpn(certificates: Certificates, offered: list[str], chosen: str | None) -> None:
    options = TLSOptions(ca_file=certificates.ca, alpn=offered)
    with (
        tls_echo(server_context(certificates.server, alpn=["chat", "http/1.1"])) as server,
        wsclient.connect(server.url, tls=options, proxy=None) as connection,
    ):
        assert agreed(connection)["alpn"] == chosen
        assert connection.tls is not None
        assert connection.tls.alpn == chosen


def test_too_many_alpn_protocols_are_refused(server: TlsEcho) -> None:
    with pytest.raises(TLSOptionsError, match=r"1024 bytes$"):
        ask(server.url, TLSOptions(verify=False, alpn=[f"{i:0200}" for i in range(6)]))


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_version_can_be_demanded(certificates: Certificates, server: TlsEcho, version: Any) -> None:
    options = TLSOptions(ca_file=certificates.ca, min_version=version, max_version=version)
    assert ask(server.url, options)["version"] == version


@pytest.mark.parametrize(
    ("version", "options"),
    [
        (OLD, TLSOptions(verify=False, min_version="TLSv1.3")),
        (NEW, TLSOptions(verify=False, max_version="TLSv1.2")),
        (ssl.TLSVersion.TLSv1_1, TLSOptions(verify=False)),
        (ssl.TLSVersion.TLSv1, TLSOptions(verify=False, max_version="TLSv1.2")),
    ],
)
def test_no_version_in_common(certificates: Certificates, version: ssl.TLSVersion, options: TLSOptions) -> None:
    with (
        tls_echo(server_context(certificates.server, minimum=version, maximum=version)) as server,
        pytest.raises(TLSError, match=r"TLS with localhost port \d+ failed: .*no TLS version in common"),
    ):
        ask(server.url, options)


def test_ciphers_can_be_chosen(certificates: Certificates, server: TlsEcho) -> None:
    new = TLSOptions(ca_file=certificates.ca, ciphersuites="TLS_CHACHA20_POLY1305_SHA256")
    assert ask(server.url, new)["cipher"] == "TLS_CHACHA20_POLY1305_SHA256"
    name = "ECDHE-ECDSA-AES128-GCM-SHA256"
    old = TLSOptions(ca_file=certificates.ca, ciphers=name, max_version="TLSv1.2")
    assert ask(server.url, old)["cipher"] == name


def test_no_cipher_in_common(certificates: Certificates) -> None:
    context = server_context(certificates.server, maximum=OLD, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
    with tls_echo(context) as server, pytest.raises(TLSError, match="no cipher in common"):
        ask(server.url, TLSOptions(verify=False, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"))


@pytest.mark.parametrize(
    "options",
    [
        TLSOptions(verify=False, ciphers="NONSENSE"),
        TLSOptions(verify=False, ciphersuites="NONSENSE"),
    ],
)
def test_nonsense_for_ciphers_is_said(server: TlsEcho, options: TLSOptions) -> None:
    with pytest.raises(TLSOptionsError, match=f"cannot use the cipher.* {options.ciphers or options.ciphersuites}:"):
        ask(server.url, options)


# ---------------------------------------------------------------------------------------------- resumption


@pytest.mark.parametrize("says_goodbye", [True, False])
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_sessions_are_resumed(certificates: Certificates, server: TlsEcho, version: Any, says_goodbye: bool) -> None:
    server.says_goodbye = says_goodbye
    options = TLSOptions(ca_file=certificates.ca, max_version=version)
    for turn in range(4):
        with wsclient.connect(server.url, tls=options, proxy=None) as connection:
            assert agreed(connection)["resumed"] is (turn > 0)
            assert connection.tls is not None
            assert connection.tls.resumed is (turn > 0)
            assert connection.tls.certificate == der(certificates.server)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_sessions_belong_to_one_set_of_options_and_one_name(
    certificates: Certificates, server: TlsEcho, version: Any
) -> None:
    ca = certificates.ca
    assert not ask(server.url, TLSOptions(ca_file=ca, max_version=version))["resumed"]
    assert not ask(server.url, TLSOptions(ca_file=ca, max_version=version), "127.0.0.1")["resumed"]
    assert not ask(f"wss://127.0.0.1:{server.port}/", TLSOptions(ca_file=ca, max_version=version))["resumed"]
    assert not ask(server.url, TLSOptions(ca_file=ca, max_version=version, alpn=["chat"]))["resumed"]
    assert not ask(server.url, TLSOptions(verify=False, max_version=version))["resumed"]
    assert not ask(server.url, TLSOptions(ca_file=ca, max_version=version, resumption=False))["resumed"]
    assert ask(server.url, TLSOptions(ca_file=ca, max_version=version))["resumed"]


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_without_resumption_nothing_is_resumed(certificates: Certificates, server: TlsEcho, version: Any) -> None:
    options = TLSOptions(ca_file=certificates.ca, max_version=version, resumption=False)
    assert [ask(server.url, options)["resumed"] for _ in range(3)] == [False] * 3


# ---------------------------------------------------------------------------------------------- the log of secrets


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_the_key_log_has_what_the_server_logs(certificates: Certificates, tmp_path: Path, version: Any) -> None:
    ours, theirs = tmp_path / "ours.log", tmp_path / "theirs.log"
    context = server_context(certificates.server)
    context.keylog_filename = str(theirs)
    options = TLSOptions(ca_file=certificates.ca, keylog_file=ours, max_version=version)
    with tls_echo(context) as server:
        for _ in range(2):
            ask(server.url, options)
    secrets = [line for line in theirs.read_text().splitlines() if not line.startswith("#")]
    assert len(secrets) >= 2
    assert sorted(ours.read_text().splitlines()) == sorted(secrets)
    assert ours.stat().st_mode & 0o777 == 0o600


def test_a_key_log_that_cannot_be_written_does_no_harm(certificates: Certificates, server: TlsEcho) -> None:
    options = TLSOptions(ca_file=certificates.ca, keylog_file="/proc/no/such/folder/keys.log")
    assert ask(server.url, options)["version"] == "TLSv1.3"


# ---------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"ca_file": 7}, TypeError, "TLSOptions.ca_file must be str or PathLike"),
        ({"ca_path": b"/etc"}, TypeError, "TLSOptions.ca_path"),
        ({"ca_data": Path("/etc")}, TypeError, "TLSOptions.ca_data must be str or bytes"),
        ({"cert_file": []}, TypeError, "TLSOptions.cert_file"),
        ({"cert_file": "a", "key_file": 1.5}, TypeError, "TLSOptions.key_file"),
        ({"key_file": "a"}, ValueError, "needs cert_file"),
        ({"key_password": 1234}, TypeError, "TLSOptions.key_password"),
        ({"verify": None}, TypeError, "TLSOptions.verify must be bool"),
        ({"verify": 0}, TypeError, "TLSOptions.verify must be bool"),
        ({"resumption": "no"}, TypeError, "TLSOptions.resumption must be bool"),
        ({"pins": "cert:" + "0" * 64}, TypeError, "TLSOptions.pins must be a sequence"),
        ({"pins": []}, ValueError, "TLSOptions.pins"),
        ({"pins": [b"cert:"]}, TypeError, "TLSOptions.pins must be of str"),
        ({"pins": ["cert:" + "0" * 63]}, ValueError, "TLSOptions.pins"),
        ({"pins": ["sha256/" + "0" * 64]}, ValueError, "TLSOptions.pins"),
        ({"pins": ["cert:" + "0" * 64 + "\n"]}, ValueError, "TLSOptions.pins"),
        ({"alpn": "h2"}, TypeError, "TLSOptions.alpn must be a sequence"),
        ({"alpn": {"h2"}}, TypeError, "TLSOptions.alpn must be a sequence"),
        ({"alpn": [""]}, ValueError, "TLSOptions.alpn"),
        ({"alpn": ["a,b"]}, ValueError, "TLSOptions.alpn"),
        ({"alpn": ["x" * 256]}, ValueError, "TLSOptions.alpn"),
        ({"min_version": "TLSv1.1"}, ValueError, "TLSOptions.min_version"),
        ({"min_version": None}, ValueError, "TLSOptions.min_version"),
        ({"max_version": ssl.TLSVersion.TLSv1_3}, ValueError, "TLSOptions.max_version"),
        ({"min_version": "TLSv1.3", "max_version": "TLSv1.2"}, ValueError, "newer than max_version"),
        ({"ciphers": ["a"]}, TypeError, "TLSOptions.ciphers must be str"),
        ({"ciphersuites": b"a"}, TypeError, "TLSOptions.ciphersuites must be str"),
        ({"keylog_file": True}, TypeError, "TLSOptions.keylog_file"),
    ],
)
def test_options_are_checked_when_made(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as refused:
        TLSOptions(**options)
    assert "1234" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["ca_file", "ca_path", "ca_data", "cert_file", "keylog_file", "ciphers", "key_password"]
)
def test_nul_cuts_nothing_off(certificates: Certificates, server: TlsEcho, name: str) -> None:
    values: dict[str, Any] = {"ca_file": certificates.ca, name: f"{certificates.ca}\0.pem"}
    with pytest.raises(ValueError, match="NUL"):
        ask(server.url, TLSOptions(**values))


def test_a_file_may_have_any_name(certificates: Certificates, server: TlsEcho, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe \xc3\xa4, 'x'.pem")
    shutil.copy(certificates.ca, path)
    assert ask(server.url, TLSOptions(ca_file=path))["version"] == "TLSv1.3"


def test_secrets_are_not_shown() -> None:
    options = TLSOptions(ca_data="a lot of text", cert_file="cert.pem", key_password="sesame")
    assert "sesame" not in repr(options) and "a lot of text" not in repr(options)
    assert "sesame" not in repr(wsclient.ClientOptions(tls=options))


def test_an_ssl_context_is_told_what_it_would_be(certificates: Certificates, tmp_path: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    for option in ("tls", "proxy_tls"):
        wrong: dict[str, Any] = {option: context}
        with pytest.raises(
            TypeError, match=rf'^{option} must be .*TLSOptions\(verify=False, min_version="TLSv1\.3"\)$'
        ):
            wsclient.connect("wss://localhost/", **wrong)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(TypeError, match=r"TLSOptions\(\)$"):
        wsclient.connect("wss://localhost/", tls=context)  # type: ignore[arg-type]
    context.load_verify_locations(certificates.ca)
    context.maximum_version = OLD
    context.keylog_filename = str(tmp_path / "keys")
    with pytest.raises(TypeError, match=r'\(ca_file=<.*>, max_version="TLSv1\.2", keylog_file=.*keys'):
        wsclient.connect("wss://localhost/", tls=context)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="tls must be TLSOptions or None, not bool"):
        wsclient.connect("wss://localhost/", tls=True)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- nothing is left


def test_no_descriptor_is_left(certificates: Certificates, server: TlsEcho, tmp_path: Path) -> None:
    ca = certificates.ca
    attempts: list[tuple[str, TLSOptions, type[Exception] | None]] = [
        (server.url, TLSOptions(ca_file=ca), None),
        (server.url, TLSOptions(ca_file=certificates.unknown_ca), CertificateError),
        (server.url, TLSOptions(ca_file=tmp_path), TLSOptionsError),
        (server.url, TLSOptions(ca_file=ca, keylog_file=tmp_path / "keys.log"), None),
        (f"wss://127.0.0.1:{unused_port()}/", TLSOptions(ca_file=ca), ConnectError),
        (server.url, TLSOptions(ca_file=ca, ciphers="NONSENSE"), TLSOptionsError),
        (server.url, TLSOptions(ca_file=ca, pins=["key:" + "0" * 64]), CertificateError),
    ]

    def once() -> None:
        for url, options, error in attempts:
            if error:
                with pytest.raises(error):
                    ask(url, options)
            else:
                ask(url, options)

    once()  # what is opened once and kept
    server.join()
    before = descriptors_at_rest()
    for _ in range(8):
        once()
    server.join()
    end = time.monotonic() + DEADLINE
    while open_descriptors() != before:  # a thread that has looked up a name closes its own a moment later
        assert time.monotonic() < end
