"""One socket's conversation: malformed frames, how it ends, deadlines, and a host that fails."""

from __future__ import annotations

import logging

import pytest

from media.ws.reject import WsReject
from strep.clock import NEVER_NS, NS_PER_SECOND
from tests.ws.conversations import Conversation, streaming
from tests.ws.fakes import FakeHost, connected, dtmf, media, start, stop


class TestMalformed:
    def test_does_not_end_the_stream(self) -> None:
        conversation = streaming()
        for _ in range(300):
            conversation.send("{", '{"event":"media"}', b"\x00", media(1, 2))
        assert conversation.rejected == {WsReject.NOT_JSON: 300, WsReject.BAD_FIELD: 300, WsReject.BINARY: 300}
        assert conversation.close is None

    @pytest.mark.parametrize(("message", "code"), [("{", 1007), ('{"event":"media"}', 1007), (b"\x00", 1003)])
    def test_unless_there_is_nothing_else(self, message: str | bytes, code: int) -> None:
        assert streaming().send(*[message] * 99).close is None
        close = streaming().send(*[message] * 100).close
        assert close is not None
        assert close[0] == code
        assert close[1].startswith("100 malformed messages in a row")

    def test_is_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            streaming().send(*["{"] * 50)
        assert len(caplog.records) == 1


class TestEnd:
    def test_stop(self) -> None:
        conversation = streaming().send(media(1, 2))
        conversation.now_ns = 7
        conversation.send(stop())
        conversation.connection.closed(8)
        conversation.connection.closed(9)
        assert conversation.host.calls == ["started", "media", "stopped"]

    def test_socket_gone(self) -> None:
        conversation = streaming()
        conversation.connection.closed(1)
        conversation.connection.closed(2)
        assert conversation.host.calls == ["started", "detached"]
        conversation.send(media(1))
        assert conversation.rejected == {WsReject.AFTER_CLOSE: 1}

    def test_socket_gone_before_start(self) -> None:
        conversation = Conversation().send(connected())
        conversation.connection.closed(1)
        assert conversation.host.calls == []


class TestDeadlines:
    def test_start_must_come(self) -> None:
        conversation = Conversation().send(connected())
        connection = conversation.connection
        assert connection.deadline() == 10 * NS_PER_SECOND
        assert connection.poll(connection.deadline() - 1) is None
        assert connection.poll(connection.deadline()) == (1002, "no start frame within 10 s")

    def test_none_while_streaming(self) -> None:
        connection = streaming().connection
        assert connection.deadline() == NEVER_NS
        assert connection.poll(1 << 60) is None

    def test_after_stop_the_carrier_closes_or_this_side(self) -> None:
        conversation = streaming(linger_ns=5)
        conversation.now_ns = 100
        conversation.send(stop())
        assert conversation.connection.deadline() == 105
        assert conversation.connection.poll(104) is None
        assert conversation.connection.poll(105) == (1000, "stream stopped")


class TestFailingHost:
    def test_start(self) -> None:
        host = FakeHost()
        host.failure = RuntimeError("broken")
        conversation = Conversation(host).send(start())
        assert conversation.close == (1011, "internal error")
        assert conversation.rejected == {WsReject.HOST_FAILED: 1}

    def test_media_and_events_cost_the_frame(self, caplog: pytest.LogCaptureFixture) -> None:
        conversation = streaming()
        conversation.host.failure = RuntimeError("broken")
        with caplog.at_level(logging.ERROR):
            conversation.send(media(1, 2), media(2, 3), dtmf("5", 4))
        assert len(caplog.records) == 1
        conversation.host.failure = None
        conversation.send(media(3, 5))
        assert conversation.rejected == {WsReject.HOST_FAILED: 3}
        assert conversation.close is None

    def test_stop_and_close_are_asked_once(self) -> None:
        conversation = streaming()
        conversation.host.failure = RuntimeError("broken")
        conversation.send(stop())
        conversation.connection.closed(1)
        assert conversation.host.calls == ["started", "stopped"]

    def test_detach(self) -> None:
        conversation = streaming()
        conversation.host.failure = RuntimeError("broken")
        conversation.connection.closed(1)
        assert conversation.host.calls == ["started", "detached"]
