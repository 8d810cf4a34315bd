"""Programs that we did not write as senders of plain RTP: ffmpeg and GStreamer.

The recording has to hold the very code bytes that the sender's own encoder makes of the same file; mu-law
encoders differ at decision edges, so bytes of one encoder are compared with bytes of the same encoder.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from media import Server, ServerConfig
from media.carrier.audio import CONVERSATION
from media.config import Endpoint, RtpPorts
from tests.media.harness import encoded_channels, sidecar

pytestmark = pytest.mark.peer
LOOPBACK = Endpoint("127.0.0.1", 0)
SECONDS = 3


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed: make peers")


async def run(*command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Three seconds of one side of the shipped conversation, 8 kHz mono."""
    audio, rate = soundfile.read(CONVERSATION, dtype="int16", always_2d=True)
    path = tmp_path / "speech.wav"
    soundfile.write(path, audio[: SECONDS * rate, 0], rate, subtype="PCM_16")
    return path


async def recorded(tmp_path: Path, *command_for: Any) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Record what `command_for(port)` sends to the rx port; return the left channel and the track's report."""
    directory = tmp_path / "recordings"
    config = ServerConfig(rtp=(RtpPorts("peer", LOOPBACK, LOOPBACK),), record=directory, record_format="passthrough")
    async with Server(config) as server:
        port = server.addresses["rtp"]["peer"]["rx"].rpartition(":")[2]
        for make in command_for:
            await run(*make(port))
    (wav,) = directory.glob("*.wav")
    (report,) = sidecar(directory, wav.stem)["tracks"]
    assert report["direction"] == "inbound"
    return encoded_channels(wav)[:, 0], report


@needs("ffmpeg")
class TestFfmpeg:
    async def encoded(self, speech: Path) -> NDArray[np.uint8]:
        command = ["ffmpeg", "-v", "error", "-i", str(speech), "-c:a", "pcm_mulaw", "-f", "mulaw", "-"]
        return np.frombuffer(await run(*command), np.uint8)

    async def test_20_ms_packets_across_the_sequence_wrap(self, tmp_path: Path, speech: Path) -> None:
        def command(port: str) -> list[str]:
            url = f"rtp://127.0.0.1:{port}?pkt_size=172&rtcpport={int(port)}"
            head = ["ffmpeg", "-v", "error", "-i", str(speech), "-af", "asetnsamples=n=160:p=0,arealtime"]
            codec = ["-ar", "8000", "-ac", "1", "-c:a", "pcm_mulaw"]
            return [*head, *codec, "-f", "rtp", "-payload_type", "0", "-ssrc", "305419896", "-seq", "65500", url]

        channel, report = await recorded(tmp_path, command)
        expected = await self.encoded(speech)
        assert np.array_equal(channel, expected)
        assert report["ledger"] == []
        assert report["sources"][0]["ssrc"] == 305419896

    async def test_bursts_of_odd_packets(self, tmp_path: Path, speech: Path) -> None:
        def command(port: str) -> list[str]:
            url = f"rtp://127.0.0.1:{port}?pkt_size=172&rtcpport={int(port)}"
            head = ["ffmpeg", "-v", "error", "-re", "-i", str(speech), "-ar", "8000", "-ac", "1"]
            return [*head, "-c:a", "pcm_mulaw", "-f", "rtp", "-payload_type", "0", url]

        channel, report = await recorded(tmp_path, command)
        assert np.array_equal(channel, await self.encoded(speech))
        assert report["ledger"] == []


@needs("gst-launch-1.0")
class TestGStreamer:
    ENCODE = "wavparse ! audioconvert ! audioresample ! audio/x-raw,rate=8000,channels=1 ! mulawenc"
    PAY = "rtppcmupay min-ptime=20000000 max-ptime=20000000 pt=0 seqnum-offset=65500 timestamp-offset=4294960000"

    def pipeline(self, speech: Path, *elements: str) -> list[str]:
        text = " ! ".join([f"filesrc location={speech}", self.ENCODE, *elements])
        return ["gst-launch-1.0", "-q", *text.split()]

    async def encoded(self, speech: Path) -> NDArray[np.uint8]:
        return np.frombuffer(await run(*self.pipeline(speech, "fdsink")), np.uint8)

    async def test_sequence_and_timestamp_wrap(self, tmp_path: Path, speech: Path) -> None:
        channel, report = await recorded(
            tmp_path, lambda port: self.pipeline(speech, self.PAY, f"udpsink host=127.0.0.1 port={port}")
        )
        expected = await self.encoded(speech)
        whole = len(expected) // 160 * 160  # the payloader keeps back what is less than a packet
        assert np.array_equal(channel[:whole], expected[:whole])
        assert report["ledger"] == []

    async def test_somebody_elses_network_faults(self, tmp_path: Path, speech: Path) -> None:
        faults = (
            "netsim drop-probability=0.05 duplicate-probability=0.03 "
            "delay-probability=0.2 max-delay=40 allow-reordering=true"
        )
        sink = "udpsink sync=true host=127.0.0.1 port="
        channel, report = await recorded(tmp_path, lambda port: self.pipeline(speech, self.PAY, faults, sink + port))
        statistics, totals = report["statistics"], report["totals"]
        expected = await self.encoded(speech)
        lost = np.zeros(len(channel), bool)
        for span in report["ledger"]:
            start = span["start_samples"] - report["start_samples"]
            lost[start : start + span["length_samples"]] |= span["kind"] != "late-patched"
        # The first packets may have been dropped: find where the recording begins, by whole packets.
        skipped = next(
            skip
            for skip in range(0, 1600, 160)
            if np.array_equal(channel[~lost], expected[skip : skip + len(channel)][~lost])
        )
        assert skipped % 160 == 0
        assert lost.sum() == totals["lost"] == 160 * statistics["never_arrived"] > 0
        assert (channel[lost] == 0xFF).all()
        assert sum(totals.values()) == report["length_samples"]
