"""Real proxies and reverse proxies on 127.0.0.1, each in the foreground and without root's help.

Each function is a context manager: it starts the program with a configuration of its own in a folder of its own, waits
until it listens, and ends it. All that a proxy has printed is shown when the block fails.
"""

import ctypes
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from certificates import Certificate

DEADLINE = 10.0
# The shell kills all its process group when its standard input or the program ends; none has anything to lose, and
# squid would take seconds for a polite end.
KEEPER = '{ "$@"; echo "exit status $?"; kill -9 0; } </dev/null & read _; kill -9 0'
HOSTS = "127.0.0.1 localhost chat.test\n"  # chat.test is a name that the forward proxies alone know
SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


class Proxy:
    """A running proxy."""

    host = "127.0.0.1"

    def __init__(self, scheme: str, port: int, credentials: tuple[str, str] | None, folder: Path) -> None:
        self.scheme, self.port, self.credentials, self.folder = scheme, port, credentials, folder

    @property
    def url(self) -> str:
        """Its URL, with the right credentials if it wants any."""
        return self.url_with(*self.credentials) if self.credentials else f"{self.scheme}://{self.host}:{self.port}"

    def url_with(self, user: str, password: str) -> str:
        """Its URL with these credentials, neither of which needs to be escaped."""
        return f"{self.scheme}://{user}:{password}@{self.host}:{self.port}"

    def log(self) -> str:
        """All that it has printed or logged."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def wait_logged(self, pattern: str) -> None:
        """Wait until its log matches; this is how a test knows that a connection went through it."""
        until = time.monotonic() + DEADLINE
        while not re.search(pattern, self.log()):
            assert time.monotonic() < until, f"no {pattern!r} in the log:\n{self.log()}"
            time.sleep(0.01)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Does somebody?"""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def new_folder() -> Iterator[Path]:
    """A folder that a program with another user's rights can use too."""
    with tempfile.TemporaryDirectory(prefix="wsclient-") as name:
        os.chmod(name, 0o777)
        yield Path(name)


@contextmanager
def running(proxy: Proxy, command: Sequence[str | Path], env: dict[str, str] | None = None) -> Iterator[Proxy]:
    """The program while it runs; it ends with the block, or with this process. No sanitizer is preloaded into it."""
    inherited = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    program = shutil.which(command[0], path=SBIN)
    assert program, f"{command[0]} is not installed: run scripts/setup.sh"
    with (proxy.folder / "output.log").open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "proxy", program, *command[1:]],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=inherited | (env or {}),
            start_new_session=True,
        )
    try:
        wait_until_it_listens(process, proxy.port)
        yield proxy
    except BaseException:
        print(f"{command[0]} said:\n{proxy.log()}")
        raise
    finally:
        process.communicate(timeout=DEADLINE)  # closes its standard input
        wait_until_free(proxy.port)


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait for that, or for its end."""
    until = time.monotonic() + DEADLINE
    while not listens(port):
        assert process.poll() is None, "it has ended"
        assert time.monotonic() < until, f"it does not listen within {DEADLINE} s"
        time.sleep(0.01)


def wait_until_free(port: int) -> None:
    """Wait until nobody listens there."""
    until = time.monotonic() + DEADLINE
    while listens(port):
        assert time.monotonic() < until, f"somebody still listens on port {port}"
        time.sleep(0.01)


def crypted(password: str) -> str:
    """The password as /etc/shadow has it."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    hashed: bytes = crypt(password.encode(), b"$6$wsclient")
    return hashed.decode()


@contextmanager
def tinyproxy(credentials: tuple[str, str] | None = None) -> Iterator[Proxy]:
    """An HTTP proxy; credentials of letters, digits and "-._" only."""
    with new_folder() as folder:
        port = free_port()
        lines = [f"Port {port}", "Listen 127.0.0.1", "Timeout 600", "MaxClients 1000", "LogLevel Connect"]
        if credentials:
            lines.append(f"BasicAuth {' '.join(credentials)}")
        config = folder / "tinyproxy.conf"
        config.write_text("\n".join([*lines, ""]))
        command = ["tinyproxy", "-d", "-c", config]
        with running(Proxy("http", port, credentials, folder), command, known_hosts(folder)) as proxy:
            yield proxy


@contextmanager
def squid(credentials: tuple[str, str] | None = None, certificate: Certificate | None = None) -> Iterator[Proxy]:
    """An HTTP proxy, with a certificate an HTTPS proxy: TLS to the proxy itself."""
    with new_folder() as folder:
        port = free_port()
        known_hosts(folder)
        lines = [
            *("cache deny all", "pinger_enable off", "shutdown_lifetime 0 seconds", "max_filedescriptors 1024"),
            *("pid_filename none", "netdb_filename none", "visible_hostname localhost", "coredump_dir none"),
            *("sslproxy_session_cache_size 0", f"hosts_file {folder}/hosts"),
            *(f"cache_log {folder}/cache.log", f"access_log stdio:{folder}/access.log"),
        ]
        if certificate:
            lines.append(f"https_port 127.0.0.1:{port} tls-cert={certificate.chain} tls-key={certificate.key}")
        else:
            lines.append(f"http_port 127.0.0.1:{port}")
        if credentials:
            (folder / "users").write_text(f"{credentials[0]}:{crypted(credentials[1])}\n")
            lines += [
                f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/users",
                "auth_param basic children 1",
                "acl known proxy_auth REQUIRED",
                "http_access allow known",
            ]
        else:
            lines.append("http_access allow all")
        config = folder / "squid.conf"
        config.write_text("\n".join([*lines, ""]))
        scheme = "https" if certificate else "http"
        service = f"wsclient{port}"  # two of one name would share memory
        try:
            command = ["squid", "-N", "-n", service, "-f", config]
            with running(Proxy(scheme, port, credentials, folder), command) as proxy:
                yield proxy
        finally:
            for left in Path("/dev/shm").glob(f"{service}-*"):
                left.unlink()


@contextmanager
def dante(credentials: tuple[str, str] | None = None) -> Iterator[Proxy]:
    """A SOCKS5 proxy. Dante asks the system for its users: nss_wrapper tells it of one that is not there."""
    with new_folder() as folder:
        port = free_port()
        config = folder / "danted.conf"
        config.write_text(f"""
            logoutput: stderr
            internal: 127.0.0.1 port = {port}
            external: lo
            clientmethod: none
            socksmethod: {"username" if credentials else "none"}
            client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
            socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: connect error }}
            socks pass {{ from: 0.0.0.0/0 to: ::/0 log: connect error }}
        """)
        env = known_hosts(folder) | (system_user(folder, *credentials) if credentials else {})
        with running(Proxy("socks5h", port, credentials, folder), ["danted", "-f", config, "-N", "1"], env) as proxy:
            yield proxy


def known_hosts(folder: Path) -> dict[str, str]:
    """The environment of a program that shall know HOSTS."""
    (folder / "hosts").write_text(HOSTS)
    return {"LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_HOSTS": f"{folder}/hosts"}


def system_user(folder: Path, user: str, password: str) -> dict[str, str]:
    """The environment of a program that shall believe in a user of the system."""
    (folder / "passwd").write_text(Path("/etc/passwd").read_text() + f"{user}:x:64999:64999::/:/bin/false\n")
    (folder / "shadow").write_text(f"{user}:{crypted(password)}:19000:0:99999:7:::\n")
    return {
        "LD_PRELOAD": "libnss_wrapper.so",
        "NSS_WRAPPER_PASSWD": f"{folder}/passwd",
        "NSS_WRAPPER_GROUP": "/etc/group",
        "NSS_WRAPPER_SHADOW": f"{folder}/shadow",
    }


@contextmanager
def nginx(target: int, certificate: Certificate | None = None) -> Iterator[Proxy]:
    """A reverse proxy in front of the server at that port of 127.0.0.1; with a certificate it does the TLS."""
    with new_folder() as folder:
        port = free_port()
        temporary = " ".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        tls = f"ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};" if certificate else ""
        config = folder / "nginx.conf"
        config.write_text(f"""
            daemon off; master_process off; pid {folder}/pid;
            events {{ worker_connections 256; }}
            http {{
                access_log {folder}/access.log; {temporary}
                server {{
                    listen 127.0.0.1:{port} {"ssl" if tls else ""}; {tls}
                    location / {{
                        proxy_pass http://127.0.0.1:{target};
                        proxy_http_version 1.1;
                        proxy_set_header Host $http_host;
                        proxy_set_header Upgrade $http_upgrade;
                        proxy_set_header Connection upgrade;
                        proxy_read_timeout 600s;
                    }}
                }}
            }}
        """)
        command = ["nginx", "-e", "stderr", "-p", folder, "-c", config]
        with running(Proxy("wss" if tls else "ws", port, None, folder), command) as proxy:
            yield proxy


@contextmanager
def haproxy(target: int, certificate: Certificate | None = None) -> Iterator[Proxy]:
    """A reverse proxy in front of the server at that port of 127.0.0.1; with a certificate it does the TLS."""
    with new_folder() as folder:
        port = free_port()
        tls = ""
        if certificate:
            (folder / "server.pem").write_bytes(certificate.chain.read_bytes() + certificate.key.read_bytes())
            tls = f"ssl crt {folder}/server.pem"
        config = folder / "haproxy.cfg"
        config.write_text(f"""
            global
                maxconn 1000
            defaults
                mode http
                retries 0
                timeout connect 5s
                timeout client 600s
                timeout server 600s
                timeout tunnel 600s
            frontend clients
                bind 127.0.0.1:{port} {tls}
                default_backend servers
            backend servers
                server one 127.0.0.1:{target}\n""")
        with running(Proxy("wss" if tls else "ws", port, None, folder), ["haproxy", "-db", "-f", config]) as proxy:
            yield proxy
