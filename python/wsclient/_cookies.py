"""Between a ``http.cookiejar.CookieJar``, which knows http alone, and the opening handshake."""

from __future__ import annotations

from email.message import Message as HttpMessage
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from typing import cast
from urllib.request import Request as HttpRequest

from .models import Response
from .options import Cookies


def cookie_header(cookies: Cookies | None, url: str) -> str | None:
    """Return the ``Cookie`` header for a WebSocket URL, ``None`` for none (RFC 6265 5.4)."""
    if isinstance(cookies, CookieJar):
        request = _request(url)
        cookies.add_cookie_header(request)
        return request.get_header("Cookie")
    return "; ".join(f"{name}={value}" for name, value in cookies.items()) if cookies else None


def keep_cookies(jar: CookieJar, url: str, head: bytes) -> None:
    """Have the jar take what the answer from that URL sets, by its own policy (RFC 6265 5.3)."""
    jar.extract_cookies(cast("HTTPResponse", _Answer(head)), _request(url))


def _request(url: str) -> HttpRequest:
    return HttpRequest("http" + url[2:])  # ws is to http as wss is to https


class _Answer:
    """What a jar asks of a response: its headers."""

    def __init__(self, head: bytes) -> None:
        self._headers = HttpMessage()
        for value in Response.parse(head).headers.get_all("Set-Cookie"):
            self._headers["Set-Cookie"] = value

    def info(self) -> HttpMessage:
        return self._headers
