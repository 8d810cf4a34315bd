"""``strep simulate --say`` and ``--press`` at our server: what the caller says and presses is what a call gets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from media import Server, ServerConfig
from media.carrier.command import _options, simulate
from media.carrier.options import SimulationOptions
from media.carrier.pacing import Instant
from media.carrier.simulation import Simulation, Target
from media.config import Endpoint
from media.talk.call import LiveCall
from strep.clock import NS_PER_MS
from strep.g711 import Codec, decode, encode
from tests.media.harness import pcm_channels, sidecar
from tests.media.test_recorded_calls import record
from tests.patience import PATIENCE_S

HELLO = decode(encode((9000 * np.sin(np.arange(2400) * 0.4)).astype(np.int16), Codec.PCMU), Codec.PCMU)
HAVE_KEYS = ("telnyx", "twilio", "signalwire")


def asked(folder: Path, *flags: str) -> SimulationOptions:
    """Return what the command line makes of a caller who says hello at 0.5 and 1.2 s and presses five keys."""
    hello = folder / "hello.wav"
    soundfile.write(hello, HELLO, 8000)
    script = f"--say 0.5:{hello} --say 1.2:{hello} --press 0.3:1# --press 1.6:90 --dtmf 5".split()
    parsed = simulate.make_context("simulate", [*flags, "--seconds", "2.5", *script])
    return _options(parsed.params)


def said() -> np.ndarray[Any, np.dtype[np.int16]]:
    pcm = np.zeros(20_000, np.int16)
    pcm[4000:6400] = pcm[9600:12_000] = HELLO
    return pcm


PRESSED = [("1", 300), ("#", 550), ("5", 1250), ("9", 1600), ("0", 1850)]


@pytest.mark.realtime
@pytest.mark.parametrize("dialect", HAVE_KEYS)
async def test_over_a_websocket_keys_are_frames_of_the_dialect(dialect: str, tmp_path: Path) -> None:
    options = asked(tmp_path, "--ws", "ws://here/", "--dialect", dialect, "--ws-track", "inbound")
    heard: list[dict[str, Any]] = []
    is_over = asyncio.Event()

    async def app(call: LiveCall) -> None:
        heard.extend([event async for event in call.events() if event["event"] == "dtmf"])
        is_over.set()

    record_to = tmp_path / "rec"
    async with asyncio.timeout(PATIENCE_S):
        async with Server(ServerConfig(ws=Endpoint("127.0.0.1", 0), record=record_to), app=app) as server:
            await Simulation(options).run(Target(stream_url=f"ws://{server.addresses['ws']}/{dialect}"), Instant())
            await is_over.wait()
    assert [(event["event"], event["digit"]) for event in heard] == [("dtmf", digit) for digit, _ in PRESSED]
    [path] = record_to.glob("*.wav")
    assert np.array_equal(pcm_channels(path)[:, 0], said()), "keys are no audio here"
    document = sidecar(record_to, path.stem)
    assert [event["digit"] for event in document["events"] if event["event"] == "dtmf"] == [d for d, _ in PRESSED]
    assert document["tracks"][0]["ledger"] == []


def test_towards_packets_they_are_telephone_events_in_place_of_the_audio(tmp_path: Path) -> None:
    options = asked(tmp_path, "--udp", "127.0.0.1:9")
    _, plan = record(tmp_path / "rec", options, recording_format="pcm16")
    [key_track, _] = plan.truth().tracks
    document = sidecar(tmp_path / "rec", key_track.call_leg_id)
    keys = [event for event in document["events"] if event["event"] == "dtmf"]
    assert [event["digit"] for event in keys] == [digit for digit, _ in PRESSED]
    assert {event["duration_ms"] for event in keys} == {100}
    assert [key.position_samples for key in key_track.keys] == [8 * -(-ms // 20) * 20 for _, ms in PRESSED]
    expected = said()
    for key in key_track.keys:
        expected[key.position_samples : key.position_samples + 160 * key.packets] = 0
    assert np.array_equal(pcm_channels(tmp_path / "rec" / f"{key_track.call_leg_id}.wav")[:, 0], expected)


def test_keys_of_one_press_are_a_quarter_of_a_second_apart(tmp_path: Path) -> None:
    options = asked(tmp_path, "--ws", "ws://here/")
    assert options.presses == tuple((ms * NS_PER_MS, d) for d, ms in [PRESSED[2], *PRESSED[:2], *PRESSED[3:]])
