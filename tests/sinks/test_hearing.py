"""What was heard, as lines: from packets on the wire to the file beside the recording."""

from __future__ import annotations

import dataclasses
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
from media.events.bus import EventBus
from media.events.calls import event_of_carrier
from media.events.files import EventFiles
from media.logs import extras_of
from media.sinks.hearing import HearingSink
from media.sinks.queue import CallStarted, Item
from media.talk.keypad import key_tones
from media.ws.drain import READ_EVERY_MS
from strep import rtp
from strep.clock import NS_PER_MS, NS_PER_SECOND, ManualClock
from strep.datagrams import collect
from strep.g711 import Codec, encode
from strep.header import Direction
from strep.rtp import RtpPacket
from strep.table import TimelineSettings
from strep.timeline import Timeline
from tests.hearing.audio import row_batch, silence, tones
from tests.media.serving import ENVIRONMENT, serving
from tests.media.world import BEGINNING_NS, HERE
from tests.patience import PATIENCE_S
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


class Told:
    """A bus, and the files of what was told."""

    def __init__(self, directory: Path | None = None, clock: ManualClock | None = None) -> None:
        clock = clock or ManualClock(BEGINNING_NS)
        self.bus = EventBus(clock)
        self.files = EventFiles(directory, self.bus, clock) if directory is not None else None

    def write(self) -> None:
        assert self.files is not None
        self.files.background.step()


class Line:
    """One call on an RTP port, heard by a sink."""

    def __init__(self, directory: Path | None, *kinds: str, block_ms: int = 20) -> None:
        self.clock, self.directory = ManualClock(BEGINNING_NS), directory
        self.told = Told(directory, self.clock)
        self.sink = HearingSink(kinds or ("dtmf",), self.told.bus)
        timeline = Timeline(TimelineSettings(block_ms=block_ms))
        self.engine = Engine(
            timeline,
            self.clock,
            [Straight(self.sink)],
            idle_timeout_ns=30 * NS_PER_SECOND,
            max_tracks=9,
            publish=self.told.bus.publish,
        )
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
        self.told.write()
        return [line for path in self.directory.glob("*") for line in events_in(path)]


def events_in(path: Path) -> list[dict[str, Any]]:
    """Return what a file says of what was heard; of the others only that they are numbered."""
    head, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert list(head) == ["event", "call_id", "started_at", "sample_rate_hz"]
    assert path.name == f"{head['call_id']}.events.jsonl"
    assert [line["sequence"] for line in lines] == list(range(1, len(lines) + 1))
    return [line for line in lines if line["event"] not in ("call_started", "call_ended")]


def speech(seconds: float, seed: int = 1) -> np.ndarray[Any, Any]:
    """Return something as lively as speech."""
    n = round(seconds * 8000)
    return np.random.default_rng(seed).normal(0, 1500, n) * (1 + 0.7 * np.sin(np.arange(n) / 8000 * 2 * np.pi * 5))


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
    assert line.sink.snapshot() == {"events": 30}


def test_a_digit_is_reported_once_whichever_ways_it_came(tmp_path: Path) -> None:
    """5 as tones and as packets a little later, 6 as packets only, 7 as tones only; each when it is over."""
    line = Line(tmp_path)
    line.say(np.concatenate([silence(0.5), tones(0.1, 770, 1336), silence(0.1)]))
    line.press(5)
    line.say(silence(2.0))
    line.press(6)
    line.say(np.concatenate([silence(0.5), tones(0.1, 852, 1209), silence(0.5)]))
    events = [(event["digit"], event["source"], event["position_ms"]) for event in line.lines()]
    assert events == [
        ("5", "inband", pytest.approx(500, abs=10)),
        ("6", "rfc4733", pytest.approx(2840, abs=25)),
        ("7", "inband", pytest.approx(3480, abs=10)),
    ]


def test_all_kinds_and_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "strep.events")
    line = Line(tmp_path, "dtmf", "voice", "tones", block_ms=100)
    line.say(np.concatenate([silence(1), speech(1), silence(1), tones(0.5, 1100), silence(1)]))
    assert [event["event"] for event in line.lines()] == ["speech_started", "speech_ended", "tone"]
    [record] = caplog.records
    assert (record.levelname, getattr(record, "event"), getattr(record, "kind")) == ("INFO", "tone", "cng")  # noqa: B009


def test_the_log_does_not_tell_which_key(caplog: pytest.LogCaptureFixture) -> None:
    """It may be of a PIN. Without a directory the log is all there is: at level debug it tells."""
    caplog.set_level(logging.DEBUG, "strep.events")
    line = Line(None)
    line.say(np.concatenate([silence(0.5), tones(0.1, 770, 1336), silence(0.5)]))
    heard = [(record.levelname, extras_of(record).get("digit")) for record in caplog.records]
    assert heard == [("INFO", None), ("DEBUG", "5")]


def test_what_cannot_be_written_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = Line(tmp_path / "gone")
    line.say(np.concatenate([silence(0.5), tones(0.1, 770, 1336), silence(0.5)]))
    assert line.lines() == []
    assert line.told.files is not None
    assert (line.told.files.written, line.told.files.failed) == (0, 3), "start, key, end"
    assert "are not written" in caplog.text


@pytest.mark.parametrize("said", ["", "inbound", "inbound_track"])
def test_frames_of_a_media_stream(tmp_path: Path, said: str) -> None:
    """They do not say how long, some not on which track, and are merged with what was heard."""
    told, call = Told(tmp_path), call_info(3)
    sink = HearingSink(("dtmf",), told.bus)
    sink.call_started(call)
    pcm = np.concatenate([silence(0.1), tones(0.1, 697, 1209), silence(0.1)]).astype(np.int16)
    for start in range(0, 2400, 160):
        sink.receive(row_batch([pcm[start : start + 160]], [3], [start]))
    sink.receive(row_batch([pcm[:160]], [3], [0], late=True))
    for digit in "12":
        frame = {"event": "dtmf", "digit": digit, "sequence_number": 5, "position_samples": 2400}
        event = event_of_carrier(frame, said, 8000)
        assert event is not None
        told.bus.publish(call, event)
    assert event_of_carrier({"event": "dtmf"}, said, 8000) is None
    sink.call_ended(call, call_report(8000))
    told.write()
    lines = events_in(tmp_path / "call-3.events.jsonl")
    assert [(line["digit"], line["source"]) for line in lines] == [("1", "inband"), ("2", "ws")]
    assert {"event": "dtmf", "call_id": "call-3", "position_ms": 300}.items() <= lines[1].items()
    assert lines[1].get("track") == ("inbound" if said == "inbound" else None)


def test_a_rate_that_cannot_be_heard_is_said(caplog: pytest.LogCaptureFixture) -> None:
    sink = HearingSink(("dtmf",), Told().bus)
    call = call_info(0)
    call.sample_rate_hz = 11_025
    sink.call_started(call)
    assert "11025 Hz" in caplog.text
    sink.receive(row_batch([np.zeros(220, np.int16)], [0], [0], rate_hz=11_025))
    sink.call_ended(call, call_report(0))


def test_media_streams_keep_their_column_path() -> None:
    assert HearingSink(("dtmf",), Told().bus).options.patience_ms >= READ_EVERY_MS


def test_what_goes_on_when_packets_stop_has_ended(tmp_path: Path) -> None:
    """At the next tick of the clock, not when audio comes again; and that does not tell it once more."""
    told = Told(tmp_path)
    sink = HearingSink(("dtmf", "voice"), told.bus)
    sink.call_started(call_info(3))
    sink.call_started(call_info(4))
    key = np.concatenate([silence(0.98), tones(0.12, 697, 1209)]).astype(np.int16)
    voice = np.concatenate([silence(0.5), speech(0.6)]).astype(np.int16)
    for start in range(0, len(key), 160):
        batch = row_batch([key[start : start + 160], voice[start : start + 160]], [3, 4], [start, start])
        batch.now_ns = BEGINNING_NS + (start + 160) * NS_PER_SECOND // 8000
        sink.receive(batch)
    told.write()
    assert [event["event"] for event in events_in(tmp_path / "call-4.events.jsonl")] == ["speech_started"]
    sink.receive(PcmBatch.tick(batch.now_ns + 400 * NS_PER_MS))
    told.write()
    assert not (tmp_path / "call-3.events.jsonl").exists()
    sink.receive(PcmBatch.tick(batch.now_ns + NS_PER_SECOND))
    told.write()
    [digit] = events_in(tmp_path / "call-3.events.jsonl")
    assert (digit["digit"], digit["position_ms"]) == ("1", pytest.approx(980, abs=10))
    _, ended = events_in(tmp_path / "call-4.events.jsonl")
    assert (ended["event"], ended["position_ms"]) == ("speech_ended", 1100)
    quiet = np.zeros(160, np.int16)
    sink.receive(row_batch([quiet, quiet], [3, 4], [len(key)] * 2))
    for index in (3, 4):
        sink.call_ended(call_info(index), call_report(len(key) + 160))
    assert sink.events == 3


def test_a_call_of_another_rate_does_not_keep_this_one_waiting() -> None:
    sink = HearingSink(("dtmf",), Told().bus)
    wide = dataclasses.replace(call_info(4), sample_rate_hz=16_000)
    sink.call_started(call_info(3))
    sink.call_started(wide)
    sink.receive(row_batch([tones(0.1, 697, 1209).astype(np.int16)], [3], [0]))
    batch = row_batch([np.zeros(320, np.int16)], [4], [0], rate_hz=16_000)
    batch.now_ns = NS_PER_SECOND
    sink.receive(batch)
    assert sink.events == 1


def test_what_the_queue_dropped_is_told(tmp_path: Path) -> None:
    told = Told(tmp_path)
    sink = HearingSink(("voice",), told.bus)
    report = call_report(8000)
    report.events = [{"type": "sink_dropped", "sink": "hearing", "blocks": 7, "samples": 1120}]
    sink.call_started(call_info(3))
    sink.call_ended(call_info(3), report)
    told.write()
    [line] = events_in(tmp_path / "call-3.events.jsonl")
    assert {"event": "sink_dropped", "call_id": "call-3", "blocks": 7, "duration_ms": 140}.items() <= line.items()


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
        subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True, timeout=PATIENCE_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    [path] = recordings.glob("*.events.jsonl")
    assert path.with_name(path.name.replace(".events.jsonl", ".wav")).exists(), "beside the recording"
    *events, saved = events_in(path)
    assert saved["event"] == "recording_saved"
    assert [(event["event"], event["digit"]) for event in events] == [("dtmf", digit) for digit in "2580#"]
    assert np.diff([event["position_ms"] for event in events]) == pytest.approx([120] * 4, abs=5)
