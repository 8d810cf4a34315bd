"""``strep tap`` and ``strep calls`` as processes beside a server that records: what is tapped is what is recorded."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner
from websockets.asyncio.server import ServerConnection, serve

from media import Server, ServerConfig, cli
from media.carrier.options import SimulationOptions, Transport, WebSocketOptions
from media.carrier.pacing import Instant
from media.carrier.simulation import Simulation, Target
from media.config import Endpoint
from media.feed import command
from media.feed.command import MOST_WAITING
from media.feed.selection import Selection
from media.feed.wire import PcmMessage, SampleFormat, serialize
from media.terminal.calls import calls
from strep.g711 import Codec, decode
from strep.header import Direction
from tests.media.harness import pcm_channels
from tests.media.serving import ENVIRONMENT
from tests.patience import PATIENCE_S

COMMANDS = {"tap": command.tap, "calls": calls}
LOOPBACK = Endpoint("127.0.0.1", 0)
STREP = (sys.executable, "-m", "media.cli")


@asynccontextmanager
async def recording_server(folder: Path) -> AsyncIterator[tuple[Server, str]]:
    """Yield a server and the URL of its HTTP door."""
    async with asyncio.timeout(PATIENCE_S):
        async with Server(ServerConfig(ws=LOOPBACK, record=folder / "rec", http=LOOPBACK)) as server:
            yield server, f"http://{server.addresses['http']}"


async def tap(url: str, *arguments: str, stdout: int = subprocess.PIPE) -> asyncio.subprocess.Process:
    """Start to tap; return when the server knows."""
    process = await asyncio.create_subprocess_exec(
        *STREP, "tap", *arguments, "--url", url, stdout=stdout, stderr=subprocess.PIPE, env=ENVIRONMENT
    )
    assert process.stderr is not None
    assert await process.stderr.readline() == b"listening\n"
    return process


async def call(server: Server, seconds: float = 3.0, calls: int = 1) -> None:
    options = SimulationOptions(
        calls=calls, seconds=seconds, transport=Transport.WEBSOCKET, websocket=WebSocketOptions(dialect="telnyx")
    )
    await Simulation(options).run(Target(stream_url=f"ws://{server.addresses['ws']}/telnyx"), Instant())


def recorded(folder: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    [path] = (folder / "rec").glob("*.wav")
    return pcm_channels(path)


@pytest.mark.realtime
class TestAgainstTheRecording:
    """At the call's own rate every sample is the same."""

    @pytest.mark.parametrize("form", ["int16", "float32", "mulaw"])
    async def test_both_tracks_interleaved(self, form: str, tmp_path: Path) -> None:
        async with recording_server(tmp_path) as (server, url):
            process = await tap(url, "any", "--format", form)
            await call(server)
            output, _ = await process.communicate()
        assert process.returncode == cli.OK
        if form == "int16":
            tapped = np.frombuffer(output, "<i2")
        elif form == "float32":
            tapped = (np.frombuffer(output, "<f4") * 32768).astype(np.int16)
        else:
            tapped = decode(np.frombuffer(output, np.uint8), Codec.PCMU)
        assert np.array_equal(tapped.reshape(-1, 2), recorded(tmp_path))
        assert len(tapped) == 2 * 24_000

    async def test_one_track_at_another_rate_is_as_long_as_it_should_be(self, tmp_path: Path) -> None:
        async with recording_server(tmp_path) as (server, url):
            process = await tap(url, "-", "--track", "outbound", "--rate", "24k")
            await call(server)
            output, _ = await process.communicate()
        heard = np.frombuffer(output, "<i2").astype(float)
        assert len(heard) == 3 * 24_000
        original = recorded(tmp_path)[:, 1].astype(float)
        assert np.corrcoef(heard[::3], original)[0, 1] > 0.99, "every third sample is where the original was"

    @pytest.mark.peer
    @pytest.mark.skipif(which("sox") is None, reason="no sox here: make peers")
    async def test_through_a_pipe_into_sox(self, tmp_path: Path) -> None:
        wav = tmp_path / "out.wav"
        sox = f"sox -t raw -r 8000 -e signed -b 16 -c 2 - {wav}"
        async with recording_server(tmp_path) as (server, url):
            pipe = await asyncio.create_subprocess_shell(
                f"{' '.join(STREP)} tap any --url {url} | {sox}", stderr=subprocess.PIPE, env=ENVIRONMENT
            )
            assert pipe.stderr is not None
            assert await pipe.stderr.readline() == b"listening\n"
            await call(server)
            assert await pipe.wait() == 0
        assert np.array_equal(pcm_channels(wav), recorded(tmp_path))

    async def test_through_a_fifo(self, tmp_path: Path) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        async with recording_server(tmp_path) as (server, url):
            reading = asyncio.create_task(asyncio.to_thread(fifo.read_bytes))
            descriptor = await asyncio.to_thread(os.open, fifo, os.O_WRONLY)
            try:
                process = await tap(url, "any", "--track", "inbound", stdout=descriptor)
            finally:
                os.close(descriptor)
            await call(server)
            assert await process.wait() == cli.OK
            heard = np.frombuffer(await reading, "<i2")
        assert np.array_equal(heard, recorded(tmp_path)[:, 0])


@pytest.mark.realtime
class TestTrouble:
    """One line, and a code that says whether anything failed."""

    async def test_who_reads_has_enough(self, tmp_path: Path) -> None:
        async with recording_server(tmp_path) as (server, url):
            process = await tap(url, "any")
            assert process.stdout is not None
            process.stdout._transport.close()  # type: ignore[attr-defined]
            await call(server, seconds=10)
            assert await process.wait() == cli.OK
            assert process.stderr is not None
            assert b"Traceback" not in await process.stderr.read()

    async def test_no_such_call(self, tmp_path: Path) -> None:
        async with recording_server(tmp_path) as (_, url):
            result = await asyncio.to_thread(run, "tap", "nobody", "--url", url)
        assert (result.returncode, result.stdout) == (cli.FAILED, "")
        assert "Error: there is no live call 'nobody'" in result.stderr

    async def test_the_server_stops(self, tmp_path: Path) -> None:
        async with recording_server(tmp_path) as (_, url):
            process = await tap(url, "any")
        _, errors = await process.communicate()
        assert process.returncode == cli.FAILED
        assert errors == b"Error: the server is stopping\n"


class TestAReaderThatStalls:
    """The program behind the pipe takes nothing before the server has sent everything."""

    COUNT = 3 * MOST_WAITING

    async def test_the_oldest_go_and_are_silence(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        may_write, written = threading.Event(), bytearray()

        def write(piece: bytes) -> None:
            may_write.wait()
            written.extend(piece)

        async def send(socket: ServerConnection) -> None:
            for number in range(self.COUNT):
                samples = np.full(160, number + 1, "<i2").tobytes()
                message = PcmMessage(
                    "c", Direction.INBOUND, 8000, SampleFormat.INT16, 160 * number, number, 0, samples
                )
                await socket.send(serialize(message))
            await socket.close()
            may_write.set()

        monkeypatch.setattr(command, "_write_all", write)
        async with asyncio.timeout(PATIENCE_S), serve(send, "127.0.0.1", 0, compression=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            tapping = command._Tap(Selection.of({"track": "inbound"}), "", drops=True)
            await tapping.run(f"ws://127.0.0.1:{port}/")
        heard = np.frombuffer(bytes(written), "<i2").reshape(-1, 160)[:, 0]
        assert len(heard) == self.COUNT, "what is missing is silence"
        assert list(heard[-MOST_WAITING:]) == list(range(self.COUNT - MOST_WAITING + 1, self.COUNT + 1))
        dropped = np.count_nonzero(heard == 0)
        assert dropped >= self.COUNT - MOST_WAITING - 2
        assert f"{dropped} messages dropped: silence" in capsys.readouterr().err


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*STREP, *arguments], capture_output=True, text=True, env=ENVIRONMENT, check=False)


class TestMisuse:
    """Without a server."""

    ARGUMENTS: ClassVar = {"tap": ["any"], "calls": []}

    @pytest.mark.parametrize("name", ["tap", "calls"])
    def test_nobody_there(self, name: str) -> None:
        arguments = [name, *(["any"] if name == "tap" else []), "--url", "http://127.0.0.1:9"]
        result = run(*arguments)
        assert result.returncode == cli.FAILED
        assert "cannot reach 127.0.0.1:9" in result.stderr
        assert "is strep serve --http running there?" in result.stderr

    @pytest.mark.parametrize("name", ["tap", "calls"])
    @pytest.mark.parametrize(
        "url", ["127.0.0.1:9080", "ws://a", "http://", "http://a:x", "http://a/?b", "http://u:p@a"]
    )
    def test_a_url_that_is_none(self, name: str, url: str) -> None:
        result = CliRunner().invoke(COMMANDS[name], [*self.ARGUMENTS[name], "--url", url])
        assert result.exit_code == cli.MISUSED
        assert "--url is the server's, as in http://127.0.0.1:9080" in result.output

    @pytest.mark.parametrize("name", ["tap", "calls"])
    async def test_a_port_that_speaks_no_http(self, name: str) -> None:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 smtp ready\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}"
            result = await asyncio.to_thread(run, name, *self.ARGUMENTS[name], "--url", url)
        assert result.returncode == cli.FAILED
        assert f"Error: 127.0.0.1:{port} speaks no" in result.stderr
        assert len(result.stderr.splitlines()) == 1

    @pytest.mark.parametrize("name", ["tap", "calls"])
    async def test_a_path_is_kept_and_a_proxy_not_used(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        monkeypatch.setitem(ENVIRONMENT, "http_proxy", "http://127.0.0.1:9")
        monkeypatch.setitem(ENVIRONMENT, "no_proxy", "")
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}/behind/"
            result = await asyncio.to_thread(run, name, *self.ARGUMENTS[name], "--url", url)
        assert "the server answers with status 404" in result.stderr
        assert asked[0].startswith(b"GET /behind/v1/calls")

    def test_a_rate_that_is_none(self) -> None:
        result = CliRunner().invoke(command.tap, ["any", "--rate", "11025"])
        assert result.exit_code == cli.MISUSED
        assert "rate: '11025' is not one of 8000, 16000, 24000 and native" in result.output


@pytest.mark.realtime
async def test_calls_are_listed(tmp_path: Path) -> None:
    async with recording_server(tmp_path) as (server, url):
        empty = await asyncio.to_thread(run, "calls", "--url", url)
        names = [server.engine.open_call(f"call {n}", "ws", {}, server.engine.now_ns()).info.call_id for n in (1, 2)]
        listed = await asyncio.to_thread(run, "calls", "--url", url)
    assert (empty.returncode, empty.stdout) == (cli.OK, "")
    assert [line.split("\t") for line in listed.stdout.splitlines()] == [
        [name, "0.0 s", "8000 Hz", "none", "0 lost"] for name in names
    ]
