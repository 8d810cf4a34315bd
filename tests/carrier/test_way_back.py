"""Every dialect over a real socket: what is sent there is read, and what is sent back is heard."""

from __future__ import annotations

import asyncio
import json
import wave
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from media.carrier.dialects import DIALECTS
from media.carrier.options import (
    ErrorShape,
    PlaybackManners,
    PlaybackMode,
    SimulationOptions,
    Transport,
    WebSocketOptions,
)
from media.carrier.pacing import Instant
from media.carrier.simulation import Outcome, Simulation, Target
from media.codecs import Encoding
from strep.clock import NS_PER_SECOND
from strep.g711 import Codec, decode

AUDIO = np.random.default_rng(3).integers(0, 256, 1_600, np.uint8)


class UntilTold(Instant):
    """Stays in the call's first half until the far end has said what it has to say."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    async def sleep_until(self, deadline_ns: int) -> None:
        if deadline_ns > NS_PER_SECOND // 2:
            await self.told.wait()
        await super().sleep_until(deadline_ns)


async def run(
    given: SimulationOptions, folder: Path | None = None, say: Any = lambda frame: []
) -> tuple[Outcome, list[str | bytes]]:
    """Run one call; `say` makes the answers to the stream's start out of its frame."""
    got: list[str | bytes] = []
    pacer = UntilTold()

    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            got.append(message)
            frame = json.loads(message) if isinstance(message, str) else {}
            if frame.get("event") == "start" or "content-type" in frame:
                answers = say(frame)
                for answer in answers:
                    await connection.send(answer if isinstance(answer, str | bytes) else json.dumps(answer))
                if not answers:
                    pacer.told.set()
            if frame.get("event") == "mark" and frame["mark"]["name"] == "last":
                pacer.told.set()

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        outcome = await Simulation(given).run(Target(stream_url=f"ws://127.0.0.1:{port}/"), pacer, None, folder)
    return outcome, got


def options(dialect: str, codec: Codec | Encoding = Codec.PCMU, **websocket: Any) -> SimulationOptions:
    return SimulationOptions(
        transport=Transport.WEBSOCKET,
        seconds=1.0,
        audio=None,
        codec=codec,
        websocket=WebSocketOptions(dialect=dialect, **websocket),
    )


def payloads(got: list[str | bytes], track: str) -> list[bytes]:
    found = []
    for message in got:
        if isinstance(message, bytes):
            found.append(message)
            continue
        frame = json.loads(message)
        media = frame.get("media", frame)
        if frame.get("event") == "media" and media["track"] == track:
            found.append(b64decode(media["payload"]))
    return found


@pytest.mark.parametrize("dialect", list(DIALECTS))
async def test_a_call_arrives_whole(dialect: str) -> None:
    given = options(dialect)
    outcome, got = await run(given)
    assert b"".join(payloads(got, "inbound")) == Simulation(given).plan().expected_encoded(0).tobytes()
    assert outcome.report.closed_early == 0
    assert outcome.truth.tracks[0].stream_id


@pytest.mark.parametrize(
    "encoding", [Encoding("G722", 16_000), Encoding("L16", 24_000, big_endian=False), Encoding("OPUS", 16_000)]
)
async def test_wide_codecs_arrive_payload_by_payload(encoding: Encoding) -> None:
    given = options("telnyx", encoding, tracks=("inbound",))
    _, got = await run(given)
    plan = Simulation(given).plan()
    assert payloads(got, "inbound") == [plan.payload(0, packet).tobytes() for packet in range(50)]
    assert len(plan.sent_pcm(0)) == encoding.sample_rate_hz


@pytest.mark.parametrize("dialect", ["telnyx", "twilio", "signalwire"])
async def test_what_is_sent_back_is_heard(dialect: str, tmp_path: Path) -> None:
    def say(frame: dict[str, Any]) -> list[Any]:
        sid = frame["start"].get("streamSid")
        names = {"streamSid": sid} if sid else {}
        media = {"event": "media", "media": {"payload": b64encode(AUDIO.tobytes()).decode()}, **names}
        return [media, {"event": "mark", "mark": {"name": "last"}, **names}]

    outcome, _ = await run(options(dialect, playback_mode=PlaybackMode.RTP, tracks=("inbound",)), tmp_path, say)
    name = outcome.truth.tracks[0].stream_id
    with wave.open(str(tmp_path / f"{name}.wav")) as file:
        assert file.getframerate() == 8_000
        heard = np.frombuffer(file.readframes(-1), "<i2")
    story = json.loads((tmp_path / f"{name}.json").read_text())
    (came,) = story["came"]
    begin = came["position"]
    assert (heard[begin : begin + len(AUDIO)] == decode(AUDIO, Codec.PCMU)).all()
    assert not heard[:begin].any()
    assert [mark["fate"] for mark in story["mark_list"]] == ["played"]
    assert story["refused"] == 0


async def test_violations_are_counted_and_not_answered_by_twilio() -> None:
    def say(frame: dict[str, Any]) -> list[Any]:
        sid = frame["streamSid"]
        last = {"event": "mark", "streamSid": sid, "mark": {"name": "last"}}
        return [b"\xff", {"event": "clear"}, {"event": "clear", "streamSid": sid, "reason": "x"}, last]

    outcome, got = await run(options("twilio"), say=say)
    assert outcome.report.playbacks[0].heard.refusals == {31950: 1, 31951: 2}
    assert not any('"error"' in message for message in got if isinstance(message, str))


async def test_errors_of_both_shapes_in_turn() -> None:
    manners = PlaybackManners(error_shape=ErrorShape.ALTERNATING)
    _, got = await run(
        options("telnyx", manners=manners), say=lambda _: ["x", "y", {"event": "mark", "mark": {"name": "last"}}]
    )
    first, second = [json.loads(m) for m in got if isinstance(m, str) and json.loads(m)["event"] == "error"]
    assert first["payload"]["code"] == 100003
    assert second["error"]["code"] == "100003"
