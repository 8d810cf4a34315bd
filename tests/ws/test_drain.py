"""Sockets are read on a clock while their frames are foreseen, and by their transports otherwise."""

from __future__ import annotations

import pytest

from media.ws.closing import Close
from media.ws.drain import READ_EVERY_MS
from media.ws.express import reading
from media.ws.express.reading import Bytes, Int64
from strep.clock import NS_PER_MS
from strep.header import Direction
from tests.ws.fakes import STREAM_ID, mark
from tests.ws.sockets import Session, Transport, frame_of, framed, without_loop


@pytest.fixture(autouse=True)
def _loop(monkeypatch: pytest.MonkeyPatch) -> None:
    without_loop(monkeypatch)


@pytest.fixture
def riding() -> Session:
    session = Session(has_lane=True)
    for i in range(30):
        session.feed(frame_of(0, i + 1, i, 20 * i, 160, i))
    session.sweep()
    assert transport_of(session).is_paused
    return session


def transport_of(session: Session) -> Transport:
    return session.transports[-1]


def heard(session: Session) -> list[int]:
    return [placement.sequence_number for placement, _, _ in session.host.heard[Direction.INBOUND]]


@pytest.mark.parametrize("patience_ms", [0, READ_EVERY_MS, 2 * READ_EVERY_MS - 1])
def test_where_somebody_is_in_a_hurry_no_transport_pauses(patience_ms: float) -> None:
    session = Session(has_lane=True, patience_ms=patience_ms)
    for i in range(60):
        session.feed(frame_of(0, i + 1, i, 20 * i, 160, i))
    assert not transport_of(session).is_paused
    assert heard(session) == list(range(1, 61))


def test_frames_wait_for_the_sweep(riding: Session) -> None:
    riding.feed(frame_of(0, 31, 30, 600, 160, 0))
    assert heard(riding) == list(range(1, 31))
    riding.sweep()
    assert heard(riding) == list(range(1, 32))


def test_a_frame_that_comes_in_pieces_is_taken_whole(riding: Session) -> None:
    before = riding.host.in_columns
    frame = frame_of(0, 31, 30, 600, 160, 0)
    for piece in (frame[:3], frame[3:200], frame[200:]):
        riding.feed(piece)
        riding.sweep()
    assert riding.host.in_columns == before + 1
    assert heard(riding) == list(range(1, 32))


def test_frames_of_one_sweep_came_evenly_since_the_last(riding: Session) -> None:
    for i in (30, 31):
        riding.feed(frame_of(0, i + 1, i, 20 * i, 160, i))
    riding.sweep()
    now_ns = riding.clock.now_ns()
    arrivals = [arrival_ns for _, _, arrival_ns in riding.host.heard[Direction.INBOUND]][-2:]
    assert arrivals == [now_ns - READ_EVERY_MS * NS_PER_MS // 2, now_ns]


def test_the_rest_of_an_odd_frame_is_not_taken_for_frames(riding: Session) -> None:
    """Masked, the mark's name looks like pings."""
    odd = framed(mark("a" * 60, 32), key=bytes((0xE8, 0xE4, 0, 0)))
    at = odd.index(bytes((0x89, 0x85)))
    for piece in (odd[:at], odd[at:]):
        riding.feed(piece)
        riding.sweep()
    assert transport_of(riding).written == []
    assert [event["name"] for event in riding.host.streams[STREAM_ID].events] == ["a" * 60]


def test_a_peer_that_closes_wakes_the_transport(riding: Session) -> None:
    riding.feed(frame_of(0, 31, 30, 600, 160, 0))
    transport_of(riding).there.close()
    riding.sweep()
    riding.desk.drain.sweep()
    assert not transport_of(riding).is_paused
    assert heard(riding) == list(range(1, 32))


def test_our_closing_wakes_the_transport(riding: Session) -> None:
    riding.socket.connection.close(Close(1001, "server stopping"))
    assert not transport_of(riding).is_paused


def test_when_nobody_sends_the_transports_wake_up(riding: Session) -> None:
    for _ in range(100):
        riding.desk.drain.beat()
    assert not transport_of(riding).is_paused
    riding.feed(frame_of(0, 31, 30, 600, 160, 0))
    assert heard(riding) == list(range(1, 32))


def test_a_socket_that_breaks_is_not_read_again(riding: Session) -> None:
    riding.socket.connection_lost(None)
    transport_of(riding).close()
    riding.desk.drain.sweep()


@pytest.mark.parametrize("between", [0, 1])
def test_malformed_messages_in_a_row(riding: Session, between: int) -> None:
    """Not if frames came between that were taken in columns; to look at the counters is no such frame."""
    for i in range(300):
        for chunk in range(between * i, between * (i + 1)):
            riding.feed(frame_of(0, chunk + 31, chunk + 30, 20 * (chunk + 30), 160, 0))
        riding.feed(framed("{"))
        riding.sweep()
        if not between:
            riding.socket.settle()
    assert riding.host.in_columns >= 250 * between
    assert riding.socket.connection.is_open == bool(between)


def test_a_flood_of_pings_is_one_look(riding: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def heads(data: Bytes, positions: Int64) -> Int64:
        looks.append(len(positions))
        return before(data, positions)

    looks, before, in_columns = list[int](), reading.heads, riding.host.in_columns
    monkeypatch.setattr("media.ws.express.splitting.heads", heads)
    ping = framed(b"", first=0x89)
    riding.feed(ping * 1000 + frame_of(0, 31, 30, 600, 160, 0) + ping + ping[:3])
    riding.sweep()
    assert len(looks) == 3
    assert riding.host.in_columns == in_columns + 1
    assert len(transport_of(riding).written) == 1001
    riding.feed(ping[3:])
    riding.sweep()
    assert len(transport_of(riding).written) == 1002


@pytest.mark.parametrize(("turns", "is_paused"), [(7, True), (8, False)])
def test_a_backlog_wakes_the_transport(riding: Session, turns: int, is_paused: bool) -> None:
    chunks = iter(range(31, 1000))
    for _ in range(turns):
        for _, chunk in zip(range(50), chunks, strict=False):
            riding.feed(frame_of(0, chunk, chunk - 1, 20 * (chunk - 1), 160, 0))
        riding.desk.drain.sweep()
    assert transport_of(riding).is_paused == is_paused
    for _ in range(5):
        riding.sweep()
    assert heard(riding) == list(range(1, next(chunks)))
