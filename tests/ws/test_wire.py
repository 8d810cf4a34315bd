"""The way back of a connection, without a socket: what goes out, what is dropped, when it is closed."""

from __future__ import annotations

from media.ws.closing import Close
from media.ws.options import ConnectionOptions
from media.ws.protocol import MediaStreamConnection
from tests.ws.fakes import FakeHost, start, stop


class FakeWire:
    is_open = True

    def __init__(self) -> None:
        self.buffered_bytes = 0
        self.sent: list[str | bytes] = []
        self.closes: list[Close] = []

    def send(self, text: str | bytes) -> None:
        self.sent.append(text)

    def close(self, close: Close) -> None:
        self.closes.append(close)


def streaming(max_unsent_bytes: int = 1000) -> tuple[MediaStreamConnection, FakeWire, FakeHost]:
    host, wire = FakeHost(), FakeWire()
    options = ConnectionOptions(max_unsent_bytes=max_unsent_bytes)
    connection = MediaStreamConnection(host, 0, options=options, wire=wire)
    connection.receive(start(), 1)
    return connection, wire, host


def test_the_host_is_given_the_connection() -> None:
    connection, wire, host = streaming()
    assert host.starts[0].wire is connection
    connection.send("a")
    connection.send(b"b")
    assert wire.sent == ["a", b"b"]
    assert connection.snapshot().sent == 2


def test_without_a_wire_it_goes_nowhere() -> None:
    connection = MediaStreamConnection(FakeHost(), 0)
    connection.send("a")
    assert (connection.is_open, connection.buffered_bytes, connection.snapshot().sent) == (True, 0, 1)
    connection.close(Close(1000, ""))
    assert not connection.is_open


def test_the_limit() -> None:
    connection, wire, _ = streaming(max_unsent_bytes=1000)
    wire.buffered_bytes = 1000
    connection.send("a")
    wire.buffered_bytes = 1001
    connection.send("b")
    assert wire.closes == [Close(1008, "does not read: 1001 bytes wait")]
    assert not connection.is_open
    wire.buffered_bytes = 0
    connection.send("c")
    assert (wire.sent, connection.snapshot().sent) == (["a"], 1), "what is missing in between would be heard"


def test_the_host_closes_once() -> None:
    connection, wire, _ = streaming()
    connection.close(Close(1000, "hung up"))
    connection.close(Close(1011, "later"))
    assert wire.closes == [Close(1000, "hung up")]
    assert connection.receive(stop(), 2) == Close(1000, "hung up")


def test_a_socket_that_is_gone() -> None:
    connection, wire, _ = streaming()
    connection.closed(2)
    connection.send("a")
    connection.close(Close(1000, ""))
    assert (connection.is_open, wire.sent, wire.closes) == (False, [], [])
