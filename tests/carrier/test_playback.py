"""The carrier's queue of audio and the ear at its end: positions, marks, clear, refusals."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from typing import Any

import numpy as np
import pytest
import soundfile

from media.carrier.dialects.contract import StreamIdentity
from media.carrier.dialects.telnyx import INVALID_MEDIA, MALFORMED_FRAME, RATE_LIMIT_REACHED, UNKNOWN_ERROR, reader
from media.carrier.heard import Fate
from media.carrier.options import PlaybackManners, PlaybackMode
from media.carrier.playback import MarkReturned, Playback, PlaybackForm, Refused
from media.codecs import Encoding, encoder_for
from strep.clock import NEVER_NS, NS_PER_MS, NS_PER_SECOND
from strep.g711 import Codec, decode

IDENTITY = StreamIdentity("5b0f3f0e-3c5d-4e0e-9c39-2f9a6b1d7c10", "v3:x", "7f3a1a10", "0d8a8a44", 3)
CLEAR = '{"event":"clear"}'


def media(data: bytes) -> str:
    return json.dumps({"event": "media", "media": {"payload": b64encode(data).decode()}})


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "mark": {"name": name}})


def playback(**form: Any) -> Playback:
    return Playback(reader(IDENTITY, takes_audio=True), PlaybackForm(**form))


def code(answers: list[Any]) -> int:
    (answer,) = answers
    assert isinstance(answer, Refused)
    return answer.code


def speech(samples: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, samples, np.uint8).tobytes()


def pcm(data: bytes) -> np.ndarray:
    return decode(np.frombuffer(data, np.uint8), Codec.PCMU)


class TestHeard:
    def test_from_the_sample_of_its_arrival_and_silence_before(self) -> None:
        ear, data = playback(), speech(160)
        ear.receive(media(data), 10 * NS_PER_MS + 1)  # a nanosecond into sample 80
        heard = ear.heard_pcm(NS_PER_SECOND)
        assert len(heard) == 8_000
        assert not heard[:81].any()
        assert (heard[81:241] == pcm(data)).all()
        assert not heard[241:].any()

    def test_messages_follow_each_other_without_a_gap(self) -> None:
        ear, data = playback(), [speech(160, seed) for seed in range(5)]
        for number, piece in enumerate(data):
            ear.receive(media(piece), number * 7 * NS_PER_MS)
        assert (ear.heard_pcm(100 * NS_PER_MS) == pcm(b"".join(data))).all()
        assert ear.heard.spurts() == [(0, 800, 5)]
        assert ear.heard.underruns == 0

    def test_a_call_has_its_own_beginning(self) -> None:
        ear, data = playback(start_ns=NS_PER_SECOND), speech(160)
        ear.receive(media(data), NS_PER_SECOND + 20 * NS_PER_MS)
        assert (ear.heard_pcm(NS_PER_SECOND + 40 * NS_PER_MS)[160:] == pcm(data)).all()

    def test_a_dry_queue_is_an_underrun_and_a_pause_is_not(self) -> None:
        ear = playback()
        ear.receive(media(bytes(160)), 0)
        ear.receive(media(bytes(160)), 25 * NS_PER_MS)
        assert (ear.heard.underruns, ear.heard.underrun_samples) == (1, 40)
        ear.receive(media(bytes(160)), 3 * NS_PER_SECOND)
        assert ear.heard.underruns == 1
        ear.receive(CLEAR, 3 * NS_PER_SECOND)
        ear.receive(media(bytes(160)), 3 * NS_PER_SECOND + 50 * NS_PER_MS)
        assert ear.heard.underruns == 1

    def test_taken_in_pieces_it_is_the_same(self) -> None:
        whole, pieces = playback(), playback()
        parts = []
        random = np.random.default_rng(5)
        for now_ms in np.cumsum(random.integers(1, 60, 100)).tolist():
            for ear in (whole, pieces):
                ear.receive(media(speech(240, now_ms)), now_ms * NS_PER_MS)
            parts.append(pieces.heard_pcm(now_ms * NS_PER_MS))
        parts.append(pieces.heard_pcm(9 * NS_PER_SECOND))
        assert (np.concatenate(parts) == whole.heard_pcm(9 * NS_PER_SECOND)).all()

    def test_memory_is_bounded(self) -> None:
        ear = playback(keep_samples=1_000)
        for number in range(100):
            ear.receive(media(bytes(160)), number * 20 * NS_PER_MS)
        assert ear.tape.end - ear.tape.start <= 1_000 + 2 * 160
        assert ear.heard.samples == 16_000

    @pytest.mark.parametrize("encoding", [Encoding("G722", 16_000), Encoding("L16", 16_000, big_endian=False)])
    def test_wide_codecs(self, encoding: Encoding) -> None:
        encoder = encoder_for(encoding)
        sine = (8_000 * np.sin(np.arange(3_200) / 16_000 * 2 * np.pi * 3_000)).astype(np.int16)
        ear = playback(encoding=encoding)
        ear.receive(media(encoder.encode(sine)), 0)
        heard = ear.heard_pcm(200 * NS_PER_MS).astype(float)
        assert len(heard) == 3_200
        tone = np.abs(np.fft.rfft(heard[800:2_400])) / 800
        assert tone.argmax() == 300
        assert 7_000 < tone.max() < 9_000

    def test_opus_is_one_packet_a_message(self) -> None:
        encoding = Encoding("OPUS", 16_000)
        encoder, ear = encoder_for(encoding), playback(encoding=encoding)
        for number in range(10):
            assert not ear.receive(media(encoder.encode(np.zeros(320, np.int16))), number * 20 * NS_PER_MS)
        assert ear.heard.spurts() == [(0, 3_200, 10)]
        assert code(ear.receive(media(bytes([0x78]) + bytes(2_000)), NS_PER_SECOND)) == INVALID_MEDIA


class TestMarks:
    def test_at_once_when_nothing_plays(self) -> None:
        assert playback().receive(mark("a"), 0) == [MarkReturned("a")]

    def test_when_the_audio_before_it_has_been_played(self) -> None:
        ear = playback()
        assert ear.receive(media(bytes(160)), 0) == []
        assert ear.receive(media(bytes(160)), 5 * NS_PER_MS) == []
        assert ear.receive(mark("a"), 6 * NS_PER_MS) == []
        assert ear.deadline() == 40 * NS_PER_MS
        assert ear.poll(40 * NS_PER_MS - 1) == []
        assert ear.poll(40 * NS_PER_MS) == [MarkReturned("a")]
        assert ear.deadline() == NEVER_NS

    def test_an_empty_queue_begins_again_at_arrival(self) -> None:
        ear = playback()
        ear.receive(media(bytes(160)), 0)
        ear.receive(media(bytes(160)), NS_PER_SECOND)
        ear.receive(mark("a"), NS_PER_SECOND)
        assert ear.deadline() == NS_PER_SECOND + 20 * NS_PER_MS

    def test_in_their_order_even_if_nobody_polled(self) -> None:
        ear = playback()
        ear.receive(media(bytes(160)), 0)
        ear.receive(mark("a"), 0)
        assert ear.receive(mark("b"), NS_PER_SECOND) == [MarkReturned("a"), MarkReturned("b")]

    def test_clear_returns_all_and_silence_follows(self) -> None:
        ear, data = playback(), speech(8_000)
        ear.receive(media(data), 0)
        for name in "ab":
            ear.receive(mark(name), 0)
        ear.receive(media(data), 0)
        assert ear.receive(CLEAR, 10 * NS_PER_MS) == [MarkReturned("a"), MarkReturned("b")]
        assert ear.receive(mark("c"), 10 * NS_PER_MS) == [MarkReturned("c")]
        heard = ear.heard_pcm(NS_PER_SECOND)
        assert (heard[:80] == pcm(data)[:80]).all()
        assert not heard[80:].any()
        assert (ear.heard.samples, ear.heard.cut_samples) == (80, 2 * 8_000 - 80)
        assert [told.fate for told in ear.heard.mark_list] == [Fate.CLEARED, Fate.CLEARED, Fate.AT_ONCE]
        assert [cleared.position_samples for cleared in ear.heard.clear_list] == [80]

    def test_at_the_end_of_the_call_they_are_lost(self) -> None:
        ear = playback()
        ear.receive(media(bytes(8_000)), 0)
        ear.receive(mark("a"), 0)
        ear.finish(NS_PER_SECOND // 2)
        assert [told.fate for told in ear.heard.mark_list] == [Fate.LOST]
        assert ear.heard.end_samples == ear.heard.samples == 4_000


class TestBrokenSocket:
    """What is queued then is documented nowhere: it goes on playing, unless asked otherwise."""

    @pytest.mark.parametrize("keeps_playing", [True, False])
    def test_while_playing(self, keeps_playing: bool) -> None:
        ear, data = playback(manners=PlaybackManners(keeps_playing=keeps_playing)), speech(8_000)
        ear.receive(media(data), 0)
        ear.receive(mark("a"), 0)
        ear.lose_socket(100 * NS_PER_MS)
        ear.poll(2 * NS_PER_SECOND)
        heard = ear.heard_pcm(2 * NS_PER_SECOND)
        until = 8_000 if keeps_playing else 800
        assert (heard[:until] == pcm(data)[:until]).all()
        assert not heard[until:].any()
        assert ear.heard.mark_list[0].fate is Fate.LOST


class TestRefusals:
    def test_a_violation_is_counted_with_its_number(self) -> None:
        ear = playback()
        assert code(ear.receive("rubbish", 0)) == MALFORMED_FRAME
        assert ear.heard.refusals == {MALFORMED_FRAME: 1}

    @pytest.mark.parametrize("size", [0, 1, 159, 240_001])
    def test_20_ms_to_30_s(self, size: int) -> None:
        assert code(playback().receive(media(bytes(size)), 0)) == INVALID_MEDIA
        assert not playback().receive(media(bytes(160)), 0)
        assert not playback().receive(media(bytes(240_000)), 0)

    def test_half_a_sample(self) -> None:
        assert code(playback(encoding=Encoding("L16", 16_000)).receive(media(bytes(641)), 0)) == INVALID_MEDIA

    def test_made_up_errors_come_at_their_rate_and_nothing_is_played(self) -> None:
        ear = playback(manners=PlaybackManners(error_rate=0.25), seed=4)
        answers = [ear.receive(media(bytes(160)), n * 20 * NS_PER_MS) for n in range(1_000)]
        codes = [code(answer) for answer in answers if answer]
        assert 200 < len(codes) < 300
        assert set(codes) == {RATE_LIMIT_REACHED, UNKNOWN_ERROR}
        assert ear.heard.samples == 160 * (1_000 - len(codes))


def mp3(samples: int, rate_hz: int = 8_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(samples) / rate_hz * 2 * np.pi * 440) / 2, rate_hz, format="MP3")
    return file.getvalue()


class TestMp3:
    def ear(self, **manners: Any) -> Playback:
        return playback(mode=PlaybackMode.MP3, manners=PlaybackManners(**manners))

    def test_a_player_that_honours_the_tag_plays_exactly_its_samples(self) -> None:
        ear = self.ear()
        assert ear.receive(media(mp3(16_000)), 0) == []
        ear.receive(mark("a"), 0)
        assert ear.deadline() == 2 * NS_PER_SECOND

    def test_one_that_does_not_plays_the_lead_in_and_the_tail(self) -> None:
        ear = self.ear(honours_tag=False)
        ear.receive(media(mp3(16_000)), 0)
        assert ear.heard.samples > 16_000
        assert ear.heard.samples % 576 == 0
        assert np.abs(ear.heard_pcm(NS_PER_SECOND)[:500]).max() < 500

    def test_another_rate_is_resampled(self) -> None:
        ear = self.ear()
        ear.receive(media(mp3(24_000, 24_000)), 0)
        assert ear.heard.samples == 8_000

    def test_one_a_second_and_the_one_too_early_is_not_played(self) -> None:
        ear = self.ear()
        ear.receive(media(mp3(8_000)), 0)
        assert code(ear.receive(media(mp3(8_000)), NS_PER_SECOND - 1)) == RATE_LIMIT_REACHED
        assert ear.heard.messages == 1
        assert ear.receive(media(mp3(8_000)), NS_PER_SECOND) == []
        assert ear.heard.spurts() == [(0, 16_000, 2)]

    @pytest.mark.parametrize(
        "data", [b"", bytes(160), b"\xff" * 160, mp3(8_000)[:-1], mp3(8_000)[:500], mp3(8_000) + b"x", mp3(8_000)[1:]]
    )
    def test_whole_files_only(self, data: bytes) -> None:
        assert code(self.ear().receive(media(data), 0)) == INVALID_MEDIA

    def test_raw_bytes_may_be_dropped_without_a_word(self) -> None:
        ear = self.ear(ignores_raw=True)
        assert ear.receive(media(bytes(160)), 0) == []
        assert (ear.heard.ignored, ear.heard.messages) == (1, 0)

    def test_with_id3(self) -> None:
        front = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
        ear = self.ear()
        assert ear.receive(media(front + mp3(8_000) + b"TAG" + bytes(125)), 0) == []
        assert ear.heard.samples == 8_000
