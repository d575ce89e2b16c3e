"""The certificates and TLS servers of the tests are what they say, to Python's ssl."""

import json
import socket
import ssl
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import Event
from websockets.uri import parse_uri

from certificates import Certificates, server_context, tls_echo
from raw_server import DEADLINE, Peer, RawServer


def trusting(certificates: Certificates, client: str | None = None) -> ssl.SSLContext:
    """A client's context that trusts the CA, and shows a certificate."""
    context = ssl.create_default_context(cafile=certificates.ca)
    context.hostname_checks_common_name = False
    if client:
        shown = getattr(certificates, client)
        context.load_cert_chain(shown.chain, shown.key, shown.password)
    return context


def agreed(url: str, context: ssl.SSLContext, name: str | None = None) -> dict[str, Any]:
    """Connect and learn what TLS agreed on.

    One thread reads and writes, because one TLS connection of Python's ssl does not bear two (python/cpython#143756).
    """
    uri = parse_uri(url)
    protocol = ClientProtocol(uri)
    sock = socket.create_connection(("127.0.0.1", uri.port), DEADLINE)
    with context.wrap_socket(sock, server_hostname=name or "localhost") as client:
        protocol.send_request(protocol.connect())
        exchange(client, protocol)
        protocol.send_text(b"/tls")
        answer = exchange(client, protocol)
        assert isinstance(answer, Frame)
        return json.loads(answer.data)


def exchange(client: ssl.SSLSocket, protocol: ClientProtocol) -> Event:
    """Send what waits to be sent, and return what comes back."""
    client.sendall(b"".join(protocol.data_to_send()))
    while not (events := protocol.events_received()):
        data = client.recv(65536)
        assert data, "the server has gone"
        protocol.receive_data(data)
    (event,) = events
    return event


@pytest.mark.parametrize(
    ("kind", "name", "sni"),
    [
        ("server", "localhost", "localhost"),
        ("server", "127.0.0.1", None),
        ("server", "::1", None),
        ("wildcard", "one.wild.test", "one.wild.test"),
        ("idna", "bücher.test", "xn--bcher-kva.test"),
        ("chained", "localhost", "localhost"),
    ],
)
def test_a_right_certificate_is_taken(certificates: Certificates, kind: str, name: str, sni: str | None) -> None:
    with tls_echo(server_context(getattr(certificates, kind))) as server:
        said = agreed(server.url, trusting(certificates), name)
        assert said["version"] == "TLSv1.3"
        assert said["server_name"] == sni


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("expired", "localhost", "has expired"),
        ("not_yet_valid", "localhost", "not yet valid"),
        ("wrong_name", "localhost", "mismatch"),
        ("common_name_only", "localhost", "mismatch|Empty Subject Alternative Name"),  # the latter from 3.13 on
        ("server", "127.0.0.2", "mismatch"),
        ("wildcard", "wild.test", "mismatch"),
        ("wildcard", "one.two.wild.test", "mismatch"),
        ("self_signed", "localhost", "self-signed certificate"),
        ("unknown_issuer", "localhost", "unable to get local issuer"),
        ("chain_incomplete", "localhost", "unable to get local issuer"),
    ],
)
def test_a_wrong_certificate_is_refused(certificates: Certificates, kind: str, name: str, why: str) -> None:
    with (
        tls_echo(server_context(getattr(certificates, kind))) as server,
        pytest.raises(ssl.SSLCertVerificationError, match=why),
    ):
        agreed(server.url, trusting(certificates), name)


@pytest.mark.parametrize("kind", ["client", "client_encrypted"])
def test_a_client_shows_its_certificate(certificates: Certificates, kind: str) -> None:
    with tls_echo(server_context(certificates.server, client_ca=certificates.ca)) as server:
        assert agreed(server.url, trusting(certificates, kind))["client"] == ["alice@clients.test"]


@pytest.mark.parametrize(("kind", "why"), [(None, "CERTIFICATE_REQUIRED"), ("unknown_client", "UNKNOWN_CA")])
def test_a_client_without_a_right_certificate_is_told(certificates: Certificates, kind: str | None, why: str) -> None:
    with (
        tls_echo(server_context(certificates.server, client_ca=certificates.ca)) as server,
        trusting(certificates, kind).wrap_socket(
            socket.create_connection(("127.0.0.1", server.port), DEADLINE), server_hostname="localhost"
        ) as client,
        pytest.raises(ssl.SSLError, match=why),  # not before it reads: TLS 1.3 ends the client's handshake first
    ):
        client.recv(100)


def test_versions_ciphers_and_alpn(certificates: Certificates) -> None:
    old = server_context(
        certificates.server,
        maximum=ssl.TLSVersion.TLSv1_2,
        ciphers="ECDHE-ECDSA-AES128-GCM-SHA256",
        alpn=["h2", "http/1.1"],
    )
    context = trusting(certificates)
    context.set_alpn_protocols(["http/1.1"])
    with tls_echo(old) as server:
        said = agreed(server.url, context)
        assert (said["version"], said["cipher"], said["alpn"]) == (
            "TLSv1.2",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "http/1.1",
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            agreed(server.url, context)


def test_an_obsolete_version_is_there_to_be_refused(certificates: Certificates) -> None:
    obsolete = server_context(certificates.server, minimum=ssl.TLSVersion.TLSv1_1, maximum=ssl.TLSVersion.TLSv1_1)
    context = trusting(certificates)
    with tls_echo(obsolete) as server:
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            agreed(server.url, context)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        assert agreed(server.url, context)["version"] == "TLSv1.1"


@pytest.mark.parametrize("polite", [True, False])
def test_a_raw_server_ends_with_and_without_close_notify(certificates: Certificates, polite: bool) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.sendall(b"some bytes")
        if polite:
            assert isinstance(peer.sock, ssl.SSLSocket)
            peer.sock.unwrap().close()

    with RawServer(serve, tls=server_context(certificates.server)) as server:
        sock = socket.create_connection(("127.0.0.1", server.port), DEADLINE)
        context = trusting(certificates)
        with context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False) as client:
            assert client.recv(100) == b"some bytes"
            if polite:
                assert client.recv(100) == b""
                client.unwrap().close()
            else:
                with pytest.raises(ssl.SSLEOFError):
                    client.recv(100)
