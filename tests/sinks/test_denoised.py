"""Noise suppression in front of sinks: what they get, and what they make of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from media import PerCall, Server, ServerConfig
from media.blocks import PcmBatch
from media.config import Endpoint
from media.denoising.rules import Denoised
from media.events.bus import EventBus, Told
from media.sinks.contract import CallInfo, CallReport, SinkOptions
from media.sinks.denoised import DenoisedSink
from media.sinks.hearing import HearingSink
from media.sinks.recording import RecordingSink
from strep.clock import ManualClock
from strep.errors import ConfigurationError
from strep.g711 import Codec, decode, encode
from strep.header import Direction
from tests.denoising.sounds import as_pcm, denoised, hiss, level_db, tone
from tests.hearing.audio import row_batch
from tests.sinks.rows import call_info, call_report

IN, OUT = Direction
DOOR = Endpoint("127.0.0.1", 0)


def mu_law_batch(pcm: np.ndarray, position: int, *, late: bool = False) -> PcmBatch:
    """Return a block of both tracks of call 0, ``pcm`` (2, n), as the carrier sends it."""
    made = row_batch(list(pcm), [0, 0], [position, position], channel=[0, 1], late=late)
    made.encoded, made.codec = encode(pcm, Codec.PCMU), np.full(2, Codec.PCMU, np.uint8)
    return made


def play(sink: DenoisedSink, pcm: np.ndarray, call: CallInfo, width: int = 800) -> None:
    sink.call_started(call)
    for start in range(0, pcm.shape[1], width):
        sink.receive(mu_law_batch(pcm[:, start : start + width], start))


class TestRecording:
    def test_each_sample_where_it_was(self, tmp_path: Path) -> None:
        pcm = np.stack([as_pcm(hiss(4, 1000)), as_pcm(hiss(4, 1000, seed=2))])
        sink = DenoisedSink(RecordingSink(tmp_path, is_pcm=True), [IN])
        assert sink.options is sink.sink.options
        call = call_info()
        play(sink, pcm, call)
        sink.call_ended(call, call_report(32_000))
        written, rate_hz = soundfile.read(tmp_path / "call-0.wav", dtype="int16")
        assert rate_hz == 8000
        heard = decode(encode(pcm, Codec.PCMU), Codec.PCMU)
        assert np.array_equal(written[:, 1], heard[1]), "the other side is as it came"
        np.testing.assert_allclose(written[:, 0], denoised(heard[0].astype(float)), atol=0.6)
        assert level_db(written[16_000:, 0]) < 60 - 12

    def test_its_sidecar_says_so(self, tmp_path: Path) -> None:
        sink, call = DenoisedSink(RecordingSink(tmp_path, is_pcm=True), [IN]), call_info()
        play(sink, np.zeros((2, 8000), np.int16), call)
        sink.switch(call, IN, on=False)
        sink.switch(call, OUT, on=True)
        sink.receive(mu_law_batch(np.zeros((2, 800), np.int16), 8000))
        sink.call_ended(call, call_report(8800))
        sidecar = json.loads((tmp_path / "call-0.json").read_text())
        about = {"event": "noise_suppression"}
        assert sidecar["events"] == [
            about | {"state": "started", "track": "inbound", "position_samples": 0},
            about | {"state": "stopped", "track": "inbound", "position_samples": 8000},
            about | {"state": "started", "track": "outbound", "position_samples": 8000},
        ]

    def test_a_late_packet_is_put_in_its_place(self, tmp_path: Path) -> None:
        """As it came: the last blocks are still held when it comes, and do not silence it."""
        pcm = np.zeros((2, 8000), np.int16)
        sink, call = DenoisedSink(RecordingSink(tmp_path, is_pcm=True), [IN, OUT]), call_info()
        play(sink, pcm, call)
        patch = as_pcm(hiss(0.02, 3000))
        for position in (1600, 7840):
            sink.receive(mu_law_batch(np.stack([patch, patch]), position, late=True))
        sink.call_ended(call, call_report(8000))
        written, _ = soundfile.read(tmp_path / "call-0.wav", dtype="int16")
        heard = decode(encode(patch, Codec.PCMU), Codec.PCMU)
        for position in (1600, 7840):
            assert np.array_equal(written[position : position + 160], np.stack([heard, heard], axis=1))
        assert np.count_nonzero(written) == 4 * np.count_nonzero(heard)


class TestHearing:
    def test_keys_in_noise(self) -> None:
        """They are heard as they were, each once, at their places."""
        told: list[Told] = []
        bus = EventBus(ManualClock())
        bus.subscribe(told.append)
        sink, call = DenoisedSink(HearingSink(["dtmf"], bus), [IN], bus.publish), call_info()
        pauses = [hiss(0.25, 150, seed=i) for i in range(21)]
        keys = [tone(0.06, 770, 1336) + hiss(0.06, 150, seed=i) for i in range(20)]
        audio = np.concatenate([piece for pair in zip(pauses, [*keys, hiss(1, 150)], strict=True) for piece in pair])
        pcm = as_pcm(np.stack([audio, np.zeros(len(audio))]))
        play(sink, pcm[:, : pcm.shape[1] // 160 * 160], call, 160)
        sink.call_ended(call, call_report(len(audio)))
        assert [event.event.NAME for event in told] == ["noise_suppression"] + ["dtmf"] * 20
        places = [event.event.position_samples for event in told[1:]]
        np.testing.assert_allclose(np.array(places, float), 2000 + 2480 * np.arange(20), atol=80)
        assert told[0].to_json()["state"] == "started"
        assert told[0].call is call


class Stubborn:
    """Keeps what it gets, and raises at every block."""

    def __init__(self) -> None:
        self.options = SinkOptions("stubborn")
        self.got: list[PcmBatch] = []
        self.ended: list[CallReport] = []

    def call_started(self, call: CallInfo) -> None:
        pass

    def receive(self, batch: PcmBatch) -> None:
        self.got.append(batch)
        if len(batch):
            raise RuntimeError("no")

    def call_ended(self, call: CallInfo, report: CallReport) -> None:
        self.ended.append(report)

    def close(self) -> None:
        self.ended.append(call_report(0))


def test_a_sink_that_raises_still_gets_everything() -> None:
    inner = Stubborn()
    sink, call = DenoisedSink(inner, [IN]), call_info()
    sink.call_started(call)
    for start in (0, 800):
        with pytest.raises(RuntimeError, match="no"):
            sink.receive(mu_law_batch(np.zeros((2, 800), np.int16), start))
    with pytest.raises(RuntimeError, match="no"):
        sink.call_ended(call, call_report(1600))
    assert all(batch.is_linear for batch in inner.got)
    assert [sum(int((b.last - b.first)[b.channel == c].sum()) for b in inner.got) for c in (0, 1)] == [1600, 1600]
    assert len(inner.ended) == 1
    sink.receive(PcmBatch.tick(10**9))
    assert not len(inner.got[-1]), "a tick is a tick"
    sink.close()
    assert len(inner.ended) == 2
    assert sink.snapshot() == {}


class TestConfiguration:
    def test_by_name(self, tmp_path: Path) -> None:
        own = PerCall(lambda *_: None, name="mine")
        rules = (Denoised("mine", "both"), Denoised("recording"))
        server = Server(ServerConfig(udp=DOOR, record=tmp_path, denoise=rules), sinks=[own])
        assert [type(runner.sink) for runner in server.runners] == [DenoisedSink, DenoisedSink]
        server = Server(ServerConfig(udp=DOOR, record=tmp_path, denoise=rules[:1]), sinks=[own])
        assert [type(runner.sink) for runner in server.runners] == [RecordingSink, DenoisedSink]

    def test_what_is_not_there(self) -> None:
        config = ServerConfig(udp=DOOR, denoise=(Denoised("recording"),))
        with pytest.raises(ConfigurationError, match="no sink 'recording', only mine"):
            Server(config, sinks=[PerCall(lambda *_: None, name="mine")])

    def test_a_recording_of_the_carriers_bytes(self, tmp_path: Path) -> None:
        rules = (Denoised("recording"),)
        config = ServerConfig(udp=DOOR, record=tmp_path, record_format="passthrough", denoise=rules)
        with pytest.raises(ConfigurationError, match="record_format is passthrough"):
            Server(config)
