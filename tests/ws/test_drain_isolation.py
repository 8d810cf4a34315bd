"""What goes wrong with one socket costs that socket, and no other that is read with it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from media.ws.closing import Close
from media.ws.express.reading import Bytes, Mask, Reader
from strep.frames import FrameBatch
from strep.header import Direction
from tests.ws.fakes import STREAM_ID, media
from tests.ws.sockets import Session, frame_of, framed, without_loop

A, B = 0, 1
"""Two sockets; A sends inbound and B outbound, so that it is known who was heard."""
IDS = STREAM_ID, "b"


@pytest.fixture(autouse=True)
def _loop(monkeypatch: pytest.MonkeyPatch) -> None:
    without_loop(monkeypatch)


def frame(which: int, i: int, samples: int = 160) -> bytes:
    return frame_of(which, i + 1, i + 2, 20 * i, samples, i, IDS[which])


@pytest.fixture
def both() -> Session:
    """Return a session whose sockets A and B ride, 30 frames heard of each."""
    session = Session(has_lane=True)
    session.connect(IDS[B])
    for which in (A, B):
        for i in range(30):
            session.feed(frame(which, i), which)
    session.desk.drain.beat()
    assert all(transport.is_paused for transport in session.transports)
    return session


def heard(session: Session, which: int) -> int:
    return len(session.host.heard[Direction(which)])


def fail(*_: Any) -> None:
    raise RuntimeError("a mistake of ours")


def disturb_b(session: Session) -> bytes:
    """Let one and a half frames of B come; return the other half."""
    last = frame(B, 31)
    session.feed(frame(B, 30) + last[:200], B)
    return last[200:]


def assert_b_goes_on(session: Session, other_half: bytes) -> None:
    in_columns = session.host.in_columns
    assert heard(session, B) == 31
    assert session.transports[B].is_paused
    assert session.desk.drain._timer is not None
    session.feed(other_half, B)
    session.desk.drain.beat()
    assert heard(session, B) == 32
    assert session.host.in_columns == in_columns + 1


@pytest.mark.parametrize("error", [OSError(107, "not connected"), RuntimeError("a mistake of ours")])
def test_a_socket_that_cannot_be_closed(both: Session, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def write_eof() -> None:
        raise error

    monkeypatch.setattr(both.transports[A], "write_eof", write_eof)
    both.feed(framed((1000).to_bytes(2, "big"), first=0x88), A)
    other_half = disturb_b(both)
    both.desk.drain.beat()
    assert not both.transports[A].is_paused
    assert_b_goes_on(both, other_half)


def test_a_peer_that_reads_no_pongs(both: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of its frames must not come before those of the next one that has its row."""
    monkeypatch.setattr(both.transports[A], "get_write_buffer_size", lambda: 1 << 20)
    ping = framed(b"ping", first=0x89)
    both.feed(ping + ping[:5], A)
    other_half = disturb_b(both)
    both.desk.drain.beat()
    assert both.sockets[A].first_close.code == 1008
    assert len(both.desk.drain._rests) == 1
    assert_b_goes_on(both, other_half)


@pytest.mark.parametrize("where", ["leave", "look"])
def test_a_seat_that_fails(both: Session, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setattr(both.sockets[A]._seat, where, fail)
    both.feed(frame(A, 40), A)
    other_half = disturb_b(both)
    both.desk.drain.beat()
    both.sockets[A].wake_up()
    assert_b_goes_on(both, other_half)


def test_a_connection_that_fails_is_closed_and_counted(both: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(both.sockets[A].connection, "receive_text", fail)
    both.feed(frame(A, 40), A)
    both.desk.drain.beat()
    assert both.sockets[A].first_close == Close(1011, "internal error")
    assert both.desk.snapshot().failed == 1


def test_frames_that_the_host_cannot_take(both: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[FrameBatch] = []
    monkeypatch.setattr(both.desk.lane, "_deliver", fail)
    both.feed(frame(A, 30), A)
    rest = frame(B, 30)
    both.feed(rest[:100], B)
    both.desk.drain.beat()
    monkeypatch.setattr(both.desk.lane, "_deliver", taken.append)
    both.feed(rest[100:], B)
    both.desk.drain.beat()
    assert sum(len(frames) for frames in taken) == 1
    assert both.desk.snapshot().failed == 1


def test_counters_that_no_column_holds(both: Session) -> None:
    """A field that is not ASCII keeps the text from being looked at, but not its numbers from being expected."""
    for i in range(80):
        i = min(i, 39)  # and then the last one again and again
        text = json.loads(media(2**63 - 40 + i, 32 + i))
        both.feed(framed(json.dumps(text | {"x": "\u00e9"}, ensure_ascii=False)), A)
        both.desk.drain.beat()
    assert both.desk.snapshot().failed == 0
    assert heard(both, A) == 110


def test_a_connection_whose_seat_fails_at_the_end_leaves_nothing_behind(
    both: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its descriptor may be another socket's the next moment, its rows another connection's."""
    seat = both.sockets[A]._seat
    assert seat is not None
    monkeypatch.setattr(seat, "_settle", fail)
    both.feed(frame(A, 30)[:100], A)
    both.desk.drain.beat()
    both.sockets[A].connection_lost(None)
    assert both.host.calls.count("detached") == 1
    assert both.sockets[A] not in both.desk.open
    assert seat.row not in both.desk.drain._riders
    assert both.desk.drain._rests == {}
    assert both.desk.lane is not None
    assert both.desk.lane.board(both.sockets[A]) == seat.row


def test_a_peer_that_escapes_slashes(both: Session) -> None:
    """Base64 in JSON as PHP writes it is a character longer for every slash."""
    for i in range(30, 50):
        text = media(i + 1, i + 2, payload=b"\xff" * 160, timestamp=20 * i).replace("/", r"\/", 1)
        both.feed(framed(text), A)
        both.feed(frame(B, i), B)
        in_columns = both.host.in_columns
        both.desk.drain.beat()
        assert both.host.in_columns == in_columns + 1
    assert (heard(both, A), heard(both, B)) == (50, 50)
    assert both.desk.snapshot().failed == 0


def test_a_layout_that_fails(both: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def payloads(reader: Reader, texts: Bytes) -> tuple[Bytes, Mask]:
        if b"inbound" in texts[0].tobytes():
            raise RuntimeError("a mistake of ours")
        return before(reader, texts)

    before = Reader.payloads
    monkeypatch.setattr(Reader, "payloads", payloads)
    in_columns = both.host.in_columns
    both.feed(frame(A, 30), A)
    both.feed(frame(B, 30), B)
    both.desk.drain.beat()
    assert (heard(both, A), heard(both, B)) == (31, 31)
    assert both.host.in_columns == in_columns + 1
    assert both.desk.snapshot().failed == 1


def test_a_connection_that_does_not_end_does_not_keep_the_server(both: Session) -> None:
    both.desk.options = replace(both.desk.options, close_timeout_s=0.0)
    asyncio.run(both.desk.close())
    assert [socket.first_close for socket in both.sockets] == [Close(1001, "server stopping")] * 2
