"""The methods with a short way through the native module are methods like any other."""

import gc
import inspect
import weakref

import pytest

import wsclient
from conftest import Echo
from wsclient import Connection, _core


@pytest.mark.parametrize("name", ["send", "recv"])
def test_they_look_like_functions(name: str) -> None:
    method = getattr(Connection, name)
    assert method.__name__ == name
    assert method.__qualname__ == f"Connection.{name}"
    assert method.__module__ == "wsclient.connection"
    assert inspect.isroutine(method)
    assert next(iter(inspect.signature(method).parameters)) == "self"
    assert inspect.getdoc(method) == inspect.getdoc(method.__wrapped__)


def test_both_ways_do_the_same(node_echo: Echo) -> None:
    with wsclient.connect(node_echo.url) as connection:
        connection.send("short")
        connection.send("long", text=True)
        connection.send(bytearray(b"bytes"), text=True)
        Connection.send(connection, "by the class")
        send = connection.send
        send("bound")
        texts = [connection.recv() for _ in range(3)] + [connection.recv(10), connection.recv(timeout=10)]
        assert texts == ["short", "long", "bytes", "by the class", "bound"]


@pytest.mark.parametrize("arguments", [(), (1,), ("x", True), (None,)])
def test_wrong_calls_are_the_functions_own(node_echo: Echo, arguments: tuple[object, ...]) -> None:
    with wsclient.connect(node_echo.url) as connection:
        with pytest.raises(TypeError):
            connection.send(*arguments)  # type: ignore[call-overload,arg-type]
        with pytest.raises(TypeError):
            connection.recv(1, None, None)  # type: ignore[call-overload]


def test_errors_are_the_same(node_echo: Echo) -> None:
    with wsclient.connect(node_echo.url) as connection, pytest.raises(ValueError, match="surrogates"):
        connection.send("\ud800")
    for call in (lambda: connection.send("x"), lambda: connection.send("x", text=True)):
        with pytest.raises(wsclient.ConnectionClosed):
            call()
    for receive in (lambda: connection.recv(), lambda: connection.recv(1)):
        with pytest.raises(wsclient.ConnectionClosed):
            receive()


def test_a_class_may_override_them(node_echo: Echo) -> None:
    class Loud(Connection):
        def send(self, data: object, **more: object) -> None:  # type: ignore[override]
            super().send(f"{data}!")

    with wsclient.connect(node_echo.url) as connection:
        connection.__class__ = Loud
        connection.send("hello")
        assert connection.recv(10) == "hello!"


def test_an_object_without_a_handle_is_the_functions_to_refuse() -> None:
    connection = Connection.__new__(Connection)
    with pytest.raises(AttributeError, match="_handle"):
        connection.send("x")
    connection._handle = "nonsense"  # type: ignore[assignment]
    with pytest.raises(AttributeError, match="recv"):
        connection.recv()


def test_they_are_collected() -> None:
    class Holder:
        pass

    def function(self: object) -> None:
        """Hold it, and what holds it."""

    holder = Holder()
    method = _core.quick_recv(function)
    method.holder, holder.method = holder, method  # type: ignore[attr-defined]
    gone = weakref.ref(holder)
    del holder, method, function
    gc.collect()
    assert gone() is None
