"""What was heard, as lines: from packets on the wire to the file beside the recording."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from benchmarks.hearing_corpus import Keys, key_line
from media.blocks import PcmBatch
from media.doors.rtp import RtpDoor
from media.engine import Engine
from media.sinks.hearing import HearingSink
from media.sinks.queue import CallStarted, Item
from media.talk.keypad import key_tones
from strep import rtp
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import collect
from strep.g711 import Codec, encode
from strep.header import Direction
from strep.rtp import RtpPacket
from strep.table import TimelineSettings
from strep.timeline import Timeline
from tests.hearing.audio import row_batch, silence, tones
from tests.media.test_serve import ENVIRONMENT, serving
from tests.media.world import BEGINNING_NS, HERE
from tests.sinks.rows import call_info, call_report

FRAME = 160


class Straight:
    """An outlet without a queue."""

    def __init__(self, sink: HearingSink) -> None:
        self.sink = sink

    def put(self, item: Item) -> None:
        if isinstance(item, CallStarted):
            self.sink.call_started(item.call)
        elif isinstance(item, PcmBatch):
            self.sink.receive(item)
        else:
            self.sink.call_ended(item.call, item.report)


class Line:
    """One call on an RTP port, heard by a sink."""

    def __init__(self, directory: Path | None, *kinds: str, block_ms: int = 20) -> None:
        self.clock, self.directory = ManualClock(BEGINNING_NS), directory
        self.sink = HearingSink(kinds or ("dtmf",), directory, self.clock)
        timeline = Timeline(TimelineSettings(block_ms=block_ms))
        outlets = [Straight(self.sink)]
        self.engine = Engine(timeline, self.clock, outlets, idle_timeout_ns=30 * NS_PER_SECOND, max_tracks=9)
        self.door = RtpDoor("tap", self.engine)
        self.number = 0

    def send(
        self, payload: bytes, payload_type: int = 0, timestamp: int | None = None, *, lost: bool = False
    ) -> None:
        at = self.number * FRAME if timestamp is None else timestamp
        packet = rtp.serialize(RtpPacket(payload_type, self.number, at, 7, payload))
        if not lost:
            now_ns = self.clock.now_ns()
            self.door.receive(collect([(packet, now_ns, HERE)]), Direction.INBOUND, now_ns)
        self.number += 1
        self.engine.poll(self.clock.advance(20 * NS_PER_MS))

    def say(self, pcm: np.ndarray[Any, Any], lost: frozenset[int] | set[int] = frozenset()) -> None:
        code = encode(pcm.astype(np.int16), Codec.PCMU)
        for i in range(len(code) // FRAME):
            self.send(code[i * FRAME : (i + 1) * FRAME].tobytes(), lost=i in lost)

    def press(self, code: int, packets: int = 5) -> None:
        """Hold a key, as telephone-event packets (RFC 4733) in place of the audio."""
        begin = self.number * FRAME
        for i in range(packets + 2):
            held, ends = min(i + 1, packets), 0x80 * (i >= packets - 1)
            self.send(bytes([code, ends, *(held * FRAME).to_bytes(2, "big")]), 101, begin)

    def lines(self) -> list[dict[str, Any]]:
        """End the call; return what is in its file."""
        self.engine.end_all("shutdown")
        assert self.directory is not None
        return [json.loads(line) for path in self.directory.glob("*") for line in path.read_text().splitlines()]


def test_digits_over_a_network_that_loses_packets(tmp_path: Path) -> None:
    """The timeline tells what is lost, so that no tone is cut in two by it."""
    random = np.random.default_rng(4)
    made = key_line(Keys(100, 100), 30, random)
    packets = len(made.pcm) // FRAME
    lost = set(np.flatnonzero(random.random(packets) < 0.05).tolist())
    line = Line(tmp_path)
    line.say(made.pcm, lost)
    assert len(lost) > 10
    events = line.lines()
    assert "".join(event["digit"] for event in events) == "".join(press.digit for press in made.presses)
    assert {(event["event"], event["source"], event["track"]) for event in events} == {("dtmf", "inband", "inbound")}
    for event, press in zip(events, made.presses, strict=True):
        assert event["position_ms"] == pytest.approx(press.start / 8, abs=25)
        assert event["duration_ms"] == pytest.approx(100, abs=30)
    assert line.sink.snapshot() == {"events": 30, "failed": 0}


def test_a_digit_is_reported_once_whichever_ways_it_came(tmp_path: Path) -> None:
    """5 as tones and as packets a little later, 6 as packets only, 7 as tones only."""
    line = Line(tmp_path)
    line.say(np.concatenate([silence(0.5), tones(0.1, 770, 1336), silence(0.1)]))
    line.press(5)
    line.say(silence(2.0))
    line.press(6)
    line.say(np.concatenate([silence(0.5), tones(0.1, 852, 1209), silence(0.5)]))
    events = [(event["digit"], event["source"], event["position_ms"]) for event in line.lines()]
    assert events == [
        ("5", "inband", pytest.approx(500, abs=10)),
        ("7", "inband", pytest.approx(3480, abs=10)),
        ("6", "rfc4733", pytest.approx(2840, abs=25)),
    ]


def test_all_kinds_and_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "strep.events")
    line = Line(tmp_path, "dtmf", "voice", "tones", block_ms=100)
    syllables = 1 + 0.7 * np.sin(np.arange(8000) / 8000 * 2 * np.pi * 5)
    noise = np.random.default_rng(1).normal(0, 1500, 8000) * syllables
    line.say(np.concatenate([silence(1), noise, silence(1), tones(0.5, 1100), silence(1)]))
    assert [event["event"] for event in line.lines()] == ["speech_started", "speech_ended", "tone"]
    [record] = caplog.records
    assert (record.levelname, getattr(record, "event"), getattr(record, "kind")) == ("INFO", "tone", "cng")  # noqa: B009


def test_without_a_directory_only_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "strep.events")
    line = Line(None)
    line.say(np.concatenate([silence(0.5), tones(0.1, 770, 1336), silence(0.5)]))
    assert [getattr(record, "digit") for record in caplog.records] == ["5"]  # noqa: B009


def test_what_cannot_be_written_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = Line(tmp_path / "gone")
    line.say(np.concatenate([silence(0.5), tones(0.1, 770, 1336), silence(0.5)]))
    assert line.sink.snapshot() == {"events": 1, "failed": 1}
    assert "are not written" in caplog.text


def test_frames_of_a_media_stream(tmp_path: Path) -> None:
    """They say neither track nor duration, and are merged with what was heard."""
    sink = HearingSink(("dtmf",), tmp_path, ManualClock(BEGINNING_NS))
    call, report = call_info(3), call_report(8000)
    frame = {"event": "dtmf", "digit": "1", "sequence_number": 5, "position_samples": 2400}
    report.events = [frame, {"event": "mark"}, frame | {"digit": "2"}, {"event": "dtmf"}]
    sink.call_started(call)
    pcm = np.concatenate([silence(0.1), tones(0.1, 697, 1209), silence(0.1)]).astype(np.int16)
    for start in range(0, 2400, 160):
        sink.receive(row_batch([pcm[start : start + 160]], [3], [start]))
    sink.receive(row_batch([pcm[:160]], [3], [0], late=True))
    sink.call_ended(call, report)
    sink.close()
    lines = [json.loads(line) for line in (tmp_path / "call-3.events.jsonl").read_text().splitlines()]
    assert [(line["digit"], line["source"]) for line in lines] == [("1", "inband"), ("2", "ws")]
    assert lines[1] == {"event": "dtmf", "call_id": "call-3", "digit": "2", "source": "ws", "position_ms": 300}


def test_a_rate_that_cannot_be_heard_is_said(caplog: pytest.LogCaptureFixture) -> None:
    sink = HearingSink(("dtmf",), None, ManualClock(BEGINNING_NS))
    call = call_info(0)
    call.sample_rate_hz = 11_025
    sink.call_started(call)
    assert "11025 Hz" in caplog.text
    sink.receive(row_batch([np.zeros(220, np.int16)], [0], [0], rate_hz=11_025))
    sink.call_ended(call, call_report(0))


@pytest.mark.realtime
def test_serve_detects(tmp_path: Path) -> None:
    """As two processes, to a caller whose telephone makes tones."""
    keys, recordings = tmp_path / "keys.wav", tmp_path / "recordings"
    soundfile.write(keys, key_tones("2580#", 60, 60, 8000), 8000)
    with serving("--ws", "127.0.0.1:0", "--record", str(recordings), "--detect", "dtmf,tones") as (
        process,
        addresses,
    ):
        where = ["--ws", f"ws://{addresses['ws']}/", "--ws-track", "inbound"]
        command = [sys.executable, "-m", "media.cli", "simulate", *where, "--seconds", "2", "--say", f"0.5:{keys}"]
        subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True, timeout=60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    [path] = recordings.glob("*.events.jsonl")
    assert path.with_name(path.name.replace(".events.jsonl", ".wav")).exists(), "beside the recording"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(event["event"], event["digit"]) for event in events] == [("dtmf", digit) for digit in "2580#"]
    assert np.diff([event["position_ms"] for event in events]) == pytest.approx([120] * 4, abs=5)
