"""Calls that are not G.711, at every door: what is heard is what the codec's own decoder makes of what was sent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from media.codecs import Encoding, decoder_for, encoder_for
from media.decoding.payload_types import PayloadType, PayloadTypes
from media.engine import Engine
from media.ws.chunks import Placement
from strep import rtp
from strep.clock import NS_PER_MS
from strep.g711 import LINEAR, Codec, decode, encode
from strep.header import Direction
from strep.rtp import RtpPacket
from strep.timeline import Timeline
from tests.media.world import World, start

MAP = (
    PayloadType(96, "L16", 16000),
    PayloadType(97, "L16", 48000),
    PayloadType(98, "L16", 22050),
    PayloadType(111, "OPUS", 48000),
    PayloadType(112, "PCMU", 8000),
)
NUMBERS = {"G722": 9, "L16/16000": 96, "L16/48000": 97, "L16/22050": 98, "L16/44100": 11, "OPUS": 111}
ENCODINGS = {
    "G722": Encoding("G722", 16000),
    "L16/16000": Encoding("L16", 16000),
    "L16/48000": Encoding("L16", 48000),
    "L16/22050": Encoding("L16", 22050),
    "L16/44100": Encoding("L16", 44100),
    "OPUS": Encoding("OPUS", 48000),
}
FRAMES = 50


def world_of_codecs() -> World:
    world = World()
    idle_ns = 30_000 * NS_PER_MS
    world.engine = Engine(
        Timeline(), world.clock, [world.ear], idle_timeout_ns=idle_ns, max_tracks=100, payload_types=PayloadTypes(MAP)
    )
    for door in (world.strep, world.rtp, world.stream):
        door._engine = world.engine
    return world


def tone(sample_rate_hz: int, frames: int, hz: float = 440.0) -> np.ndarray[Any, Any]:
    t = np.arange(sample_rate_hz * frames // 50) / sample_rate_hz
    return np.asarray(np.round(8000 * np.sin(2 * np.pi * hz * t)), np.int16)


def payloads_of(encoding: Encoding, frames: int = FRAMES) -> list[bytes]:
    encoder, size = encoder_for(encoding), encoding.frame_samples
    pcm = tone(encoding.sample_rate_hz, frames + 1)
    return [encoder.encode(pcm[i * size : (i + 1) * size]) for i in range(frames)]


def decoded(encoding: Encoding, payloads: list[bytes]) -> np.ndarray[Any, Any]:
    decoder = decoder_for(encoding)
    return np.concatenate([decoder.decode(payload) for payload in payloads])


def packets_of(name: str, payloads: list[bytes], first: int = 65_500, timestamp: int = 2**32 - 9000) -> list[bytes]:
    """Return RTP packets whose sequence numbers and timestamps wrap."""
    encoding = ENCODINGS[name]
    ticks = encoding.frame_samples * encoding.rtp_clock_hz // encoding.sample_rate_hz
    return [
        rtp.serialize(RtpPacket(NUMBERS[name], (first + i) & 0xFFFF, (timestamp + i * ticks) & 0xFFFF_FFFF, 7, one))
        for i, one in enumerate(payloads)
    ]


@pytest.mark.parametrize("name", NUMBERS)
class TestRtp:
    def test_heard_as_decoded_in_order(self, name: str) -> None:
        world, encoding = world_of_codecs(), ENCODINGS[name]
        payloads = payloads_of(encoding)
        for packet in packets_of(name, payloads):
            world.send_rtp(packet)
            world.tick()
        world.engine.end_all("shutdown")
        ((info, report),) = world.ear.ended
        (track,) = report.tracks
        assert (info.sample_rate_hz, info.is_linear, track.codec) == (encoding.sample_rate_hz, True, encoding.name)
        heard = world.ear.pcm(info.call_id, 0)
        assert np.array_equal(heard, decoded(encoding, payloads))
        assert track.length_samples == len(heard) == report.length_samples
        assert track.totals == {**dict.fromkeys(track.totals, 0), "received": len(heard)}
        assert track.statistics["delivered"] == FRAMES
        assert track.statistics["jitter_max_ms"] < 0.1
        assert world.engine.conservation_errors == 0

    def test_disorder_changes_nothing(self, name: str) -> None:
        world, encoding = world_of_codecs(), ENCODINGS[name]
        payloads = payloads_of(encoding)
        packets = packets_of(name, payloads)
        for i in [1, 0, *range(2, 10), 11, 12, 10, 10, *range(13, FRAMES)]:
            world.send_strep(packets[i], 1)
            world.tick()
        world.engine.end_all("shutdown")
        ((info, report),) = world.ear.ended
        assert np.array_equal(world.ear.pcm(info.call_id, 0), decoded(encoding, payloads))
        statistics = report.tracks[0].statistics
        assert (statistics["delivered"], statistics["duplicate"], statistics["late"]) == (FRAMES, 1, 0)
        assert world.engine.conservation_errors == 0

    def test_loss_is_silence_and_the_codec_goes_on(self, name: str) -> None:
        world, encoding = world_of_codecs(), ENCODINGS[name]
        payloads = payloads_of(encoding)
        packets = packets_of(name, payloads)
        for i in [*range(20), *range(22, FRAMES)]:
            world.send_rtp(packets[i])
            world.tick()
        world.engine.end_all("shutdown")
        ((info, report),) = world.ear.ended
        size = encoding.frame_samples
        rest = decoded(encoding, payloads[:20] + payloads[22:])
        expected = np.concatenate([rest[: 20 * size], np.zeros(2 * size, np.int16), rest[20 * size :]])
        assert np.array_equal(world.ear.pcm(info.call_id, 0), expected)
        assert report.tracks[0].totals["lost"] == 2 * size
        assert report.tracks[0].statistics["never_arrived"] == 2

    def test_both_directions_on_one_timeline(self, name: str) -> None:
        world, encoding = world_of_codecs(), ENCODINGS[name]
        payloads = payloads_of(encoding)
        for i, packet in enumerate(packets_of(name, payloads)):
            world.send_strep(packet, 1)
            if i >= 10:
                world.send_strep(packets_of(name, payloads)[i - 10], 1, Direction.OUTBOUND)
            world.tick()
        world.engine.end_all("shutdown")
        ((info, report),) = world.ear.ended
        expected = decoded(encoding, payloads)
        assert np.array_equal(world.ear.pcm(info.call_id, 0), expected)
        assert np.array_equal(world.ear.pcm(info.call_id, 1), expected[: 40 * encoding.frame_samples])
        assert report.tracks[1].start_samples == 10 * encoding.sample_rate_hz // 50


class TestLateness:
    def test_a_late_packet_without_memory_is_patched(self) -> None:
        world, encoding = world_of_codecs(), ENCODINGS["L16/16000"]
        packets = packets_of("L16/16000", payloads_of(encoding))
        for i in [*range(20), *range(21, 30), 20, *range(30, FRAMES)]:
            world.send_rtp(packets[i])
            world.tick()
        world.engine.end_all("shutdown")
        (track,) = world.ear.ended[0][1].tracks
        assert track.totals["late-patched"] == 320
        assert track.statistics["late"] == 1

    def test_one_with_memory_is_counted(self) -> None:
        world, encoding = world_of_codecs(), ENCODINGS["G722"]
        packets = packets_of("G722", payloads_of(encoding))
        for i in [*range(20), *range(21, 30), 20, *range(30, FRAMES)]:
            world.send_rtp(packets[i])
            world.tick()
        world.engine.end_all("shutdown")
        (track,) = world.ear.ended[0][1].tracks
        assert (track.totals["late-patched"], track.totals["lost"]) == (0, 320)
        assert (track.statistics["late"], track.statistics["delivered"]) == (1, FRAMES - 1)
        assert world.engine.conservation_errors == 0


class TestMixtures:
    def test_the_first_track_s_rate_is_the_call_s(self) -> None:
        world = world_of_codecs()
        wide, size = ENCODINGS["G722"], 160
        payloads, law = payloads_of(wide), tone(8000, FRAMES)
        for i, packet in enumerate(packets_of("G722", payloads)):
            world.send_strep(packet, 1)
            codes = encode(law[i * size : (i + 1) * size], Codec.PCMU).tobytes()
            world.send_strep(rtp.serialize(RtpPacket(0, i, i * size, 9, codes)), 1, Direction.OUTBOUND)
            world.tick()
        world.engine.end_all("shutdown")
        ((info, report),) = world.ear.ended
        assert info.sample_rate_hz == 16000
        assert [track.codec for track in report.tracks] == ["G722", "PCMU"]
        assert np.array_equal(world.ear.pcm(info.call_id, 0), decoded(wide, payloads))
        heard = world.ear.pcm(info.call_id, 1)
        assert len(heard) == FRAMES * 320
        _assert_like(heard, tone(16000, FRAMES))

    def test_others_become_the_law_of_a_call_of_g711(self) -> None:
        world = world_of_codecs()
        payloads = payloads_of(ENCODINGS["OPUS"])
        for i, packet in enumerate(packets_of("OPUS", payloads)):
            world.send_strep(rtp.serialize(RtpPacket(8, i, i * 160, 9, b"\xd5" * 160)), 1)
            world.send_strep(packet, 1, Direction.OUTBOUND)
            world.tick()
        world.engine.end_all("shutdown")
        ((info, report),) = world.ear.ended
        assert (info.sample_rate_hz, info.is_linear) == (8000, False)
        heard = world.ear.pcm(info.call_id, 1)
        assert len(heard) == report.tracks[1].length_samples == FRAMES * 160
        _assert_like(heard, tone(8000, FRAMES), delay=100)

    def test_a_sender_may_change_its_codec(self) -> None:
        world, encoding = world_of_codecs(), ENCODINGS["G722"]
        wide = packets_of("G722", payloads_of(encoding), 20, 3200)
        for i in range(20):
            world.send_rtp(rtp.serialize(RtpPacket(0, i, i * 160, 7, b"\xff" * 160)))
            world.tick()
        for packet in wide:
            world.send_rtp(packet)
            world.tick()
        world.engine.end_all("shutdown")
        ((info, report),) = world.ear.ended
        assert report.tracks[0].totals["received"] == (20 + FRAMES) * 160
        _assert_like(world.ear.pcm(info.call_id, 0)[20 * 160 :], tone(8000, FRAMES))

    def test_a_dynamic_number_of_pcmu_is_pcmu(self) -> None:
        world = world_of_codecs()
        for i in range(20):
            world.send_rtp(rtp.serialize(RtpPacket(112, i, i * 160, 7, bytes([i]) * 160)))
            world.tick()
        world.engine.end_all("shutdown")
        ((info, report),) = world.ear.ended
        assert (report.tracks[0].codec, report.tracks[0].payload_types) == ("PCMU", {})
        expected = decode(np.repeat(np.arange(20, dtype=np.uint8), 160), Codec.PCMU)
        assert np.array_equal(world.ear.pcm(info.call_id, 0), expected)

    def test_what_cannot_be_decoded_is_invalid_and_the_rest_is_heard(self) -> None:
        world, encoding = world_of_codecs(), ENCODINGS["OPUS"]
        payloads = payloads_of(encoding)
        packets = packets_of("OPUS", [*payloads[:10], b"\xff", b"\x03", *payloads[12:]])
        for packet in packets:
            world.send_rtp(packet)
            world.tick()
        world.engine.end_all("shutdown")
        (track,) = world.ear.ended[0][1].tracks
        assert (track.statistics["invalid"], track.statistics["delivered"]) == (2, FRAMES - 2)
        assert world.engine.conservation_errors == 0


@pytest.mark.parametrize("payload_type", [0, 9])
class TestTelephoneEvents:
    def test_they_are_events_and_no_audio(self, payload_type: int) -> None:
        world = world_of_codecs()
        for i in range(60):
            is_event = 20 <= i < 30
            event = bytes([5, 0x80 * (i >= 27), *(160 * min(i - 19, 8)).to_bytes(2, "big")]) if is_event else b""
            timestamp = 20 * 160 if is_event else i * 160
            payload = event or b"\x01" * 160
            world.send_rtp(rtp.serialize(RtpPacket(101 if is_event else payload_type, i, timestamp, 7, payload)))
            world.tick()
        world.engine.end_all("shutdown")
        ((info, report),) = world.ear.ended
        (track,) = report.tracks
        [key] = report.events
        assert key.pop("position_samples") / info.sample_rate_hz == pytest.approx(0.54, abs=0.01)
        assert key == {"event": "dtmf", "digit": "5", "duration_ms": 160, "source": "rfc4733", "track": "inbound"}
        assert (track.telephone_events, track.payload_types, report.note) == (10, {}, "")
        frame = info.sample_rate_hz // 50
        assert (track.totals["silence"], track.totals["lost"]) == (10 * frame, 0)
        assert not world.ear.pcm(info.call_id, 0)[20 * frame : 30 * frame].any()

    def test_a_lost_end_is_found_while_the_call_goes_on(self, payload_type: int) -> None:
        world = world_of_codecs()
        for i in range(60):
            payload = b"\x0b\x00\x01\x40" if i == 20 else b"\x01" * 160
            world.send_rtp(rtp.serialize(RtpPacket(101 if i == 20 else payload_type, i, i * 160, 7, payload)))
            world.tick()
        (call,) = world.engine.calls.values()
        assert [event["digit"] for event in call.events] == ["#"]


@pytest.mark.parametrize("name", ["G722", "L16/16000", "L16/22050", "OPUS"])
class TestWebSocket:
    def test_heard_as_decoded_in_chunk_order(self, name: str) -> None:
        world, encoding = world_of_codecs(), ENCODINGS[name]
        payloads, size = payloads_of(encoding), encoding.frame_samples
        stream = world.stream.stream_started(start("s1", encoding.name, encoding.sample_rate_hz), 0)
        for i in [0, 1, 3, 2, *range(4, FRAMES)]:
            sequencer = stream.sequencer
            place = sequencer.place(Direction.INBOUND, i + 1, i + 2, i * 20, encoding.samples_of(payloads[i]))
            assert place == Placement(i + 1, i * size, 0)
            world.stream.stream_media(stream, Direction.INBOUND, place, payloads[i], world.clock.now_ns())
            world.stream.deliver(world.clock.now_ns())
            world.tick()
        world.stream.stream_stopped(stream, world.clock.now_ns())
        ((info, report),) = world.ear.ended
        assert (info.call_id, info.sample_rate_hz) == ("s1", encoding.sample_rate_hz)
        assert np.array_equal(world.ear.pcm("s1", 0), decoded(encoding, payloads))
        assert report.tracks[0].totals["received"] == FRAMES * size
        assert world.engine.conservation_errors == 0


def test_rates_that_nobody_uses_any_more_are_let_go() -> None:
    world = world_of_codecs()
    for rate_hz in range(8000, 8100):
        stream = world.stream.stream_started(start(f"s{rate_hz}", "L16", rate_hz), 0)
        place = stream.sequencer.place(Direction.INBOUND, 1, 2, 0, 160)
        world.stream.stream_media(stream, Direction.INBOUND, place, bytes(320), world.clock.now_ns())
        world.tick()
        world.stream.stream_stopped(stream, world.clock.now_ns())
    assert list(world.engine.reels) == [world.engine.reels.code_bytes]


def test_blocks_say_that_they_are_linear() -> None:
    world = world_of_codecs()
    batches: list[Any] = []
    put = world.ear.put
    world.ear.put = lambda item: (batches.append(item), put(item))  # type: ignore[assignment, func-returns-value]
    for packet in packets_of("L16/16000", payloads_of(ENCODINGS["L16/16000"])):
        world.send_rtp(packet)
        world.tick()
    pcm = [batch for batch in batches if hasattr(batch, "encoded")]
    assert pcm
    assert all(batch.is_linear and (batch.codec == LINEAR).all() and batch.pcm.dtype == np.int16 for batch in pcm)
    assert {batch.sample_rate_hz for batch in pcm} == {16000}


def _assert_like(heard: np.ndarray[Any, Any], sent: np.ndarray[Any, Any], delay: int = 100) -> None:
    """Within `delay` samples, `heard` is `sent` but for what a codec and a resampler do to it."""
    best = max(
        float(np.corrcoef(heard[2000:7000], sent[2000 - shift : 7000 - shift])[0, 1]) for shift in range(delay)
    )
    assert best > 0.98
