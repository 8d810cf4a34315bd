"""One socket's conversation: the table, every reject by name, what the host is told."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from media.admission.tokens import Verdict
from media.codecs import PCMU, Encoding
from media.ws.host import Handshake, StreamRefused
from media.ws.reject import WsReject
from media.ws.states import MISPLACED, TRANSITIONS, State
from strep.header import Direction
from tests.ws.conversations import Conversation, streaming
from tests.ws.fakes import STREAM_ID, FakeHost, connected, dtmf, mark, media, start, stop

OTHER_ID = "5b0f3f0e-3c5d-4e0e-9c39-2f9a6b1d7c10"


FRAMES = {
    "Connected": connected(), "Start": start(), "Media": media(1, 2), "Dtmf": dtmf("5", 3), "Mark": mark("m", 4),
    "Error": json.dumps({"event": "error", "payload": {"code": 100004}}), "Stop": stop(),
}  # fmt: skip
WAY_THERE = {
    State.CONNECTING: [], State.CONNECTED: [connected()], State.STREAMING: [connected(), start()],
    State.STOPPED: [connected(), start(), stop()],
}  # fmt: skip


class TestOrder:
    @pytest.mark.parametrize("state", State)
    @pytest.mark.parametrize("name", FRAMES)
    def test_the_table_is_what_happens(self, state: State, name: str) -> None:
        conversation = Conversation().send(*WAY_THERE[state])
        assert conversation.state is state
        conversation.send(FRAMES[name])
        following = {frame.__name__: then for frame, then in TRANSITIONS[state].items()}.get(name)
        if following is not None:
            assert conversation.state is following
            assert not conversation.rejected
        else:
            reject = WsReject.OUT_OF_ORDER if name == "Connected" else MISPLACED[state]
            assert conversation.state is state
            assert conversation.rejected == {reject: 1}
        assert conversation.close is None, "frames may overtake one another"

    def test_start_of_another_stream(self) -> None:
        conversation = streaming().send(start(OTHER_ID), media(1, 2))
        assert conversation.close is None, "no frame may stop another call"
        assert conversation.rejected == {WsReject.OTHER_STREAM: 1}
        assert conversation.host.calls == ["started", "media"]
        conversation.send(stop(), start(OTHER_ID))
        assert conversation.close is None
        assert conversation.rejected == {WsReject.OTHER_STREAM: 2}

    @pytest.mark.parametrize("stream_id", [None, "", "../../etc/passwd", "a\nb"])
    def test_start_without_a_usable_stream_id(self, stream_id: str | None) -> None:
        conversation = Conversation().send(start(stream_id))
        assert conversation.close is not None
        assert conversation.close[0] == 1002
        assert conversation.host.calls == []

    def test_after_this_side_closes_nothing_is_taken(self) -> None:
        conversation = Conversation().send(start("a/b"), start(), media(1), stop())
        assert conversation.rejected == {WsReject.BAD_FIELD: 1, WsReject.AFTER_CLOSE: 3}
        assert conversation.host.calls == []


class TestStart:
    def test_what_the_host_is_told(self) -> None:
        conversation = Conversation().send(
            connected(connected={"x-telnyx-streaming-auth-token": "tok"}),
            start(STREAM_ID.upper(), body={"from": "+15550100", "tracks": ["inbound"]}),
        )
        (told,) = conversation.host.starts
        assert (told.stream_id, told.encoding) == (STREAM_ID, PCMU)
        assert told.identity == {"stream_id": STREAM_ID, "call_control_id": "v3:q1Zk0aTx", "from": "+15550100"}
        assert told.tracks == (Direction.INBOUND,)
        assert told.handshake.path == "/media?t=1"
        assert "tok" not in repr(told)

    def test_whose_token_is_not_good_is_closed_and_the_host_never_hears_of_it(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        conversation = Conversation(judge=lambda *shown: Verdict.EXPIRED).send(connected(), start(), media(1, 2))
        [said] = [text for text in caplog.messages if "start frame" in text]
        assert said.count("token") == 1, "the reason is said once"
        assert said.endswith("a start frame that is turned away (a token that has expired; closing with 1008)")
        assert conversation.close == (1008, "refused: a token that has expired")
        assert conversation.host.calls == []
        assert conversation.rejected == {WsReject.UNAUTHORIZED: 1, WsReject.AFTER_CLOSE: 1}

    def test_all_tokens_are_judged_and_none_is_kept(self) -> None:
        """Of the connected frame, of the parameters, of the request; for the stream that they are shown for."""
        asked: list[tuple[Any, ...]] = []

        def judge(handshake: Handshake, shown: Sequence[str], stream_id: str) -> Verdict:
            asked.append((*handshake.credentials, *shown, stream_id))
            return Verdict.GOOD

        conversation = Conversation(credentials=("header",), judge=judge).send(
            connected(connected={"x-telnyx-streaming-auth-token": "frame"}),
            start(STREAM_ID.upper(), body={"custom_parameters": {"token": "parameter", "tenant": "t9"}}),
        )
        assert asked == [("header", "frame", "parameter", STREAM_ID)]
        (told,) = conversation.host.starts
        assert told.identity["custom_parameters"] == {"tenant": "t9"}
        assert not any(token in repr(told) for token in ("'header'", "'frame'", "'parameter'"))

    @pytest.mark.parametrize(
        ("media_format", "text"),
        [
            ({"encoding": "AMR-WB", "sample_rate": 16000, "channels": 1}, "encoding 'AMR-WB'"),
            ({"encoding": "L16", "sample_rate": 7999, "channels": 1}, "sample_rate '7999'"),
            ({"encoding": "PCMU", "sample_rate": 16000, "channels": 1}, "sample_rate '16000'"),
            ({"encoding": "PCMU", "sample_rate": 8000, "channels": 2}, "channels 2"),
            ({}, "encoding ''"),
        ],
    )
    def test_unsupported_format(self, media_format: dict[str, Any], text: str) -> None:
        conversation = Conversation().send(start(body={"media_format": media_format}))
        assert conversation.close is not None
        code, reason = conversation.close
        assert code == 1003
        assert reason.startswith(f"{text} not served; use PCMU")
        assert conversation.rejected == {WsReject.UNSUPPORTED_ENCODING: 1}
        assert conversation.host.calls == []

    def test_refusal(self) -> None:
        host = FakeHost()
        host.refusal = StreamRefused(1008, "token " * 40)
        conversation = Conversation(host).send(start())
        assert conversation.close is not None
        assert conversation.close[0] == 1008
        assert len(conversation.close[1].encode()) <= 123
        assert conversation.rejected == {WsReject.REFUSED: 1}
        conversation.connection.closed(1)
        assert host.calls == ["started"]

    @pytest.mark.parametrize(
        ("frame", "detail"),
        [
            (
                start(body={"media_format": {"encoding": "a-codec-of-a-long-name", "sample_rate": 8000}}),
                "encoding 'a-codec-of-a-long-name', sample_rate 8000, channels None not served; closing with 1003",
            ),
            (start("../etc\n"), "stream_id '../etc\\n' not usable; closing with 1002"),
            (start(None), "stream_id None not usable; closing with 1002"),
            (start("x" * 5000), f"stream_id '{'x' * 80}'... not usable; closing with 1002"),
            (start(), "wrong token; closing with 1008"),
        ],
    )
    def test_refusals_are_logged_in_detail_and_once(
        self, frame: str, detail: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        host = FakeHost()
        host.refusal = StreamRefused(1008, "wrong token")
        conversation = Conversation(host).send('{"event":"media"}')  # a BAD_FIELD before must not hide another
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            conversation.send(frame, *[frame] * 20)
        texts = [record.getMessage() for record in caplog.records]
        assert len([text for text in texts if detail in text]) == 1
        assert len(texts) == 2, "and one of AFTER_CLOSE"
        assert "from 192.0.2.1 port 5" in texts[0]
        assert texts[0].isascii()
        assert "\n" not in texts[0]

    def test_reconnect_goes_on_with_the_same_counting(self) -> None:
        host = FakeHost()
        first = Conversation(host).send(start(), media(1, 2), media(2, 3))
        first.connection.closed(0)
        Conversation(host).send(connected(), start(sequence_number=4), media(4, 6), media(3, 5))
        placements = [placement for _, placement, _ in host.streams[STREAM_ID].media]
        assert [p.sequence_number for p in placements] == [1, 2, 4, 3]
        assert [p.timestamp for p in placements] == [0, 160, 480, 320]

    def test_reconnect_with_counters_from_the_beginning(self) -> None:
        host = FakeHost()
        for _ in range(2):
            Conversation(host).send(start(), media(1, 2), media(2, 3)).connection.closed(0)
        placements = [placement for _, placement, _ in host.streams[STREAM_ID].media]
        assert [p.timestamp for p in placements] == [0, 160, 320, 480]
        assert placements[2].sequence_number - placements[1].sequence_number > 3000
        assert [p.generation for p in placements] == [0, 0, 1, 1]

    def test_what_the_first_socket_still_brings_is_of_the_first_counting(self) -> None:
        host = FakeHost()
        first = Conversation(host).send(start(), *(media(n, n + 1) for n in range(1, 10)))
        second = Conversation(host).send(start())
        first.send(media(10, 11))
        second.send(media(1, 2), media(2, 3))
        first.send(media(12, 13), media(11, 12))
        second.send(media(3, 4))
        placements = [placement for _, placement, _ in host.streams[STREAM_ID].media][9:]
        assert [p.generation for p in placements] == [0, 1, 1, 0, 0, 1]
        assert [p.sequence_number for p in placements if not p.generation] == [10, 12, 11]
        timestamps = [p.timestamp for p in placements]
        assert timestamps[0] == 1440
        assert (timestamps[3], timestamps[4]) == (1760, 1600)
        assert timestamps[2] - timestamps[1] == timestamps[5] - timestamps[2] == 160


class TestMedia:
    def test_is_placed_and_handed_on(self) -> None:
        conversation = streaming().send(
            media(1, 2, payload=b"\x01" * 160), media(1, 3, payload=b"\x02" * 80, track="outbound")
        )
        first, second = conversation.host.streams[STREAM_ID].media
        assert (first[0], first[2]) == (Direction.INBOUND, b"\x01" * 160)
        assert (second[0], second[2]) == (Direction.OUTBOUND, b"\x02" * 80)

    @pytest.mark.parametrize("track", ["inbound/outbound", "Inbound", "both_tracks", "", None])
    def test_unknown_tracks_are_not_guessed(self, track: str | None) -> None:
        conversation = streaming().send(media(1, 2, track=track))
        assert conversation.rejected == {WsReject.UNKNOWN_TRACK: 1}
        assert conversation.host.streams[STREAM_ID].media == []

    def test_of_another_stream(self) -> None:
        conversation = streaming().send(media(1, 2, stream_id=OTHER_ID))
        assert conversation.rejected == {WsReject.OTHER_STREAM: 1}

    def test_stream_id_in_other_letters(self) -> None:
        conversation = streaming().send(media(1, 2, stream_id=STREAM_ID.upper()))
        assert not conversation.rejected

    def test_without_stream_id_is_of_the_socket(self) -> None:
        conversation = streaming().send('{"event":"media","media":{"track":"inbound","payload":"//8="}}')
        assert not conversation.rejected

    def test_empty(self) -> None:
        conversation = streaming().send(media(1, 2, payload=b""))
        assert conversation.rejected == {WsReject.EMPTY_PAYLOAD: 1}


class TestEvents:
    def test_go_to_the_host(self) -> None:
        old = {"error": {"title": "rate_limit_reached", "code": "100005"}, "sequence_number": "9"}
        conversation = streaming().send(
            dtmf("5", 2), mark("greeting", 3), json.dumps({"event": "error", "stream_id": STREAM_ID} | old)
        )
        events = conversation.host.streams[STREAM_ID].events
        assert [event["event"] for event in events] == ["dtmf", "mark", "error"]
        assert events[2]["code"] == 100005
        assert conversation.connection.snapshot().accepted == 5

    def test_unknown_ones_are_counted(self) -> None:
        conversation = Conversation().send('{"event":"weather"}')
        conversation.send(connected(), start(), '{"event":"weather","sequence_number":"2"}')
        assert conversation.rejected == {WsReject.UNKNOWN_EVENT: 2}
        assert conversation.host.streams[STREAM_ID].events == []

    def test_use_up_sequence_numbers(self) -> None:
        conversation = streaming().send(media(None, 2), dtmf("5", 3), '{"event":"x","sequence_number":4}')
        conversation.send(media(None, 5))
        placements = [placement for _, placement, _ in conversation.host.streams[STREAM_ID].media]
        assert placements[1].sequence_number - placements[0].sequence_number == 1


class TestEncodings:
    @pytest.mark.parametrize(
        ("encoding", "rate_hz", "payloads", "timestamps"),
        [
            ("L16", 16000, [b"\x01\x00" * 320, b"\x01\x00" * 160, b"\x00\x00"], [0, 320, 480]),
            ("G722", 8000, [b"\x01" * 160, b"\x01" * 80, b"\x00"], [0, 320, 480]),
            ("OPUS", 16000, [b"\x48ab", b"\x40ab", b"\x48"], [0, 320, 480]),
        ],
    )
    def test_durations_are_those_of_the_encoding(
        self, encoding: str, rate_hz: int, payloads: list[bytes], timestamps: list[int]
    ) -> None:
        media_format = {"encoding": encoding, "sample_rate": rate_hz, "channels": 1}
        conversation = Conversation().send(start(body={"media_format": media_format}))
        for i, payload in enumerate(payloads):
            conversation.send(media(i + 1, i + 2, payload=payload))
        (stream,) = conversation.host.streams.values()
        assert [placement.timestamp for _, placement, _ in stream.media] == timestamps

    @pytest.mark.parametrize(
        ("encoding", "payload"), [("L16", b"\x00" * 321), ("OPUS", b"\x03"), ("OPUS", b"\xff\x3f")]
    )
    def test_what_cannot_be_decoded_is_not_taken(self, encoding: str, payload: bytes) -> None:
        media_format = {"encoding": encoding, "sample_rate": 16000, "channels": 1}
        conversation = Conversation().send(start(body={"media_format": media_format}), media(1, 2, payload=payload))
        assert conversation.rejected == {WsReject.UNDECODABLE: 1}
        assert conversation.close is None

    @pytest.mark.parametrize("is_big", [False, True])
    def test_byte_order_is_configured(self, is_big: bool) -> None:
        media_format = {"encoding": "L16", "sample_rate": 16000, "channels": 1}
        conversation = Conversation(l16_is_big_endian=is_big).send(start(body={"media_format": media_format}))
        assert conversation.host.starts[0].encoding == Encoding("L16", 16000, big_endian=is_big)
