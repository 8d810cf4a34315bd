"""What is recorded of calls that are not G.711: by hand at the doors, and over real sockets as configured."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.client import connect

from media import Server, ServerConfig
from media.captures.inspect import SinkOutlet
from media.codecs import Encoding
from media.config import Endpoint, RtpPorts
from media.sinks.recording import RecordingSink
from media.talk.call import LiveCall
from strep.header import Direction
from tests.media.harness import pcm_channels, sidecar
from tests.media.test_wide_calls import ENCODINGS, FRAMES, MAP, decoded, packets_of, payloads_of, world_of_codecs

LOOPBACK = Endpoint("127.0.0.1", 0)


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_recording_is_what_the_decoder_gives(tmp_path: Path, name: str) -> None:
    world, encoding = world_of_codecs(), ENCODINGS[name]
    recording = RecordingSink(tmp_path, clock=world.clock)
    world.engine._outlets.append(SinkOutlet(recording))
    payloads = payloads_of(encoding, 3 * FRAMES)
    packets = packets_of(name, payloads)
    for i in [0, 2, 1, *range(3, 40), *range(41, 3 * FRAMES)]:
        world.send_strep(packets[i], 5)
        world.send_strep(packets[i], 5, Direction.OUTBOUND)
        world.tick()
    world.engine.end_all("shutdown")
    recording.close()
    call_id = world.ear.ended[0][0].call_id
    size = encoding.frame_samples
    heard = decoded(encoding, payloads[:40] + payloads[41:])
    expected = np.concatenate([heard[: 40 * size], np.zeros(size, np.int16), heard[40 * size :]])
    frames = pcm_channels(tmp_path / f"{call_id}.wav")
    assert np.array_equal(frames[:, 0], expected)
    assert np.array_equal(frames[:, 1], expected)
    document = sidecar(tmp_path, call_id)
    assert (document["sample_rate_hz"], document["format"]) == (encoding.sample_rate_hz, "pcm16")
    assert [track["codec"] for track in document["tracks"]] == [encoding.name] * 2
    assert document["tracks"][0]["totals"] == {
        **dict.fromkeys(document["tracks"][0]["totals"], 0), "received": len(heard), "lost": size,
    }  # fmt: skip


@pytest.mark.realtime
async def test_over_real_sockets(tmp_path: Path) -> None:
    """One server, G.722 to a pair of RTP ports and L16 to the WebSocket, byte order and payload types configured."""
    wide, linear = ENCODINGS["G722"], Encoding("L16", 24000)
    config = ServerConfig(
        rtp=(RtpPorts("tap", LOOPBACK, LOOPBACK),),
        ws=LOOPBACK,
        record=tmp_path,
        payload_types=MAP,
        ws_l16_byte_order="big",
    )
    media_format = {"encoding": "audio/x-L16", "sampleRate": 24000, "channels": 1}
    body = {"streamSid": "s-1", "callSid": "c-1", "mediaFormat": media_format}
    ended = asyncio.Event()

    async def wait_for_its_end(call: LiveCall) -> None:
        if await call.ended() == "stop":
            ended.set()

    async with Server(config, app=wait_for_its_end) as server:
        host, _, port = server.addresses["rtp"]["tap"]["rx"].rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for packet in packets_of("G722", payloads_of(wide)):
                sender.sendto(packet, (host, int(port)))
        async with connect(f"ws://{server.addresses['ws']}/signalwire") as client:
            await client.send(json.dumps({"event": "start", "sequenceNumber": "1", "start": body}))
            for i, payload in enumerate(payloads_of(linear)):
                media = {"track": "inbound", "chunk": str(i + 1), "payload": b64encode(payload).decode()}
                await client.send(json.dumps({"event": "media", "sequenceNumber": str(i + 2), "media": media}))
            await client.send(json.dumps({"event": "stop", "sequenceNumber": "99"}))
        await ended.wait()
    tap = next(name for name in os.listdir(tmp_path) if name.startswith("tap-") and name.endswith(".wav"))
    for path, encoding in ((tmp_path / "s-1.wav", linear), (tmp_path / tap, wide)):
        assert np.array_equal(pcm_channels(path)[:, 0], decoded(encoding, payloads_of(encoding)))
        assert sidecar(tmp_path, path.stem)["sample_rate_hz"] == encoding.sample_rate_hz
