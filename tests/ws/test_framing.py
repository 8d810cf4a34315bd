"""Frames in any pieces give what the protocol of `websockets` makes of them whole (RFC 6455 section 5)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from media.ws.closing import Close
from media.ws.framing import Framing, Message, serialize

MOST = 1000
TEXT, BINARY, CONT, PING, PONG, CLOSE = (
    Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING, Opcode.PONG, Opcode.CLOSE,
)  # fmt: skip


def masked(opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


def open_framing() -> Framing:
    return Framing(ServerProtocol(state=OPEN, max_size=MOST), MOST)


def through(framing: Framing, pieces: Iterable[bytes]) -> tuple[list[Message], bytes]:
    messages, output = list[Message](), b""
    for piece in pieces:
        text = framing.lone_text(piece)
        messages += framing.receive(piece) if text is None else [text.decode()]
        output += b"".join(framing.take_output())
    return messages, output


def split(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    return [data[a:b] for a, b in pairwise(sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)}))]


FRAMES = st.one_of(
    st.builds(masked, st.just(TEXT), st.text(max_size=400).map(str.encode)),
    st.builds(masked, st.just(TEXT), st.binary(max_size=20)),
    st.builds(masked, st.sampled_from([TEXT, BINARY, CONT]), st.binary(max_size=700), fin=st.booleans()),
    st.builds(masked, st.sampled_from([PING, PONG]), st.binary(max_size=125)),
    st.builds(masked, st.just(CLOSE), st.sampled_from([b"", b"\x03\xe8", b"\x03\xe8bye", b"\x00\x00"])),
    st.binary(max_size=20),
)


@given(st.lists(FRAMES, max_size=12), st.lists(st.integers(0, 10_000), max_size=30))
def test_pieces_are_as_good_as_the_protocol_of_websockets(frames: list[bytes], cuts: list[int]) -> None:
    data = b"".join(frames)
    framing, protocol = open_framing(), ServerProtocol(state=OPEN, max_size=MOST)
    messages, output = through(framing, split(data, cuts))
    protocol.receive_data(data)
    expected = assembled(protocol)
    assert messages == expected[: len(messages)]
    if framing.first_close.code != 1007:
        assert messages == expected
        assert output == b"".join(protocol.data_to_send())
        assert framing.is_open == (protocol.state is OPEN)
    else:  # of UTF-8 the sans-I/O protocol knows nothing
        assert isinstance(expected[len(messages)], UnicodeDecodeError)


def assembled(protocol: ServerProtocol) -> list[Message | UnicodeDecodeError]:
    """Return whole messages, or why one is none."""
    messages: list[Message | UnicodeDecodeError] = []
    opcode, parts = None, b""
    for frame in protocol.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode in (TEXT, BINARY):
            opcode, parts = frame.opcode, b""
        if frame.opcode in (TEXT, BINARY, CONT):
            parts += frame.data
            if frame.fin:
                try:
                    messages.append(parts.decode() if opcode is TEXT else parts)
                except UnicodeDecodeError as error:
                    messages.append(error)
    return messages


@pytest.mark.parametrize("length", [0, 1, 125, 126, 999, 1000])
@pytest.mark.parametrize("cut", [1, 2, 3, 5, 7, 9, 100])
def test_lengths(length: int, cut: int) -> None:
    text = "ä" * (length // 2) + "x" * (length % 2)
    data = masked(TEXT, text.encode()) * 3
    assert through(open_framing(), [data]) == ([text] * 3, b"")
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    assert through(open_framing(), pieces) == ([text] * 3, b"")


def test_what_is_sent_is_read_back() -> None:
    for length in (0, 125, 126, 65535, 65536):
        payload = b"x" * length
        assert serialize("x" * length) == Frame(TEXT, payload).serialize(mask=False)
        assert serialize(payload) == Frame(BINARY, payload).serialize(mask=False)
    assert serialize("ä") == Frame(TEXT, "ä".encode()).serialize(mask=False)


@pytest.mark.parametrize(
    "head",
    [
        bytes((0x81, 0xFE)) + (MOST + 1).to_bytes(2, "big"),
        bytes((0x81, 0xFF)) + (1 << 16).to_bytes(8, "big"),
        bytes((0x81, 0xFF)) + (1 << 40).to_bytes(8, "big"),
    ],
)
def test_a_length_beyond_the_limit_is_refused_by_its_head(head: bytes) -> None:
    framing = open_framing()
    assert through(framing, [head[:-1]]) == ([], b"")
    _, output = through(framing, [head[-1:]])
    assert output[2:4] == (1009).to_bytes(2, "big")
    assert framing.first_close.code == 1009


def test_fragments_beyond_the_limit_are_refused() -> None:
    framing = open_framing()
    pieces = [masked(TEXT, b"x" * 600, fin=False), masked(CONT, b"x" * 600, fin=False)]
    assert through(framing, pieces)[0] == []
    assert framing.first_close.code == 1009


def test_a_million_empty_fragments_take_no_memory() -> None:
    framing = open_framing()
    fragment = masked(CONT, fin=False)
    framing.receive(masked(TEXT, b"a", fin=False))
    for _ in range(100):
        assert framing.receive(fragment * 100) == []
    assert framing.receive(masked(CONT, b"b")) == ["ab"]


def test_text_between_fragments_is_a_violation() -> None:
    framing = open_framing()
    assert through(framing, [masked(TEXT, b"a", fin=False), masked(TEXT, b"b" * 200)])[0] == []
    assert framing.first_close.code == 1002


@pytest.mark.parametrize("fin", [True, False])
def test_text_that_is_not_utf8(fin: bool) -> None:
    framing = open_framing()
    pieces = [masked(TEXT, b"\xc3", fin=fin), masked(CONT, b"x")]
    assert through(framing, pieces[: 2 - fin])[0] == []
    assert framing.first_close.code == 1007


def test_a_character_may_be_cut_by_fragments() -> None:
    assert through(open_framing(), [masked(TEXT, b"\xc3", fin=False), masked(CONT, b"\xa4")])[0] == ["ä"]


class TestClosing:
    def test_the_peer_closes(self) -> None:
        framing = open_framing()
        messages, output = through(framing, [masked(TEXT, b"a") + masked(CLOSE, b"\x03\xe9bye") + masked(TEXT, b"b")])
        assert messages == ["a"]
        assert output == Frame(CLOSE, b"\x03\xe9bye").serialize(mask=False)
        assert framing.first_close == Close(1001, "bye")

    def test_this_side_closes(self) -> None:
        framing = open_framing()
        framing.receive(masked(TEXT, b"x" * 200)[:100])
        framing.close(Close(1000, "enough"))
        framing.close(Close(1011, "too late"))
        assert framing.take_output() == [Frame(CLOSE, b"\x03\xe8enough").serialize(mask=False)]
        assert framing.take_output() == []
        assert framing.receive(masked(TEXT, b"x" * 200)[100:]) == []
        assert framing.receive(masked(TEXT, b"late") + masked(CLOSE, b"\x03\xe8")) == []
        assert framing.take_output() == [b""], "half-close: both sides have said it"
        assert framing.first_close == Close(1000, "enough")

    def test_nobody_does(self) -> None:
        framing = open_framing()
        framing.receive_eof()
        assert framing.first_close == Close(1006, "")


def test_pings_are_answered_and_pongs_kept() -> None:
    framing = open_framing()
    framing.ping(b"1")
    assert framing.take_output() == [Frame(PING, b"1").serialize(mask=False)]
    assert through(framing, [masked(PONG, b"1") + masked(PING, b"p")]) == (
        [],
        Frame(PONG, b"p").serialize(mask=False),
    )
    assert framing.pong == b"1"
