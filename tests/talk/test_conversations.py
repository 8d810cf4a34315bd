"""Echo, parrot and ivr on a real server over real sockets: what callers of several dialects heard of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import soundfile

from media.apps.echo import DELAY_S
from media.apps.ivr import MENU
from media.talk.contract import Pcm
from media.talk.sources import open_source
from media.voices.plugins import load_voices
from strep.clock import NS_PER_MS
from strep.g711 import Codec, decode, encode
from tests.talk.attentive import RATE_HZ, Caller, Ears, call_all

pytestmark = pytest.mark.realtime

RTP = [("telnyx", "rtp"), ("twilio", "rtp"), ("signalwire", "rtp")]
EVERY = [*RTP, ("telnyx", "mp3")]


def phrase() -> Pcm:
    """Return 0.8 s, loud from end to end, unlike any part of itself, and the same after mu-law."""
    t = np.arange(round(0.8 * RATE_HZ)) / RATE_HZ
    chirp = (8000 * np.sin(2 * np.pi * (400 + 900 * t) * t)).astype(np.int16)
    return decode(encode(chirp, Codec.PCMU), Codec.PCMU)


async def spoken(text: str) -> Pcm:
    """Return how the server says `text`, as (n,) int16 at `RATE_HZ`."""
    speech = await load_voices().speak(text, "en-US", None)
    source = await open_source(speech, RATE_HZ, rate_hz=speech.rate_hz)
    parts = []
    while not source.has_ended:
        parts.append(source.read(RATE_HZ))
        await asyncio.sleep(0.01)
    return np.concatenate(parts)


def find(wanted: Pcm, heard: Pcm) -> int:
    """Return where `wanted` is in `heard`, most likely."""
    size = 1 << (len(heard) + len(wanted)).bit_length()
    spectrum = np.fft.rfft(heard.astype(float), size) * np.conj(np.fft.rfft(wanted.astype(float), size))
    return int(np.argmax(np.fft.irfft(spectrum, size)[: len(heard) - len(wanted) + 1]))


def check_said(caller: Caller) -> int:
    """What the caller said was said back, bit by bit in RTP mode, else as MP3 leaves it; return where it is."""
    said, played = phrase(), caller.played()
    at = find(said, played)
    there = played[at : at + len(said)]
    if caller.mode == "rtp":
        assert np.array_equal(there, said)
    else:
        noise = there - 0.95 * said
        assert 10 * np.log10(np.mean(np.square(noise)) / np.mean(np.square(said.astype(float)))) < -25
    rest = np.concatenate([played[:at], played[at + len(said) :]])
    assert np.count_nonzero(abs(rest) > 2000) < 100, "and nothing else"
    assert caller.story["refused"] == 0
    return at


def check_heard_out(said: Pcm, heard: Pcm, mode: str) -> None:
    """The application hung up right behind it, and cut nothing off."""
    heard = np.concatenate([heard, np.zeros(RATE_HZ, np.int16)])  # what it ends with may be silence
    at = find(said, heard)
    there = heard[at : at + len(said)]
    if mode == "rtp":
        assert np.array_equal(there, decode(encode(said, Codec.PCMU), Codec.PCMU))
    else:
        assert np.corrcoef(there, said)[0, 1] > 0.99


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    path = tmp_path / "hello.wav"
    soundfile.write(path, phrase(), RATE_HZ)
    return path


async def test_parrot_says_back_what_it_heard(tmp_path: Path, hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_over(ears: Ears) -> bool:
        return ears.seconds > 0.8 and ears.quiet_s > 0.5

    for caller in await call_all(
        "parrot", EVERY, tmp_path, monkeypatch, (is_over, ""), says=((300 * NS_PER_MS, hello),)
    ):
        at = check_said(caller)
        assert caller.where()[at] > 1.5 * RATE_HZ, "after the pause"


async def test_echo_is_half_a_second_late(tmp_path: Path, hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [("twilio", "rtp"), ("telnyx", "mp3")]
    for caller in await call_all(
        "echo", ways, tmp_path, monkeypatch, (lambda ears: ears.seconds > 2, ""), says=((500 * NS_PER_MS, hello),)
    ):
        at = check_said(caller)
        assert at / RATE_HZ == pytest.approx(0.5 + DELAY_S, abs=0 if caller.mode == "rtp" else 0.1)
        assert caller.where()[at] >= (0.5 + DELAY_S) * RATE_HZ


@pytest.mark.peer
@pytest.mark.skipif(which("espeak-ng") is None, reason="no espeak-ng here: make peers")
async def test_digits_lead_where_they_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 cuts the welcome off and is a tone of a second; 9 cuts the menu off and is a goodbye."""

    def hears_the_welcome(ears: Ears) -> bool:
        return ears.seconds > 0.5 and ears.quiet_s < 0

    def hears_the_menu(ears: Ears) -> bool:
        return ears.clears > 0 and ears.seconds > 1.5 and ears.quiet_s < 0

    ways = [("telnyx", "rtp"), ("signalwire", "rtp"), ("telnyx", "mp3")]
    menu, goodbye = len(await spoken(MENU)), await spoken("Goodbye.")
    for caller in await call_all("ivr", ways, tmp_path, monkeypatch, (hears_the_welcome, "1"), (hears_the_menu, "9")):
        first, second = [cut["position"] for cut in caller.story["clear_list"]]
        welcome, answer, end = caller.played(0, first), caller.played(first, second), caller.played(second)
        assert 0.5 * RATE_HZ < len(welcome) < menu, "cut off by the digit"
        tone = answer[:RATE_HZ].astype(float)
        spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)))) ** 2
        assert spectrum[435:446].sum() > 0.99 * spectrum.sum(), "440 Hz"
        assert 0.5 * RATE_HZ < len(answer) - RATE_HZ < menu, "the menu, cut off too"
        assert 0.3 * RATE_HZ < len(end) < 2 * RATE_HZ
        check_heard_out(goodbye, end, caller.mode)
