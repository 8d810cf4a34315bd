"""The express lane takes nothing otherwise than the normal way: the same bytes give the same calls to the engine."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.ws.express import seat
from media.ws.express.layout import find_layout
from media.ws.messages import Media, parse
from tests.ws.fakes import dtmf, mark, media, stop
from tests.ws.sockets import Session, frame_of, framed, without_loop


@st.composite
def scripts(draw: st.DrawFn) -> list[bytes | str]:  # noqa: C901
    """Return steady streams, disturbed now and then, long enough for timestamps to be believed."""
    step = draw(st.sampled_from([None, 20, 160]))
    is_shared, both = draw(st.booleans()), draw(st.booleans())
    chunks, sequence = [draw(st.sampled_from([1, 85, 985]))] * 2, draw(st.sampled_from([2, 80, 9_900]))
    if both and draw(st.booleans()):
        chunks[1] += 950
    times, script = [0, draw(st.sampled_from([0, 9_500]))], list[bytes | str]()
    for i in range(draw(st.integers(20, 90))):
        direction = i % 2 if both else 0
        told = None if step is None else times[direction]
        data = frame_of(direction, chunks[direction], sequence, told, 160, i)
        odd = draw(st.integers(0, 40))
        if odd == 1:  # lost
            data = b""
        elif odd == 2:  # twice
            script.append(data)
        elif odd == 3 and script:  # overtaken
            data, script[-1:] = (script[-1] if isinstance(script[-1], bytes) else b""), [data]
        elif odd == 4:
            script.append(
                framed(draw(st.sampled_from([mark("m", sequence), dtmf("5", sequence), "{", '{"event":"x"}'])))
            )
        elif odd == 5:
            script.append(framed(b"ping", first=0x89))
        elif odd == 6 and data:  # in two pieces
            script.append(data[:100])
            data = data[100:]
        elif odd == 7:  # a byte of it changed
            at = draw(st.integers(8, len(data) - 1))
            data = data[:at] + bytes((data[at] ^ draw(st.integers(1, 127)),)) + data[at + 1 :]
        elif odd == 8:
            data = frame_of(direction, chunks[direction], sequence, told, draw(st.sampled_from([80, 161, 240])), i)
        elif odd == 9:
            script.append("reconnect")
        elif odd == 10:
            chunks[direction] += draw(st.sampled_from([50, 5000]))
        elif odd == 11:
            times[direction] += 55
        elif odd >= 36 and script and isinstance(script[-1], bytes):  # in one segment with the one before
            data = script[-1] + data
            del script[-1]
        if data:
            script.append(data)
        if odd in (12, 13, 14, 15, 16):
            script.append("beat")
        sequence += 1
        if is_shared:
            chunks = [max(chunks) + 1] * 2
        else:
            chunks[direction] += 1
        times[direction] += step or 0
    if draw(st.booleans()):
        script.append(framed(stop(sequence)))
    return script


@pytest.fixture(autouse=True)
def _loop(monkeypatch: pytest.MonkeyPatch) -> None:
    without_loop(monkeypatch)


@settings(deadline=None)
@given(scripts())
def test_the_same_bytes_give_the_same_calls(script: list[bytes | str]) -> None:
    express, plain = Session(has_lane=True).play(script), Session(has_lane=False).play(script)
    assert express.outcome() == plain.outcome()
    assert plain.host.in_columns == 0


@pytest.mark.parametrize("step", [None, 20, 160])
def test_a_steady_stream_is_taken_in_columns(step: int | None) -> None:
    session = Session(has_lane=True)
    for i in range(200):
        for direction in (0, 1):
            told = None if step is None else step * i
            session.feed(frame_of(direction, i + 1, 2 * i + direction, told, 160, i))
        if i % 3 == 0:
            session.sweep()
    session.play([])
    assert session.host.in_columns > 320
    assert session.desk.snapshot().accepted == 402


def test_texts_of_one_length_with_more_audio_on_one_track() -> None:
    def frames(i: int) -> tuple[bytes, bytes]:
        return (
            frame_of(0, 1_000_000 + i, 1000 + 2 * i, None, 160, i),
            frame_of(1, 10 + i, 1001 + 2 * i, None, 163, i),
        )

    assert len({len(frame) for frame in frames(0)}) == 1
    session = Session(has_lane=True)
    for i in range(20):
        for frame in frames(i):
            session.feed(frame)
    session.sweep()
    before = session.host.in_columns
    session.feed(frames(20)[1])
    session.sweep()
    assert session.host.in_columns == before + 1
    assert session.desk.snapshot().failed == 0


def test_what_cannot_be_foreseen_is_seldom_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bytes] = []

    def look(text: bytes, *arguments: Any) -> None:
        looks.append(text)

    monkeypatch.setattr(seat, "find_layout", look)
    session = Session(has_lane=True)
    for i in range(1000):
        session.feed(frame_of(0, i + 1, i, 20 * i, 160, i))
    assert session.host.in_columns == 0
    assert 0 < len(looks) <= 10


class TestLayout:
    def layout_of(self, text: str) -> Any:
        frame = parse(text)
        assert isinstance(frame, Media)
        return find_layout(text.encode(), frame, parse)

    def test_found(self) -> None:
        assert self.layout_of(media(5, 6, timestamp=70)).samples == 160

    def test_a_name_within_another_object_is_not_taken_for_the_field(self) -> None:
        text = media(5, 6).replace('"track"', '"x": {"timestamp": "9"}, "track"')
        assert self.layout_of(text) is None
