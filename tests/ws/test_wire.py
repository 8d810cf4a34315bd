"""The way back of a connection, without a socket: what goes out, what is dropped, when it is closed."""

from __future__ import annotations

from media.ws.closing import Close
from media.ws.protocol import ConnectionOptions, MediaStreamConnection
from tests.ws.fakes import FakeHost, start, stop


class FakeWire:
    def __init__(self) -> None:
        self.buffered_bytes = 0
        self.sent: list[str | bytes] = []
        self.closes: list[Close] = []

    def send(self, text: str | bytes) -> None:
        self.sent.append(text)

    def send_binary(self, data: bytes) -> None:
        self.sent.append(data)

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
    assert host.starts[0].outgoing is connection
    assert connection.send("a")
    assert connection.send(b"b")
    assert connection.send_binary(b"c")
    assert wire.sent == ["a", b"b", b"c"]
    assert connection.snapshot().sent == 3


def test_without_a_wire_it_goes_nowhere() -> None:
    connection = MediaStreamConnection(FakeHost(), 0)
    assert connection.send("a")
    assert connection.buffered_bytes == 0
    connection.close(Close(1000, ""))
    assert not connection.send_binary(b"b")


def test_the_limit() -> None:
    connection, wire, _ = streaming(max_unsent_bytes=1000)
    wire.buffered_bytes = 1000
    assert connection.send("a")
    wire.buffered_bytes = 1001
    assert not connection.send("b")
    assert wire.closes == [Close(1008, "does not read: 1001 bytes wait")]
    wire.buffered_bytes = 0
    assert not connection.send("c"), "what is missing in between would be heard"
    assert (wire.sent, connection.snapshot().sent) == (["a"], 1)


def test_the_host_closes_once() -> None:
    connection, wire, _ = streaming()
    connection.close(Close(1000, "hung up"))
    connection.close(Close(1011, "later"))
    assert wire.closes == [Close(1000, "hung up")]
    assert connection.receive(stop(), 2) == Close(1000, "hung up")


def test_a_socket_that_is_gone() -> None:
    connection, wire, _ = streaming()
    connection.closed(2)
    assert not connection.send("a")
    connection.close(Close(1000, ""))
    assert (wire.sent, wire.closes) == ([], [])
