"""How the C API reaches servers: its options for TLS, proxies and sockets, redirects and refusals, from a C program."""

import hashlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from certificates import PASSWORD, Certificates, server_context, tls_echo
from http_site import Site, answer, redirect, upgrade
from proxies import squid, tinyproxy
from raw_server import Peer
from test_c_api import LIBRARIES

DEADLINE = 30.0


@pytest.fixture(scope="module")
def program(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reach") / "reach"
    flags = [
        "-std=c11",
        "-D_GNU_SOURCE",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Icsrc/include",
        f"-L{LIBRARIES}",
        "-lwsclient",
    ]
    command = ["cc", "tests/reach.c", *flags, f"-Wl,-rpath,{LIBRARIES}", "-o", path]
    subprocess.run(command, cwd=root, check=True, timeout=60)
    return path


def reach(program: Path, url: str, **options: object) -> dict[str, str]:
    """What the program says, by the first word of each line."""
    options.setdefault("proxy", "")
    command = [program, url, *(f"{name}={value}" for name, value in options.items())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert not done.stderr
    return dict(line.split(" ", 1) if " " in line else (line, "") for line in done.stdout.splitlines())


def test_tls_is_verified(program: Path, certificates: Certificates) -> None:
    with tls_echo(server_context(certificates.server, alpn=["http/1.1"])) as server:
        said = reach(program, server.url, caFile=certificates.ca, alpn="http/1.1")
        assert said["error"] == "OK"
        assert said["phases"] == "resolve tcp tls upgrade"
        version, alpn, resumed, size = said["tls"].split(" ")
        assert (version, alpn, resumed) == ("TLSv1.3", "http/1.1", "0")
        assert int(size) > 300
        assert reach(program, server.url, caPath=certificates.ca.parent)["error"] == "OK"
        assert reach(program, server.url, caData=certificates.ca.read_text())["error"] == "OK"
        assert reach(program, server.url, insecure=1)["error"] == "OK"
        said = reach(program, server.url, caFile=certificates.unknown_ca)
        assert said["error"] == "CERTIFICATE"
        assert "localhost" in said["text"]
        assert reach(program, server.url, caFile=certificates.ca, serverHostname="x.test")["error"] == "CERTIFICATE"


def test_tls_is_chosen(program: Path, certificates: Certificates, tmp_path: Path) -> None:
    trust = {"caFile": certificates.ca}
    with tls_echo(server_context(certificates.server)) as server:
        der = ssl.PEM_cert_to_DER_cert(
            certificates.server.chain.read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n"
        )
        pin = f"cert:{hashlib.sha256(der).hexdigest()}"
        assert reach(program, server.url, **trust, pins=pin)["error"] == "OK"
        assert reach(program, server.url, **trust, pins=f"key:{'0' * 64}")["error"] == "CERTIFICATE"
        assert reach(program, server.url, **trust, pins="key:0")["refused"] == "TLS_OPTIONS"
        assert reach(program, server.url, **trust, maxVersion=0x0303)["tls"].startswith("TLSv1.2")
        assert reach(program, server.url, **trust, minVersion=0x0302)["refused"] == "TLS_OPTIONS"
        assert reach(program, server.url, **trust, ciphersuites="nonsense")["error"] == "TLS_OPTIONS"
        assert reach(program, server.url, **trust, ciphers="nonsense")["error"] == "TLS_OPTIONS"
        assert reach(program, server.url, **trust, noResumption=1, keyLogFile=tmp_path / "keys")["error"] == "OK"
        assert (tmp_path / "keys").stat().st_size > 100
    context = server_context(certificates.server, client_ca=certificates.ca)
    own = certificates.client_encrypted
    with tls_echo(context) as server:
        said = reach(program, server.url, **trust, certFile=own.chain, keyFile=own.key, keyPassword=PASSWORD)
        assert said["error"] == "OK"
        said = reach(program, server.url, **trust, certFile=own.chain, keyFile=own.key, keyPassword="wrong")
        assert said["error"] == "TLS_OPTIONS"
        assert "wrong" not in said["text"]
        assert reach(program, server.url, **trust)["error"] == "TLS"


def test_proxies(program: Path, certificates: Certificates) -> None:
    with tls_echo(server_context(certificates.server)) as server:
        with tinyproxy(("ann", "secret")) as proxy:
            said = reach(program, server.url, caFile=certificates.ca, proxy=proxy.url_with("ann", "secret"))
            assert (said["error"], said["phases"]) == ("OK", "resolve tcp proxy tls upgrade")
            said = reach(program, server.url, caFile=certificates.ca, proxy=f"http://{proxy.host}:{proxy.port}")
            assert said["error"] == "PROXY_STATUS"
            assert said["response"] in ("HTTP/1.1 407", "HTTP/1.0 407")
        with squid(certificate=certificates.server) as proxy:
            said = reach(program, server.url, caFile=certificates.ca, proxyCaFile=certificates.ca, proxy=proxy.url)
            assert said["error"] == "OK"
            assert reach(program, server.url, caFile=certificates.ca, proxy=proxy.url)["error"] == "CERTIFICATE"
        assert reach(program, server.url, proxy="ftp://x")["refused"] == "PROXY_URL"


def test_sockets(program: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def note(peer: Peer) -> None:
        seen.append(peer.sock.getpeername()[0])
        peer.upgrade()

    with Site({"/": note}) as site:
        assert reach(program, site.url(), localHost="127.0.0.3", receiveBuffer=4096)["error"] == "OK"
        assert seen == ["127.0.0.3"]
        assert reach(program, site.url(), localHost="somewhere")["refused"] == "ARGUMENT"
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert reach(program, "ws://127.0.0.1:1/", unixPath=tmp_path / "none")["error"] == "CONNECT"
        answered = threading.Thread(target=refuse, args=(listener,))
        answered.start()
        assert reach(program, "ws://chat.test/", unixPath=path)["error"] == "STATUS"
        answered.join(DEADLINE)


def refuse(listener: socket.socket) -> None:
    sock, _ = listener.accept()
    with sock:
        while b"\r\n\r\n" not in sock.recv(65536):
            pass
        sock.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")


def test_redirects_and_refusals(program: Path) -> None:
    pages = {
        "/": redirect("/end"),
        "/end": upgrade,
        "/no": answer("503 Later", "Retry-After: 9", "Content-Length: 4", body=b"busy"),
    }
    with Site(pages) as site:
        said = reach(program, site.url(), headerName="X-Own", headerValue="1")
        assert (said["error"], said["url"]) == ("OK", site.url("/end"))
        assert said["redirect"] == f"{site.url()} HTTP/1.1 302"
        assert site.header(1, "X-Own") == "1"
        assert reach(program, site.url(), maxRedirects=-1)["error"] == "STATUS"
        said = reach(program, site.url("/no"))
        assert (said["error"], said["body"], said["retry"]) == ("STATUS", "busy", "9")
        assert reach(program, site.url(), headerName="X", headerValue="a\nb")["refused"] == "ARGUMENT"
