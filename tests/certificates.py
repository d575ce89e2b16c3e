"""Certificates of all kinds, made for one run of the tests, and a WebSocket server that shows what TLS agreed on."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

try:
    import trustme
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:  # there is none for this Python: what needs a certificate is skipped
    trustme = None

DEADLINE = 10.0
HERE = ("localhost", "127.0.0.1", "::1")
PASSWORD = "open sesame"


def skip_without_trustme() -> None:
    """Skip the test where there is none for this Python."""
    if trustme is None:
        pytest.skip("there is no trustme for this Python")


@dataclass(frozen=True)
class Certificate:
    """PEM files: the certificate with its intermediates, and its key."""

    chain: Path
    key: Path
    password: str | None = None


class Certificates:
    """A CA that tests trust, one they do not, and what those have signed; each is made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def _ca(self) -> trustme.CA:
        skip_without_trustme()
        return trustme.CA()

    @cached_property
    def _unknown_ca(self) -> trustme.CA:
        return trustme.CA() if trustme else self._ca

    @cached_property
    def ca(self) -> Path:
        """What to trust."""
        return self._write("ca.pem", self._ca.cert_pem.bytes())

    @cached_property
    def unknown_ca(self) -> Path:
        """The CA of `unknown_issuer`."""
        return self._write("unknown_ca.pem", self._unknown_ca.cert_pem.bytes())

    @cached_property
    def server(self) -> Certificate:
        """For localhost, 127.0.0.1 and ::1: nothing is wrong with it."""
        return self._save("server", self._ca.issue_cert(*HERE))

    @cached_property
    def wildcard(self) -> Certificate:
        """For one label before .wild.test."""
        return self._save("wildcard", self._ca.issue_cert("*.wild.test"))

    @cached_property
    def idna(self) -> Certificate:
        """For bücher.test, which is xn--bcher-kva.test."""
        return self._save("idna", self._ca.issue_cert("bücher.test"))

    @cached_property
    def expired(self) -> Certificate:
        """Valid until 2001."""
        return self._save("expired", self._ca.issue_cert(*HERE, not_after=datetime.datetime(2001, 1, 1)))

    @cached_property
    def not_yet_valid(self) -> Certificate:
        """Valid from tomorrow."""
        tomorrow = datetime.datetime.now() + datetime.timedelta(days=1)
        return self._save("not_yet_valid", self._ca.issue_cert(*HERE, not_before=tomorrow))

    @cached_property
    def wrong_name(self) -> Certificate:
        """For elsewhere.test."""
        return self._save("wrong_name", self._ca.issue_cert("elsewhere.test"))

    @cached_property
    def common_name_only(self) -> Certificate:
        """The name is in the subject only, where nobody may look any more (RFC 9525 2)."""
        return self._save("common_name_only", self._ca.issue_cert(common_name="localhost"))

    @cached_property
    def unknown_issuer(self) -> Certificate:
        """Signed by a CA that is not trusted."""
        return self._save("unknown_issuer", self._unknown_ca.issue_cert(*HERE))

    @cached_property
    def chained(self) -> Certificate:
        """Signed by an intermediate CA, which it brings along."""
        return self._save("chained", self._ca.create_child_ca().issue_cert(*HERE))

    @cached_property
    def chain_incomplete(self) -> Certificate:
        """Signed by an intermediate CA that it does not bring along."""
        leaf = self._ca.create_child_ca().issue_cert(*HERE)
        chain = self._write("chain_incomplete.pem", leaf.cert_chain_pems[0].bytes())
        return Certificate(chain, self._write("chain_incomplete.key", leaf.private_key_pem.bytes()))

    @cached_property
    def client(self) -> Certificate:
        """For a client."""
        return self._save("client", self._ca.issue_cert("alice@clients.test"))

    @cached_property
    def unknown_client(self) -> Certificate:
        """For a client, signed by a CA that is not trusted."""
        return self._save("unknown_client", self._unknown_ca.issue_cert("mallory@clients.test"))

    @cached_property
    def client_encrypted(self) -> Certificate:
        """The certificate `client`, its key encrypted with a password."""
        key = serialization.load_pem_private_key(self.client.key.read_bytes(), None)
        return Certificate(self.client.chain, self._write_key("client_encrypted.key", key, PASSWORD), PASSWORD)

    @cached_property
    def self_signed(self) -> Certificate:
        """Signed by itself, with the right names."""
        skip_without_trustme()
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        return Certificate(self._write("self_signed.pem", pem), self._write_key("self_signed.key", key))

    def _save(self, name: str, leaf: trustme.LeafCert) -> Certificate:
        chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
        return Certificate(self._write(f"{name}.pem", chain), self._write(f"{name}.key", leaf.private_key_pem.bytes()))

    def _write_key(self, name: str, key: object, password: str | None = None) -> Path:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        encryption = (
            serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        )
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        return self._write(name, pem)

    def _write(self, name: str, pem: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(pem)
        return path


def server_context(
    certificate: Certificate,
    *,
    client_ca: Path | None = None,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ciphers: str | None = None,
    alpn: Sequence[str] = (),
) -> ssl.SSLContext:
    """A server's side of TLS. With `client_ca` it demands a client's certificate; `ciphers` are those up to TLS 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key, certificate.password)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what is before TLS 1.2
        context.minimum_version, context.maximum_version = minimum, maximum
    if minimum < ssl.TLSVersion.TLSv1_2:
        ciphers = f"{ciphers or 'ALL'}:@SECLEVEL=0"  # OpenSSL 3 has no older version at its usual level
    if ciphers:
        context.set_ciphers(ciphers)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class TlsEcho:
    """A running echo server with TLS, a thread for each connection. "/tls" is answered with what TLS agreed on.

    It stands on blocking sockets, because asyncio loses the alert that says why a handshake failed.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self.context = context
        self.context.sni_callback = note_server_name
        self.listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port: int = self.listener.getsockname()[1]
        self.url = f"wss://localhost:{self.port}/"
        self.connections: list[tuple[socket.socket, threading.Thread]] = []
        self.says_goodbye = True  # by TLS's closing alert, as not all servers do
        self.accepting = threading.Thread(target=self.accept)

    def accept(self) -> None:
        """Serve each connection in a thread, until the listener is shut down."""
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self.serve, args=(sock,))
            self.connections.append((sock, thread))
            thread.start()

    def serve(self, sock: socket.socket) -> None:
        """One connection, to its end."""
        with (
            sock,  # TLS has a copy, so that `stop` can shut it down below
            contextlib.suppress(OSError, ValueError),  # the second if the client has gone before TLS began
            self.context.wrap_socket(sock.dup(), server_side=True) as tls,
        ):
            echo(tls)
            if self.says_goodbye:
                tls.unwrap()

    def stop(self) -> None:
        """Cut what is still open."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join(DEADLINE)
        self.listener.close()
        for sock, _ in self.connections:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.join()

    def join(self) -> None:
        """Wait until all connections are over."""
        for _, thread in self.connections:
            thread.join(DEADLINE)
            assert not thread.is_alive()


@contextmanager
def tls_echo(context: ssl.SSLContext, host: str = "127.0.0.1") -> Iterator[TlsEcho]:
    """An echo server with TLS."""
    server = TlsEcho(context, host)
    server.accepting.start()
    try:
        yield server
    finally:
        server.stop()


def note_server_name(tls: ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
    """Keep the name the client has asked for (SNI)."""
    tls.asked_for = name  # type: ignore[attr-defined]


def echo(tls: ssl.SSLSocket) -> None:
    """Send back what comes, frame by frame, until the closing handshake is done or the client gone."""
    protocol = ServerProtocol(max_size=2**26)
    while data := tls.recv(65536):
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
            elif event.opcode is Opcode.TEXT:
                protocol.send_text(agreed(tls) if event.data == b"/tls" else event.data, event.fin)
            elif event.opcode is Opcode.BINARY:
                protocol.send_binary(event.data, event.fin)
            elif event.opcode is Opcode.CONT:
                protocol.send_continuation(event.data, event.fin)
        for piece in protocol.data_to_send():
            if not piece:
                return
            tls.sendall(piece)


def agreed(tls: ssl.SSLSocket) -> bytes:
    """What TLS agreed on, in JSON."""
    client = tls.getpeercert() or {}
    said = {
        "version": tls.version(),
        "cipher": tls.cipher()[0],
        "alpn": tls.selected_alpn_protocol(),
        "server_name": tls.asked_for,
        "client": [name for _, name in client.get("subjectAltName", ())],
        "resumed": tls.session_reused,
    }
    return json.dumps(said).encode()
