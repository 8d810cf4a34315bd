"""``strep serve --app`` and ``strep simulate`` as two processes: what callers heard of echo, parrot and ivr."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile

from media.talk.contract import Pcm
from media.talk.sources import open_source
from media.voices.plugins import load_voices
from strep.g711 import Codec, decode, encode
from tests.media.test_serve import ENVIRONMENT, serving
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.realtime, pytest.mark.xdist_group("commands")]  # one at a time

RATE_HZ = 8000
RTP = [("telnyx", "rtp"), ("twilio", "rtp"), ("signalwire", "rtp")]
EVERY = [*RTP, ("telnyx", "mp3")]


class Caller(NamedTuple):
    """What one heard, and the carrier's story of it."""

    dialect: str
    mode: str
    heard: Pcm
    story: dict[str, Any]

    @property
    def underrun_s(self) -> float:
        """How long nothing was there to be played, by the carrier's account: a busy machine, no fault."""
        return float(self.story["underrun_samples"] / RATE_HZ)

    @property
    def played(self) -> Pcm:
        """What was heard, without the pauses in which the carrier had nothing to play."""
        played: Pcm = self.heard[self._where]
        return played

    @property
    def _where(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        spurts = [(spurt["position"], spurt["samples"]) for spurt in self.story["spurts"]]
        where = np.concatenate([np.arange(position, position + samples) for position, samples in spurts])
        return where[where < len(self.heard)]

    def find_s(self, wanted: Pcm) -> float:
        """Return when `wanted` began to be heard, in seconds of the call."""
        return float(self._where[find(wanted, self.played)] / RATE_HZ)


def phrase() -> Pcm:
    """Return 0.8 s, loud from end to end, unlike any part of itself, and the same after mu-law."""
    t = np.arange(round(0.8 * RATE_HZ)) / RATE_HZ
    chirp = (8000 * np.sin(2 * np.pi * (400 + 900 * t) * t)).astype(np.int16)
    return decode(encode(chirp, Codec.PCMU), Codec.PCMU)


def call_all(app: str, ways: list[tuple[str, str]], folder: Path, *script: str) -> list[Caller]:
    """Let a caller for each (dialect, mode) act as `script` says, all at once; return what came of it."""
    with ThreadPoolExecutor(len(ways)) as pool:
        return list(pool.map(lambda way: call(app, folder / "-".join(way), *way, *script), ways))


def call(app: str, folder: Path, dialect: str, mode: str, *script: str) -> Caller:
    """Let one caller call a server of its own."""
    playback = ["--playback", mode] if dialect == "telnyx" else []
    with serving("--ws", "127.0.0.1:0", "--app", app, "--playback", mode) as (_, addresses):
        where = ["--ws", f"ws://{addresses['ws']}/", "--dialect", dialect, *playback, "--heard", str(folder)]
        command = [sys.executable, "-m", "media.cli", "simulate", *where, "--ws-track", "inbound", *script]
        subprocess.run(command, check=True, env=ENVIRONMENT, capture_output=True, timeout=PATIENCE_S)
    [story] = folder.glob("*.json")
    heard = soundfile.read(story.with_suffix(".wav"), dtype="int16")[0]
    return Caller(dialect, mode, heard, json.loads(story.read_text()))


def spoken(text: str) -> Pcm:
    """Return how the server says `text`, as (n,) int16 at `RATE_HZ`."""

    async def speak() -> Pcm:
        speech = await load_voices().speak(text, "en-US", None)
        source = await open_source(speech, RATE_HZ, rate_hz=speech.rate_hz)
        parts = []
        while not source.has_ended:
            parts.append(source.read(RATE_HZ))
            await asyncio.sleep(0.01)
        return np.concatenate(parts)

    return asyncio.run(speak())


def find(wanted: Pcm, heard: Pcm) -> int:
    """Return where `wanted` is in `heard`, most likely."""
    size = 1 << (len(heard) + len(wanted)).bit_length()
    spectrum = np.fft.rfft(heard.astype(float), size) * np.conj(np.fft.rfft(wanted.astype(float), size))
    return int(np.argmax(np.fft.irfft(spectrum, size)[: len(heard) - len(wanted) + 1]))


def check_said(caller: Caller) -> None:
    """What the caller said was said back, bit by bit in RTP mode, else as MP3 leaves it."""
    said = phrase()
    played = caller.played
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


def check_heard_out(said: Pcm, heard: Pcm, mode: str) -> None:
    """The application hung up right behind it, and cut nothing off."""
    at = find(said, heard)
    there = heard[at : at + len(said)]
    if mode == "rtp":
        assert np.array_equal(there, decode(encode(said, Codec.PCMU), Codec.PCMU))
    else:
        assert len(there) == len(said)
        assert np.corrcoef(there, said)[0, 1] > 0.99


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    path = tmp_path / "hello.wav"
    soundfile.write(path, phrase(), RATE_HZ)
    return path


def test_parrot_says_back_what_it_heard(tmp_path: Path, hello: Path) -> None:
    for caller in call_all("parrot", EVERY, tmp_path, "--seconds", "4.5", "--say", f"0.3:{hello}"):
        check_said(caller)
        assert caller.find_s(phrase()) > 1.5, "after the pause"


def test_echo_is_half_a_second_late(tmp_path: Path, hello: Path) -> None:
    ways = [("twilio", "rtp"), ("telnyx", "mp3")]
    for caller in call_all("echo", ways, tmp_path, "--seconds", "5", "--say", f"0.5:{hello}"):
        check_said(caller)
        late_s = caller.find_s(phrase()) - 0.5
        assert 0.5 <= late_s < (1.2 if caller.mode == "rtp" else 3) + caller.underrun_s


def test_digits_lead_where_they_should(tmp_path: Path) -> None:
    """1 cuts the welcome off and is a tone of a second; 9 cuts the menu off and is a goodbye."""
    ways = [("telnyx", "rtp"), ("signalwire", "rtp"), ("telnyx", "mp3")]
    for caller in call_all("ivr", ways, tmp_path, "--seconds", "9", "--press", "2:1", "--press", "5:9"):
        check_menu(caller)


def check_menu(caller: Caller) -> None:
    spurts = [(spurt["position"], spurt["position"] + spurt["samples"]) for spurt in caller.story["spurts"]]
    assert caller.story["clears"] == 2
    welcome, answer, *menu, goodbye = spurts  # the menu joins the tone, if it is spoken within that second
    assert len(menu) < 2
    assert 2 * RATE_HZ <= welcome[1] < answer[0], "cut off by the digit"
    tone = caller.heard[answer[0] : answer[0] + RATE_HZ].astype(float)
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)))) ** 2
    assert spectrum[435:446].sum() > 0.99 * spectrum.sum(), "440 Hz"
    assert 5 * RATE_HZ <= (menu or [answer])[-1][1] < goodbye[0], "the menu, cut off too"
    assert 0.3 * RATE_HZ < goodbye[1] - goodbye[0] < 2 * RATE_HZ
    assert caller.story["clear_list"][-1]["position"] <= goodbye[0]
    check_heard_out(spoken("Goodbye."), caller.heard, caller.mode)
