"""TLS: how it is asked for, and what was agreed on."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

TLSVersion: TypeAlias = Literal["TLSv1.2", "TLSv1.3"]
"""A version of TLS that may be used (RFC 5246, RFC 8446)."""

PathLike: TypeAlias = str | os.PathLike[str]
"""Where a file is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TLSOptions:
    """How to secure a ``wss://`` connection, for the options ``tls`` and ``proxy_tls``.

    The defaults verify that the server's certificate is valid, for its name, and issued by a CA that the system trusts:
    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, else Python's default, else certifi's if that is installed, else where Linux
    distributions have their CAs. Files are in PEM form; they are read at the first connection with these options and
    again when they have changed. Connections with equal options share what was read, and their sessions.

    Raises ``TypeError`` or ``ValueError``; :exc:`~wsclient.exceptions.TLSOptionsError` comes when connecting, if a file
    or a list of ciphers cannot be used::

        wsclient.connect("wss://chat.example/", tls=TLSOptions(ca_file="our-ca.pem"))
    """

    ca_file: PathLike | None = None
    """Trust the CAs in this file instead of the system's."""
    ca_path: PathLike | None = None
    """Trust the CAs in the files of this folder instead of the system's. It is read again when files came or went."""
    ca_data: str | bytes | None = field(default=None, repr=False)
    """Trust these CAs instead of the system's: PEM text, or one certificate as DER bytes."""
    cert_file: PathLike | None = None
    """Our certificate, and those above it up to the CA, for a server that wants one."""
    key_file: PathLike | None = None
    """The key to it; ``None``: it is in ``cert_file``."""
    key_password: str | bytes | None = field(default=None, repr=False)
    """What the key is encrypted with."""
    verify: bool = True
    """Verify the server's certificate. Without it anybody may be the server; ``pins`` still count."""
    pins: Sequence[str] | None = None
    """``"cert:"`` or ``"key:"`` and a SHA-256 in hexadecimal: the server's certificate (its DER form), or its public
    key (SubjectPublicKeyInfo, DER), must be one of these."""
    alpn: Sequence[str] | None = None
    """Protocols to offer by ALPN (RFC 7301), in order of preference."""
    min_version: TLSVersion = "TLSv1.2"
    """The oldest version allowed."""
    max_version: TLSVersion | None = None
    """The newest version allowed; ``None``: the newest there is."""
    ciphers: str | None = None
    """Ciphers for TLS 1.2, in OpenSSL's form; ``None``: OpenSSL's choice."""
    ciphersuites: str | None = None
    """Cipher suites for TLS 1.3, in OpenSSL's form; ``None``: OpenSSL's choice."""
    resumption: bool = True
    """Take up earlier sessions with the same server again (RFC 8446 2.2), which is several times as fast."""
    keylog_file: PathLike | None = None
    """Append the connections' secrets to this file, for looking into recorded traffic. Whoever has it reads all."""

    def __post_init__(self) -> None:
        for name in ("ca_file", "ca_path", "cert_file", "key_file", "keylog_file"):
            _check(name, getattr(self, name), str, os.PathLike)
        for name in ("ca_data", "key_password"):
            _check(name, getattr(self, name), str, bytes)
        for name in ("ciphers", "ciphersuites"):
            _check(name, getattr(self, name), str)
        for name in ("verify", "resumption"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"TLSOptions.{name} must be bool, not {type(getattr(self, name)).__name__}")
        _check_versions(self.min_version, self.max_version)
        _check_items("alpn", self.alpn, r"[^,\0]{1,255}")
        _check_items("pins", self.pins, r"(cert|key):[0-9A-Fa-f]{64}")
        if self.pins is not None and not self.pins:
            raise ValueError("TLSOptions.pins must be one or more: None is for no pins")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("TLSOptions.key_file needs cert_file, too")


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """What TLS with the server agreed on."""

    version: str
    """``"TLSv1.3"`` or ``"TLSv1.2"``."""
    cipher: str
    """As OpenSSL names it, such as ``"TLS_AES_256_GCM_SHA384"``."""
    alpn: str | None
    """The protocol chosen by ALPN (RFC 7301), ``None`` for none."""
    resumed: bool
    """An earlier session was taken up again."""
    certificate: bytes = field(repr=False)
    """The server's certificate, DER."""


def check_tls(name: str, value: object) -> None:
    """Check that the option is :class:`TLSOptions` or None; for an ``ssl.SSLContext`` say what it would be."""
    if value is None or isinstance(value, TLSOptions):
        return
    if type(value).__module__ == "ssl" or any(base.__name__ == "SSLContext" for base in type(value).__mro__):
        raise TypeError(f"{name} must be TLSOptions, for the engine has its own TLS; like yours: {_like(value)}")
    raise TypeError(f"{name} must be TLSOptions or None, not {type(value).__name__}")


def _like(context: object) -> str:
    """The options that come nearest to an ``ssl.SSLContext``. What it has loaded cannot be asked back from it."""
    import ssl

    context = cast("ssl.SSLContext", context)
    parts: list[str] = []
    if context.verify_mode == ssl.CERT_NONE:
        parts.append("verify=False")
    elif context.cert_store_stats()["x509_ca"]:
        parts.append("ca_file=<your CA file, if not the system's>")
    if context.minimum_version == ssl.TLSVersion.TLSv1_3:
        parts.append('min_version="TLSv1.3"')
    if context.maximum_version == ssl.TLSVersion.TLSv1_2:
        parts.append('max_version="TLSv1.2"')
    if context.keylog_filename:
        parts.append(f"keylog_file={context.keylog_filename!r}")
    return f"TLSOptions({', '.join(parts)})"


def _check(name: str, value: object, *wanted: type) -> None:
    if value is not None and not isinstance(value, wanted):
        kinds = " or ".join(kind.__name__ for kind in wanted)
        raise TypeError(f"TLSOptions.{name} must be {kinds} or None, not {type(value).__name__}")


def _check_versions(oldest: object, newest: object) -> None:
    for name, value in (("min_version", oldest), ("max_version", newest)):
        if value not in ("TLSv1.2", "TLSv1.3") and (name == "min_version" or value is not None):
            raise ValueError(f'TLSOptions.{name} must be "TLSv1.2" or "TLSv1.3", not {value!r}')
    if (oldest, newest) == ("TLSv1.3", "TLSv1.2"):
        raise ValueError("TLSOptions.min_version is newer than max_version")


def _check_items(name: str, items: object, pattern: str) -> None:
    if items is None:
        return
    if isinstance(items, str) or not isinstance(items, Sequence):
        raise TypeError(f"TLSOptions.{name} must be a sequence of str, not {type(items).__name__}")
    for item in cast("Sequence[object]", items):
        if not isinstance(item, str):
            raise TypeError(f"TLSOptions.{name} must be of str, not {type(item).__name__}")
        if not re.fullmatch(pattern, item):
            raise ValueError(f"TLSOptions.{name}: {item!r} does not have the form {pattern}")
